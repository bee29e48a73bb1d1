// SPDX-License-Identifier: MIT
// Spans of tags and their scores against seqeval 1.2.2: tests/golden/evaluation_golden.py prints them.
#include <plinth/evaluate/spans.hpp>

#include <vector>

#include "catch.hpp"

using namespace plinth;

namespace {

using Tags = std::vector<std::int32_t>;  // outside 0, B-A 1, I-A 2, B-B 3, I-B 4

const std::vector<Tags> targets = {{1, 2, 0, 3, 4, 4, 0}, {2, 2, 3, 1, 1, 2}, {0, 0, 4, 2, 0, 3}, {0, 0}, {3, 4, 0, 1}};
const std::vector<Tags> found = {{1, 2, 0, 3, 4, 0, 0}, {1, 2, 3, 1, 2, 2}, {0, 1, 4, 2, 0, 3}, {3, 1}, {3, 4, 0, 0}};

}  // namespace

TEST_CASE("spans begin and end as in seqeval") {
  using Spans = std::vector<TokenSpan>;
  CHECK(token_spans(targets[0]) == Spans{{0, 2, 0}, {3, 6, 1}});
  CHECK(token_spans(targets[1]) == Spans{{0, 2, 0}, {2, 3, 1}, {3, 4, 0}, {4, 6, 0}});
  CHECK(token_spans(targets[2]) == Spans{{2, 3, 1}, {3, 4, 0}, {5, 6, 1}});
  CHECK(token_spans(Tags{}).empty());
  CHECK(token_spans(Tags{-1, 2, -1, 2}) == Spans{{1, 2, 0}, {3, 4, 0}});
}

TEST_CASE("span scores as in seqeval") {
  SpanScores all;
  for (std::size_t i = 0; i < targets.size(); ++i) all.add(targets[i], found[i]);
  CHECK(all.scores().precision == Approx(0.58333333333333337).epsilon(1e-14));
  CHECK(all.scores().recall == Approx(0.63636363636363635).epsilon(1e-14));
  CHECK(all.scores().f1 == Approx(0.60869565217391308).epsilon(1e-14));
}

TEST_CASE("span scores leave out what has no target") {
  SpanScores scores;
  CHECK(scores.scores().f1 == 0);
  scores.add(Tags{-1, 1, -1, 2, 0, -1}, Tags{3, 1, 0, 2, 0, 1});
  CHECK(scores.scores().precision == 1);
  CHECK(scores.scores().recall == 1);
  CHECK_THROWS_AS(scores.add(Tags{1}, Tags{}), ArgumentError);
}
