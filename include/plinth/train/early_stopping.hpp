// SPDX-License-Identifier: MIT
// Early stopping: training ends when a measure has stopped falling.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

namespace plinth {

/// Follows a measure of which less is better, such as the loss on held-out data, and says when it has not fallen for
/// `patience` measures in a row. In the Trainer's observer, keeping the best weights in another model:
///   if (stopping.improved(mean_loss(model, held_out, context))) copy_state(model, best);
///   return !stopping.exhausted();
/// The fields are all its state, finite numbers that go into the notes of a checkpoint of a run that is to be resumed.
/// A patience below 1 is as 1.  Prechelt 1998, "Early stopping - but when?". Keras: EarlyStopping.
struct EarlyStopping {
  std::int64_t patience = 1;                         ///< how many measures in a row may not be less than the best
  double best = std::numeric_limits<double>::max();  ///< the least measure so far
  std::int64_t measures_since_best = 0;              ///< in a row

  /// Notes a measure; whether it is less than all before. One that is no number is not.
  bool improved(double measure) {
    const bool better = measure < best;
    if (better) best = measure;
    measures_since_best = better ? 0 : measures_since_best + 1;
    return better;
  }
  /// Whether training is to end.
  bool exhausted() const { return measures_since_best >= std::max<std::int64_t>(patience, 1); }
};

}  // namespace plinth
