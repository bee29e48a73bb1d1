// SPDX-License-Identifier: MIT
// Checkpoints of training runs: a run that is stopped at any step, or dies, goes on from its last one bit for bit.
//
// A checkpoint is a folder of three files, "step-250" in the folder of a run's checkpoints:
//   model.safetensors      the parameters
//   optimizer.safetensors  the optimiser's state, "<parameter>.<state>", and masters of 16-bit parameters
//   manifest.json          format and library version, next step, seed, loss scale, the optimiser's steps, the run's
//                          settings, and the program's notes, size and SHA-256 of each file and of the manifest itself
// Batches, dropout masks and learning rates are functions of seed, step and settings, so this is all of a run's state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <plinth/io/checkpoint_folder.hpp>
#include <plinth/io/checkpoint_manifest.hpp>
#include <plinth/io/safetensors.hpp>
#include <plinth/io/settings.hpp>
#include <plinth/train/trainer.hpp>

namespace plinth {

namespace detail {

/// The config of a model, or of the encoder that it stands on.
template <class M>
const auto& config_of(const M& model) requires requires {
  model.config.hidden;
} || requires {
  model.encoder.config.hidden;
}
{
  if constexpr (requires { model.config; })
    return model.config;
  else
    return model.encoder.config;
}

/// The settings of a run: those that the program gives, those of the model's config as "model.<name>" where it has one,
/// and those of the optimiser as "optimizer.<name>" where it tells them. Throws ArgumentError for given ones of another
/// form or of such names.
template <class M, class Optimizer>
nlohmann::json settings_of_run(nlohmann::json given, const M& model, const Optimizer& optimizer) {
  require_settings(given);
  const auto add = [&](const std::string& name, const nlohmann::json& value) {
    require<ArgumentError>(!given.contains(name), "checkpoint: ", Quoted{name},
                           " is the name of a setting that is added");
    given[name] = value;
  };
  if constexpr (requires { settings_of(config_of(model)); }) {
    const nlohmann::json config = settings_of(config_of(model));
    for (const auto& [name, value] : config.items()) add("model." + name, value);
  }
  if constexpr (requires { std::string(optimizer.name()), double(optimizer.settings()[0].second); }) {
    add("optimizer.kind", optimizer.name());
    for (const auto& [name, value] : optimizer.settings()) add(std::string("optimizer.") + name, value);
  }
  return given;
}

}  // namespace detail
/// Saves a run as a new checkpoint in a folder, which is made where it is missing, and returns the checkpoint's path.
///   save_checkpoint(folder, model, trainer.optimizer(), trainer.state(), settings_of(options));
/// A run that goes on from here must be made with the same `settings`, an object of numbers, booleans and strings, to
/// which what else decides its bits is added by the program, such as the data; and with the model's config and the kind
/// and settings of the optimiser, which are saved too, but for its groups. `notes`, of the same form, are compared with
/// nothing: what the program wants to find again, such as the numbers of EarlyStopping.
///
/// The checkpoint takes its name when all of it is on the disk: killed at any moment, the process leaves the
/// checkpoints before it whole, and what it leaves of the new one is removed by the next save. Then the oldest ones are
/// removed until `keep` are left. Throws ArgumentError when there is a whole checkpoint of this step, `keep` is 0 or
/// the settings are of another form; NonFiniteError naming the first parameter that is infinite or no number; IoError,
/// as when the disk is full: then no checkpoint was lost, and the new one is there only if the very last flush or the
/// removal of an old one failed.
template <Module M, Module Optimizer>
std::filesystem::path save_checkpoint(const std::filesystem::path& folder, const M& model, const Optimizer& optimizer,
                                      const TrainerState& state, const nlohmann::json& settings, std::size_t keep = 3,
                                      const nlohmann::json& notes = nlohmann::json::object()) {
  detail::require<ArgumentError>(keep > 0, "checkpoint: keep is 0, must be positive");
  detail::require<ArgumentError>(state.next_step >= 0, "checkpoint: next_step ", state.next_step, " is negative");
  if (const std::string name = first_non_finite_parameter(model); !name.empty())
    throw NonFiniteError("checkpoint: the parameter " + name + " is not finite; nothing is saved");
  const std::vector<NamedTensor> tensors[] = {detail::named_parameters(model), detail::named_parameters(optimizer)};
  return detail::write_checkpoint(
      folder.has_filename() ? folder : folder.parent_path(),
      {state.next_step, optimizer.steps(), state.seed, state.loss_scale.factor, state.loss_scale.finite_steps,
       detail::settings_of_run(settings, model, optimizer), notes, {}},
      tensors, keep);
}

/// A checkpoint every bit of which was found to be what it was when it was saved.
class Checkpoint {
 public:
  /// Reads and checks all of it. Throws FormatError naming the file that is not what was saved; IoError.
  explicit Checkpoint(std::filesystem::path folder)
      : folder_(std::move(folder)), manifest_(detail::verified_manifest(folder_)) {}

