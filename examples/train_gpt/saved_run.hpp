// SPDX-License-Identifier: MIT
// What a run keeps on the disk: checkpoints to go on from while it trains, and its weights. The templates are defined in
// saved_run_of.hpp, apart from what trains: JSON and hashes take as long to compile as half a GPT.
#pragma once

#include <filesystem>
#include <string>

#include <plinth/models/decoder.hpp>
#include <plinth/train/trainer.hpp>

#include "options.hpp"
#include "text_source.hpp"

template <class Model>
using TrainerOf =
    plinth::Trainer<Model, plinth::AdamW<typename Model::element, typename Model::device>, plinth::CosineSchedule>;

/// The checkpoints of a run with these options on this text, in the folder "checkpoints" of the run's folder.
class SavedRun {
 public:
  SavedRun(const Options& options, const SplitText& text);

  /// Goes on from the newest whole checkpoint if the user asked for that, and says on stderr which ones are damaged.
  /// Throws Error when there is none, and when there is one and the user did not ask: a new run would put its own
  /// beside it; ArgumentError when it is of a run with other settings or another text.
  template <class Model>
  void restore(Model& model, TrainerOf<Model>& trainer) const;
  /// Throws IoError, NonFiniteError where a weight is infinite or no number.
  template <class Model>
  void save(const Model& model, const TrainerOf<Model>& trainer) const;
  /// Nothing is left to go on with.
  void remove() const;

 private:
  std::filesystem::path folder_;
  bool resume_;
  std::string settings_;  // JSON: what must be the same where a run goes on, beside model and optimiser
};

/// Throws IoError.
template <class Model>
void save_weights(const std::filesystem::path& file, const Model& model);
