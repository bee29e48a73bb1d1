// SPDX-License-Identifier: MIT
// Masks: rows of padded sequences, and what they mean for the sequences without the padding.
// Sums, gradients and refusals of masked attention are in the op table.
#include <plinth/attention/mask.hpp>

#include <cstdint>
#include <vector>

#include <plinth/attention/attention.hpp>
#include <plinth/kernels/cpu.hpp>

#include "attention/random_attention.hpp"
#include "catch.hpp"
#include "kernels/numbers.hpp"

using namespace plinth;
using random_attention::random;

namespace {

/// Times [begin, end) of one batch row.
Tensor<double> part(const Tensor<double>& x, std::int64_t row, std::int64_t begin, std::int64_t end) {
  return slice(slice(x, 0, row, row + 1), 2, begin, end);
}

}  // namespace

TEST_CASE("rows of padded sequences") {
  using Values = std::vector<std::int32_t>;
  CHECK(right_padding({5, 0, 3}).to_vector() == Values{0, 0, 5, 0, 0, 0, 0, 0, 3});
  CHECK(left_padding({5, 0, 3}, 5).to_vector() == Values{0, 0, 5, 0, 5, 5, 0, 2, 5});
  CHECK(right_padding({5, 0, 3}).shape() == Shape{3, 3});
  CHECK(left_padding({}, 5).shape() == Shape{0, 3});
}

TEST_CASE("padding changes nothing for the tokens of a sequence") {
  const std::vector<std::int64_t> lengths = {7, 1, 4};
  const std::int64_t time = 7;
  const auto q = random({3, 4, time, 5}, 1), k = random({3, 2, time, 5}, 2), v = random({3, 2, time, 5}, 3);
  for (const bool causal : {false, true})
    for (const bool right : {false, true}) {
      const AttentionMask<double> mask{.causal = causal,
                                       .rows = right ? right_padding(lengths) : left_padding(lengths, time)};
      const auto together = attention(q, k, v, mask), composed = composed_attention(q, k, v, mask);
      for (std::int64_t row = 0; row < 3; ++row) {
        const std::int64_t length = lengths[static_cast<std::size_t>(row)], begin = right ? 0 : time - length;
        const auto of = [&](const Tensor<double>& x) { return part(x, row, begin, begin + length); };
        const auto alone = attention(of(q), of(k), of(v), {.causal = causal}).to_vector();
        INFO("row " << row << (causal ? " causal" : "") << (right ? " right" : " left"));
        CHECK(numbers::distance(of(together).to_vector(), alone) < 1e-14);
        CHECK(numbers::distance(of(composed).to_vector(), alone) < 1e-14);
      }
    }
}

TEST_CASE("queries of a padding on the left see nothing and yield zeros") {
  const auto x = random({2, 1, 4, 3}, 1);
  const auto y = attention(x, x, x, {.causal = true, .rows = left_padding({2, 4}, 4)}).to_vector();
  CHECK(std::vector<double>(y.begin(), y.begin() + 6) == std::vector<double>(6));
  CHECK(y[6] != 0);
  CHECK(y[12] != 0);
}

TEST_CASE("a window as long as the sequence is none, one of 1 copies the values") {
  const auto q = random({1, 2, 9, 3}, 1), k = random({1, 2, 9, 3}, 2), v = random({1, 2, 9, 3}, 3);
  CHECK(attention(q, k, v, {.causal = true, .window = 9}).to_vector() ==
        attention(q, k, v, {.causal = true}).to_vector());
  CHECK(numbers::distance(attention(q, k, v, {.causal = true, .window = 1}).to_vector(), v.to_vector()) < 1e-15);
}

TEST_CASE("a bias of minus infinity hides a key, of everything yields zeros") {
  const auto q = random({1, 2, 3, 4}, 1), k = random({1, 2, 3, 4}, 2), v = random({1, 2, 3, 4}, 3);
  const double o = 0, x = -std::numeric_limits<double>::infinity();
  const Tensor<double> triangle({3, 3}, {o, x, x, o, o, x, o, o, o});
  CHECK(numbers::distance(attention(q, k, v, {.bias = triangle}).to_vector(),
                          attention(q, k, v, {.causal = true}).to_vector()) < 1e-15);
  Tensor<double> nothing({1}, {x});
  auto wanted = clone(q);
  require_gradient(wanted);
  require_gradient(nothing);
  const auto y = attention(wanted, k, v, {.bias = nothing});
  backward(y, v);
  CHECK(y.to_vector() == std::vector<double>(24));
  CHECK(gradient(wanted).to_vector() == std::vector<double>(24));
  CHECK(gradient(nothing).to_vector() == std::vector<double>(1));
}
