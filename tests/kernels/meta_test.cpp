// SPDX-License-Identifier: MIT
// What the meta device counts of attention, against a count of the pairs one by one.
#include <plinth/kernels/meta.hpp>

#include "catch.hpp"

using namespace plinth;

namespace {

/// Pairs of a query and a key that it sees: the last query stands at the last key, a causal one sees none behind its
/// own, and with a window only the last `window` of these.
double counted_pairs(const AttentionShape& s) {
  double pairs = 0;
  for (std::int64_t i = 0; i < s.queries; ++i)
    for (std::int64_t j = 0; j < s.keys; ++j) {
      const std::int64_t behind = s.keys - s.queries + i - j;  // keys from this one to the query's own
      if (!s.causal || (behind >= 0 && (s.window == 0 || behind < s.window))) ++pairs;
    }
  return pairs;
}

}  // namespace

TEST_CASE("operations of attention are those of the pairs that are seen") {
  auto& queue = plinth::queue<Meta>::current();
  for (const std::int64_t queries : {1, 5, 12, 17})
    for (const std::int64_t keys : {1, 4, 12, 40})
      for (const std::int64_t window : {-1, 0, 1, 3, 12, 100}) {  // -1: not causal
        AttentionShape s{.batch = 2, .heads = 3, .key_heads = 1, .queries = queries, .keys = keys, .head_size = 8};
        s.causal = window >= 0;
        s.window = s.causal ? window : 0;
        INFO(queries << " queries, " << keys << " keys, window " << window);
        const double product = 2 * 2 * 3 * 8 * counted_pairs(s), before = queue.flops;
        kernels<Meta>::attention(queue, s);
        const double forward = queue.flops;
        kernels<Meta>::attention_backward(queue, s);
        CHECK(forward - before == 2 * product);
        CHECK(queue.flops - forward == 5 * product);
      }
}