  /// Its folder.
  const std::filesystem::path& path() const { return folder_; }
  /// Where the run was when it was saved.
  TrainerState state() const {
    return {manifest_.next_step, manifest_.seed, {manifest_.loss_scale, manifest_.finite_steps}};
  }
  /// Those that were given, and those of the model and its optimiser.
  const nlohmann::json& settings() const { return manifest_.settings; }

  /// What the program wanted to find again.
  const nlohmann::json& notes() const { return manifest_.notes; }

  /// Makes the model and its optimiser what they were, and returns what the trainer is to be restored to:
  ///   trainer.restore(checkpoint.load(model, trainer.optimizer(), settings_of(options)));
  /// `settings` are those of save_checkpoint. Throws ArgumentError naming the first one that differs, FormatError
  /// listing the parameters that are missing, unexpected or of another shape; IoError; MemoryError. Then nothing was
  /// changed.
  template <Module M, Module Optimizer>
  TrainerState load(M& model, Optimizer& optimizer, const nlohmann::json& settings) const {
    require_same(detail::settings_of_run(settings, model, optimizer));
    const SafetensorsFile parameters(folder_ / detail::checkpoint_files[0]),
        state(folder_ / detail::checkpoint_files[1]);
    auto copies = detail::parameter_copies(parameters, model);
    for (auto& copy : detail::parameter_copies(state, optimizer)) copies.push_back(std::move(copy));
    for (const auto& copy : copies) copy();
    optimizer.set_steps(manifest_.optimizer_steps);
    return this->state();
  }

 private:
  void require_same(const nlohmann::json& settings) const {
    const auto text = [](const nlohmann::json& object, const std::string& name) {
      return object.contains(name) ? object[name].dump() : "not set";
    };
    nlohmann::json all = settings;
    all.update(manifest_.settings);
    for (const auto& [name, value] : all.items()) {
      const std::string saved = text(manifest_.settings, name), given = text(settings, name);
      detail::require<ArgumentError>(saved == given, detail::text_of(folder_), ": ", detail::Quoted{name}, " is ",
                                     saved, " in the checkpoint but ", given, " here");
    }
  }

  std::filesystem::path folder_;
  detail::CheckpointManifest manifest_;
};

/// What was found in a folder of checkpoints.
struct FoundCheckpoint {
  std::optional<Checkpoint> checkpoint;  ///< none where there is none that is whole
  std::vector<std::string> skipped;      ///< why each newer one was passed over, by name
};

/// The newest whole checkpoint in a folder; none also when there is no such folder. Throws IoError when the folder
/// cannot be read.
inline FoundCheckpoint latest_checkpoint(const std::filesystem::path& folder) {
  FoundCheckpoint found;
  std::error_code unknown;
  if (!std::filesystem::exists(folder, unknown) && !unknown) return found;
  for (const std::int64_t step : detail::checkpoint_steps(folder)) {
    const auto path = folder / detail::checkpoint_name(step);
    try {
      Checkpoint checkpoint(path);
      const std::int64_t saved = checkpoint.state().next_step;
      detail::require<FormatError>(saved == step, detail::text_of(path), ": its manifest says step ", saved);
      found.checkpoint = std::move(checkpoint);
      return found;
    } catch (const Error& error) {
      found.skipped.push_back(error.what());
    }
  }
  return found;
}

}  // namespace plinth
