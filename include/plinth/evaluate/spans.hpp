// SPDX-License-Identifier: MIT
// How good a token classifier is at finding spans, such as names: a span counts when both its ends and its type are
// right.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <plinth/evaluate/classification.hpp>

namespace plinth {

/// Tokens [begin, end) of one sequence, and their type.
struct TokenSpan {
  std::int64_t begin = 0,  ///< the first token
      end = 0;             ///< behind the last
  std::int32_t type = 0;   ///< k of the tags 2 k + 1 and 2 k + 2
  /// Whether ends and type are the same.
  bool operator==(const TokenSpan&) const = default;
};

/// The spans in the tags of one sequence in the IOB2 scheme: tag 0 is outside, 2 k + 1 begins a span of type k and
/// 2 k + 2 goes on with it. A tag that goes on with nothing of its type begins a span; a negative one is outside.
/// Ramshaw & Marcus 1995; read as the CoNLL-2000 evaluation does.  seqeval: get_entities.
inline std::vector<TokenSpan> token_spans(std::span<const std::int32_t> tags) {
  std::vector<TokenSpan> spans;
  bool inside = false;
  for (std::size_t i = 0; i < tags.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    const bool outside = tags[i] <= 0, begins = !outside && tags[i] % 2 == 1;
    const std::int32_t type = (tags[i] - 1) / 2;
    if (!outside && !begins && inside && spans.back().type == type)
      spans.back().end = at + 1;
    else if (!outside)
      spans.push_back({at, at + 1, type});
    inside = !outside;
  }
  return spans;
}

/// Precision, recall and F1 over the spans of all sequences together.  seqeval: f1_score, micro average.
class SpanScores {
 public:
  /// Counts the spans of one sequence. A token with a negative target, such as padding or the later parts of a word, is
  /// left out as if it were not there.
  /// Throws ArgumentError when the numbers of tags differ.
  void add(std::span<const std::int32_t> targets, std::span<const std::int32_t> predictions) {
    detail::require<ArgumentError>(targets.size() == predictions.size(), "span scores: ", targets.size(),
                                   " targets and ", predictions.size(), " predictions");
    std::vector<std::int32_t> wanted_tags, predicted_tags;
    for (std::size_t i = 0; i < targets.size(); ++i) {
      if (targets[i] < 0) continue;
      wanted_tags.push_back(targets[i]);
      predicted_tags.push_back(predictions[i]);
    }
    const auto found = token_spans(predicted_tags), right = token_spans(wanted_tags);
    for (const TokenSpan& one : found) right_ += std::find(right.begin(), right.end(), one) != right.end();
    predicted_ += static_cast<std::int64_t>(found.size());
    wanted_ += static_cast<std::int64_t>(right.size());
  }
  /// Of all spans counted so far; each score is 0 where it would divide by 0.
  ClassificationScores scores() const { return scores_of(right_, predicted_, wanted_); }

 private:
  std::int64_t right_ = 0, predicted_ = 0, wanted_ = 0;
};

}  // namespace plinth
