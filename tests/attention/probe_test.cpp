// SPDX-License-Identifier: MIT
// Attention's probabilities, asked for alone and by a probe; numbers printed by
// golden/attention_probabilities_golden.py.
#include <plinth/attention/probe.hpp>

#include <cmath>
#include <cstdint>
#include <vector>

#include <plinth/attention/multi_head.hpp>
#include <plinth/kernels/cpu.hpp>

#include "attention/random_attention.hpp"
#include "catch.hpp"
#include "kernels/numbers.hpp"

using namespace plinth;
using Catch::Matchers::Contains;
using random_attention::random;
using random_attention::with_random_weights;

TEST_CASE("probabilities of causal heads that share their keys") {
  std::vector<double> q, k;
  for (int i = 1; i <= 12; ++i) q.push_back(std::sin(i));
  for (int i = 1; i <= 6; ++i) k.push_back(std::cos(i));
  const auto found = attention_probabilities(Tensor<double>({1, 2, 3, 2}, q), Tensor<double>({1, 1, 3, 2}, k),
                                             AttentionMask<double>{.causal = true});
  const std::vector<double> expected = {1.0,
                                        0.0,
                                        0.0,
                                        0.506401981563799,
                                        0.4935980184362011,
                                        0.0,
                                        0.2055556176437285,
                                        0.6080608652805072,
                                        0.18638351707576412,
                                        1.0,
                                        0.0,
                                        0.0,
                                        0.5877290881729209,
                                        0.41227091182707915,
                                        0.0,
                                        0.20241758591957917,
                                        0.6536118953444796,
                                        0.1439705187359412};
  CHECK(found.shape() == Shape{1, 2, 3, 3});
  CHECK(numbers::distance(found.to_vector(), expected) < 1e-14);
}

TEST_CASE("probabilities weigh the values to what attention gives") {
  const auto q = random({2, 4, 5, 3}, 1), k = random({2, 4, 6, 3}, 2), v = random({2, 4, 6, 3}, 3);
  for (const AttentionMask<double>& mask :
       {AttentionMask<double>{}, AttentionMask<double>{.causal = true, .window = 2},
        AttentionMask<double>{.rows = right_padding({6, 3})}, AttentionMask<double>{.bias = random({5, 6}, 4)}}) {
    const auto weighed = matmul(attention_probabilities(q, k, mask, 0.7), v);
    CHECK(numbers::distance(weighed.to_vector(), attention(q, k, v, mask, 0.7).to_vector()) < 1e-14);
  }
}

TEST_CASE("what has no probabilities is refused with both shapes") {
  const auto wrong = [] { return attention_probabilities(random({1, 3, 2, 4}, 1), random({1, 2, 2, 4}, 2)); };
  CHECK_THROWS_AS(wrong(), ShapeError);
  CHECK_THROWS_WITH(wrong(), Contains("(1, 3, 2, 4)") && Contains("(1, 2, 2, 4)"));
}

TEST_CASE("a probe is told of self-attention and changes no bit of it") {
  const auto attend = with_random_weights({.channels = 8, .heads = 4, .key_heads = 2});
  const auto x = random({2, 5, 8}, 1);
  const RotaryTable<double, Cpu> table(5, 2, 10000, RotaryLayout::half_split);
  Probe<double> probe;
  SequenceContext<double> context{KeyValueCache<double>(2, 5).next_positions(5), &table};
  const AttentionMask<double> mask{.causal = true};
  const auto plain = attend(x, mask, context);
  context.probe = &probe;
  const auto probed = attend(x, mask, context);
  CHECK(probed.to_vector() == plain.to_vector());
  REQUIRE(probe.attention.size() == 1);
  const auto& p = probe.attention[0];
  CHECK(p.shape() == Shape{2, 4, 5, 5});
  CHECK_FALSE(needs_gradient(p));
  const auto values = broadcast_to(reshape(attend.keys_and_values(x).values, {2, 2, 1, 5, 2}), {2, 2, 2, 5, 2});
  const auto heads = matmul(p, reshape(values, {2, 4, 5, 2}));
  CHECK(numbers::distance(attend.output(merge_heads(heads)).to_vector(), plain.to_vector()) < 1e-14);
}

TEST_CASE("a probe of a pass with a cache is told of the earlier keys too") {
  const auto attend = with_random_weights({.channels = 4, .heads = 2});
  const NoGradient no_gradient;
  const auto x = random({1, 5, 4}, 1);
  Probe<double> whole, parts;
  const AttentionMask<double> mask{.causal = true};
  attend(x, mask, {.probe = &whole});
  KeyValueCache<double> cache(1, 5);
  for (const std::int64_t at : {0, 3}) {
    const std::int64_t end = at == 0 ? 3 : 5;
    attend(slice(x, 1, at, end), mask, {.cache = &cache, .probe = &parts});
    cache.advance(end - at);
  }
  REQUIRE(parts.attention.size() == 2);
  CHECK(parts.attention[1].shape() == Shape{1, 2, 2, 5});
  CHECK(numbers::distance(parts.attention[1].to_vector(), slice(whole.attention[0], 2, 3, 5).to_vector()) < 1e-14);
}
