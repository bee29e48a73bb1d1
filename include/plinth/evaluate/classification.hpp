// SPDX-License-Identifier: MIT
// How good a classifier is: accuracy, the confusion matrix, precision, recall and F1.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <plinth/ops/cross_entropy.hpp>

namespace plinth {

/// The class with the largest logit of each row: logits (..., C) -> as many numbers as there are rows, the first of
/// equals. Waits for the device.  PyTorch: logits.argmax(-1).
/// Throws ShapeError when there is no axis of classes, or none in it.
template <Real T, class D>
std::vector<std::int32_t> predicted_classes(const Tensor<T, D>& logits) {
  detail::require<ShapeError>(logits.rank() > 0 && logits.size(-1) > 0, "predicted_classes: logits ", logits.shape(),
                              " have no classes");
  const auto values = logits.to_vector();
  const auto classes = static_cast<std::size_t>(logits.size(-1));
  std::vector<std::int32_t> best(values.size() / classes);
  for (std::size_t row = 0; row < best.size(); ++row) {
    const T* const x = values.data() + row * classes;
    std::size_t largest = 0;
    for (std::size_t i = 1; i < classes; ++i)
      if (static_cast<double>(x[i]) > static_cast<double>(x[largest])) largest = i;
    best[row] = static_cast<std::int32_t>(largest);
  }
  return best;
}

/// The share of rows with target >= 0 whose largest logit is the target's. logits (..., C), targets (...).
/// Throws ShapeError, and ArgumentError when no target counts.
template <Real T, class D>
double accuracy(const Tensor<T, D>& logits, const Tensor<std::int32_t, D>& targets) {
  detail::require_rows("accuracy", logits.shape(), targets.shape());
  const auto predictions = predicted_classes(logits);
  const auto wanted = targets.to_vector();
  std::int64_t counted = 0, right = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    counted += wanted[i] >= 0;
    right += wanted[i] >= 0 && wanted[i] == predictions[i];
  }
  detail::require<ArgumentError>(counted > 0, "accuracy: no target of ", wanted.size(), " counts");
  return static_cast<double>(right) / static_cast<double>(counted);
}

/// precision = TP / (TP + FP), recall = TP / (TP + FN), f1 = 2 TP / (2 TP + FP + FN), their harmonic mean; each is 0
/// where it would divide by 0.  van Rijsbergen 1979, chapter 7.
struct ClassificationScores {
  double precision = 0,  ///< of what was predicted, the share that is right
      recall = 0,        ///< of what is wanted, the share that was predicted
      f1 = 0;            ///< their harmonic mean
};

/// Scores from counts: right predictions, all predictions, all targets.
inline ClassificationScores scores_of(std::int64_t right, std::int64_t predicted, std::int64_t wanted) {
  const auto ratio = [](std::int64_t a, std::int64_t b) {
    return b > 0 ? static_cast<double>(a) / static_cast<double>(b) : 0;
  };
  return {ratio(right, predicted), ratio(right, wanted), ratio(2 * right, predicted + wanted)};
}

/// How often each class was predicted where each was wanted, and the scores that follow.
/// scikit-learn: confusion_matrix, precision_recall_fscore_support with zero_division=0.
class ConfusionMatrix {
 public:
  /// Throws ArgumentError when `classes` is outside [1, 2^15].
  explicit ConfusionMatrix(std::int64_t classes) : classes_(classes) {
    detail::require<ArgumentError>(classes > 0 && classes <= 1 << 15, "confusion matrix: ", classes, " classes");
    counts_.resize(static_cast<std::size_t>(classes * classes));
  }

  /// Counts predictions; those whose target is negative are left out. Throws ArgumentError when the numbers of both
  /// differ, or one is no class; then nothing was counted.
  void add(std::span<const std::int32_t> targets, std::span<const std::int32_t> predictions) {
    detail::require<ArgumentError>(targets.size() == predictions.size(), "confusion matrix: ", targets.size(),
                                   " targets and ", predictions.size(), " predictions");
    for (std::size_t i = 0; i < targets.size(); ++i)
      detail::require<ArgumentError>(
          targets[i] < 0 || (targets[i] < classes_ && predictions[i] >= 0 && predictions[i] < classes_),
          "confusion matrix: target ", targets[i], " and prediction ", predictions[i], " of ", classes_, " classes");
    for (std::size_t i = 0; i < targets.size(); ++i)
      if (targets[i] >= 0) ++counts_[place(targets[i], predictions[i])];
  }

  /// The number of classes.
  std::int64_t classes() const { return classes_; }
  /// How often `predicted` was predicted where `target` was wanted; Throws ArgumentError where one is no class.
  std::int64_t count(std::int64_t target, std::int64_t predicted) const {
    detail::require<ArgumentError>(target >= 0 && target < classes_ && predicted >= 0 && predicted < classes_,
                                   "confusion matrix: target ", target, " and prediction ", predicted, " of ", classes_,
                                   " classes");
    return counts_[place(target, predicted)];
  }

  /// The share of right predictions, which is also precision, recall and F1 in their micro average; 0 of none.
  double accuracy() const {
    std::int64_t right = 0, all = 0;
    for (std::int64_t c = 0; c < classes_; ++c) {
      right += count(c, c);
      all += wanted(c);
    }
    return scores_of(right, all, all).f1;
  }

  /// Of one class against all others; of two classes, scores(1) are the usual binary scores. Throws ArgumentError when
  /// c is no class.
  ClassificationScores scores(std::int64_t c) const { return scores_of(count(c, c), predicted(c), wanted(c)); }

  /// The mean over classes, each counting the same; those that were neither wanted nor predicted are left out.
  /// scikit-learn: average="macro".
  ClassificationScores macro_scores() const {
    ClassificationScores sum;
    double present = 0;
    for (std::int64_t c = 0; c < classes_; ++c) {
      if (wanted(c) + predicted(c) == 0) continue;
      const ClassificationScores one = scores(c);
      sum = {sum.precision + one.precision, sum.recall + one.recall, sum.f1 + one.f1};
      ++present;
    }
    if (present == 0) return {};
    return {sum.precision / present, sum.recall / present, sum.f1 / present};
  }

 private:
  std::size_t place(std::int64_t target, std::int64_t predicted) const {
    return static_cast<std::size_t>(target * classes_ + predicted);
  }
  std::int64_t wanted(std::int64_t c) const {
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < classes_; ++i) sum += count(c, i);
    return sum;
  }
  std::int64_t predicted(std::int64_t c) const {
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < classes_; ++i) sum += count(i, c);
    return sum;
  }

  std::int64_t classes_;
  std::vector<std::int64_t> counts_;  // (target, predicted)
};

}  // namespace plinth
