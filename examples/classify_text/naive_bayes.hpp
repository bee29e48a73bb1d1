// SPDX-License-Identifier: MIT
// What words say without their order: the baseline that a classifier of texts must beat.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

/// argmax over classes c of log P(c) + sum over tokens of log P(token | c), with
///   P(token | c) = (count(token, c) + 1) / (count(c) + V).
/// McCallum & Nigam 1998, the multinomial model.  scikit-learn: MultinomialNB.
class NaiveBayes {
 public:
  NaiveBayes(std::int64_t vocabulary, std::size_t classes)
      : texts_(classes),
        tokens_(classes),
        counts_(classes, std::vector<double>(static_cast<std::size_t>(vocabulary))) {}

  void add(const std::vector<std::int32_t>& ids, std::int32_t label) {
    const auto c = static_cast<std::size_t>(label);
    ++texts_[c];
    for (const std::int32_t id : ids) ++counts_[c][static_cast<std::size_t>(id)], ++tokens_[c];
  }

  std::int32_t predict(const std::vector<std::int32_t>& ids) const {
    std::vector<double> score(texts_.size());
    std::size_t best = 0;
    for (std::size_t c = 0; c < score.size(); ++c) {
      score[c] = std::log(texts_[c]);
      for (const std::int32_t id : ids)
        score[c] += std::log((counts_[c][static_cast<std::size_t>(id)] + 1) /
                             (tokens_[c] + static_cast<double>(counts_[c].size())));
      if (score[c] > score[best]) best = c;
    }
    return static_cast<std::int32_t>(best);
  }

 private:
  std::vector<double> texts_, tokens_;       // (classes)
  std::vector<std::vector<double>> counts_;  // (classes, V)
};
