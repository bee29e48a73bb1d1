// SPDX-License-Identifier: MIT
#include "saved_run.hpp"

#include <string_view>

#include "saved_run_of.hpp"

namespace {

std::string sha256_of(std::string_view text) {
  plinth::Sha256 hash;
  hash.add(text.data(), text.size());
  return hash.digest();
}

std::string settings_of(const Options& options, const SplitText& text) {
  nlohmann::json settings = plinth::settings_of(options.training);
  settings["text_sha256"] = sha256_of(text.training());
  settings["device"] = options.device;
  settings["dtype"] = options.dtype;
  return settings.dump();
}

}  // namespace

SavedRun::SavedRun(const Options& options, const SplitText& text)
    : folder_(std::filesystem::path(options.run_folder) / "checkpoints"),
      resume_(options.resume),
      settings_(settings_of(options, text)) {}

void SavedRun::remove() const { std::filesystem::remove_all(folder_); }

using Model = plinth::Decoder<float>;
template void SavedRun::restore(Model& model, TrainerOf<Model>& trainer) const;
template void SavedRun::save(const Model& model, const TrainerOf<Model>& trainer) const;
template void save_weights(const std::filesystem::path& file, const Model& model);
