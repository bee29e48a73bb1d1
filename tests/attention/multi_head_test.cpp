// SPDX-License-Identifier: MIT
// Multi-head attention: cross-attention, head sizes, dropout of probabilities, and what is refused.
#include <plinth/attention/multi_head.hpp>

#include <cmath>
#include <cstdint>
#include <vector>

#include <plinth/autograd/gradcheck.hpp>
#include <plinth/kernels/cpu.hpp>

#include "attention/random_attention.hpp"
#include "catch.hpp"
#include "kernels/numbers.hpp"

using namespace plinth;
using Catch::Matchers::Contains;
using random_attention::random;
using random_attention::with_random_weights;

namespace {

void refuses(const AttentionConfig& config, const char* text) {
  CHECK_THROWS_AS(MultiHeadAttention<double>(config), ArgumentError);
  CHECK_THROWS_WITH(MultiHeadAttention<double>(config), Contains(text));
}

}  // namespace

TEST_CASE("attention to oneself is cross-attention to oneself") {
  const auto attend = with_random_weights({.channels = 12, .heads = 4, .key_heads = 2});
  const auto x = random({2, 5, 12}, 1);
  for (const bool causal : {false, true}) {
    const AttentionMask<double> mask{.causal = causal};
    CHECK(attend(x, attend.keys_and_values(x), mask).to_vector() == attend(x, mask).to_vector());
  }
}

TEST_CASE("a memory may have another length, and its padding is not seen") {
  const auto attend = with_random_weights({.channels = 12, .heads = 3});
  const auto x = random({2, 4, 12}, 1), memory = random({2, 7, 12}, 2);
  const auto y = attend(x, attend.keys_and_values(memory), {.rows = right_padding({7, 3})});
  CHECK(y.shape() == Shape{2, 4, 12});
  const auto second = slice(x, 0, 1, 2), cut = slice(slice(memory, 0, 1, 2), 1, 0, 3);
  CHECK(numbers::distance(slice(y, 0, 1, 2).to_vector(), attend(second, attend.keys_and_values(cut)).to_vector()) <
        1e-14);
  backward(y, random(y.shape(), 3));
  CHECK(unreached(attend).empty());
}

TEST_CASE("a head size of its own and a scale, as T5 has them") {
  const auto attend = with_random_weights({.channels = 6, .heads = 2, .head_size = 5, .bias = false, .scale = 1});
  CHECK(attend.query.weight.shape() == Shape{10, 6});
  CHECK(attend.output.weight.shape() == Shape{6, 10});
  const auto x = random({1, 3, 6}, 1);
  const auto q = split_heads(attend.query(x), 2), k = split_heads(attend.key(x), 2),
             v = split_heads(attend.value(x), 2);
  const auto expected = attend.output(merge_heads(matmul(softmax(matmul(q, transpose(k))), v)));
  CHECK(numbers::distance(attend(x, {.causal = false}).to_vector(), expected.to_vector()) < 1e-14);
}

TEST_CASE("dropout of probabilities acts in training, at the rate asked for, and keeps the mean") {
  const std::int64_t B = 4, H = 2, T = 40;
  const auto q = random({B, H, T, T}, 1), k = random({B, H, T, T}, 2);
  std::vector<double> one_hot(static_cast<std::size_t>(B * H * T * T));
  for (std::size_t i = 0; i < one_hot.size(); ++i) one_hot[i] = i / 40 % 40 == i % 40 ? 1 : 0;
  const Tensor<double> identity({B, H, T, T}, one_hot);  // as values: the output is the probabilities
  const Dropout dropout{0.25, 3};
  const auto kept = attention(q, k, identity).to_vector();
  CHECK(attention(q, k, identity, {}, 0, dropout).to_vector() == kept);
  const TrainingScope<Cpu> training(1, 5);
  const auto dropped = attention(q, k, identity, {}, 0, dropout).to_vector();
  double zeros = 0;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (dropped[i] == 0)
      ++zeros;
    else if (std::abs(dropped[i] - kept[i] / 0.75) > 1e-12)
      FAIL_CHECK("probability " << i << " became " << dropped[i]);
  }
  const auto n = static_cast<double>(kept.size());
  CHECK(std::abs(zeros - 0.25 * n) < 5 * std::sqrt(n * 0.25 * 0.75));
  CHECK(attention(q, k, identity, {}, 0, dropout).to_vector() == dropped);
  CHECK(attention(q, k, identity, {}, 0, Dropout{0.25, 4}).to_vector() != dropped);
}

TEST_CASE("gradients pass through dropped probabilities") {
  auto q = random({1, 1, 3, 2}, 1), k = random({1, 1, 3, 2}, 2), v = random({1, 1, 3, 2}, 3);
  const TrainingScope<Cpu> training(1, 5);
  const auto f = [](const std::vector<Tensor<double>>& x) {
    return attention(x[0], x[1], x[2], {.causal = true}, 0, Dropout{0.4, 3});
  };
  CHECK(gradcheck<Cpu>(f, {q, k, v}) == "");
}

TEST_CASE("configs that cannot be are refused") {
  refuses({.channels = 10, .heads = 3}, "10 channels cannot be split into 3 heads");
  refuses({.channels = 10, .heads = 0}, "0 heads");
  refuses({.channels = 12, .heads = 4, .key_heads = 3}, "4 heads cannot share 3 key heads");
  CHECK_NOTHROW(MultiHeadAttention<double>({.channels = 10, .heads = 3, .head_size = 2}));
}
