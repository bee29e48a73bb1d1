// SPDX-License-Identifier: MIT
// The parts of SavedRun that depend on the model; included where they are instantiated.
#pragma once

#include <cstdio>

#include <plinth/io/checkpoint.hpp>
#include <plinth/io/safetensors.hpp>

#include "saved_run.hpp"

template <class Model>
void SavedRun::restore(Model& model, TrainerOf<Model>& trainer) const {
  const auto [checkpoint, skipped] = plinth::latest_checkpoint(folder_);
  for (const std::string& why : skipped) std::fprintf(stderr, "passed over a damaged checkpoint: %s\n", why.c_str());
  if (resume_ && !checkpoint)
    throw plinth::Error(folder_.string() + ": there is no checkpoint to go on from; leave out --resume");
  if (!resume_ && (checkpoint || !skipped.empty()))
    throw plinth::Error(folder_.string() + ": there is a run that was stopped; go on with it by --resume, or remove " +
                        "this folder to start anew");
  if (checkpoint) trainer.restore(checkpoint->load(model, trainer.optimizer(), nlohmann::json::parse(settings_)));
}

template <class Model>
void SavedRun::save(const Model& model, const TrainerOf<Model>& trainer) const {
  plinth::save_checkpoint(folder_, model, trainer.optimizer(), trainer.state(), nlohmann::json::parse(settings_));
}

template <class Model>
void save_weights(const std::filesystem::path& file, const Model& model) {
  plinth::save_parameters(file, model);
}
