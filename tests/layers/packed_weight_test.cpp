// SPDX-License-Identifier: MIT
// Packed weights: the same bits, for as long as the weight is the one that was packed.
#include <plinth/layers/packed_weight.hpp>

#include <cstring>
#include <vector>

#include <plinth/activation/gelu.hpp>
#include <plinth/generate/generate.hpp>
#include <plinth/models/decoder.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"
#include "kernels/plain_backend.hpp"

using namespace plinth;

namespace {

template <class T, class D = Cpu>
Tensor<T, D> normal(const Shape& shape, std::uint32_t site) {
  return Tensor<T, D>(shape, numbers::normal<T>(element_count(shape), site));
}

template <class T>
bool same_bits(const Tensor<T>& a, const Tensor<T>& b) {
  return std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.count()) * sizeof(T)) == 0;
}

}  // namespace

TEMPLATE_TEST_CASE("a packed layer gives the same bits, and follows its weight", "", float, double, bfloat16, half) {
  Linear<TestType> layer(50, 70);
  layer.weight = normal<TestType>({70, 50}, 1);
  layer.bias = normal<TestType>({70}, 2);
  const auto x = normal<TestType>({2, 9, 50}, 3);
  const auto before = layer(x, Gelu());
  layer.pack_weight();
  REQUIRE(layer.packed.of(layer.weight));
  CHECK(same_bits(layer(x, Gelu()), before));

  const Linear<TestType> copy = layer;
  CHECK(copy.packed.of(copy.weight));

  layer.weight.mutable_data()[3] = TestType(7.0f);
  CHECK_FALSE(layer.packed.of(layer.weight));
  Linear<TestType> fresh;
  fresh.weight = clone(layer.weight);
  fresh.bias = layer.bias;
  CHECK(same_bits(layer(x), fresh(x)));
  CHECK_FALSE(same_bits(layer(x, Gelu()), before));
  layer.pack_weight();
  CHECK(layer.packed.of(layer.weight));
  CHECK(same_bits(layer(x), fresh(x)));

  layer.weight = normal<TestType>({70, 50}, 4);  // another tensor
  CHECK_FALSE(layer.packed.of(layer.weight));
  layer.weight = transpose(normal<TestType>({50, 70}, 5), 0, 1);  // columns side by side
  fresh.weight = clone(layer.weight);
  layer.pack_weight();
  CHECK(layer.packed.of(layer.weight));
  CHECK_FALSE(layer.packed.of(transpose(layer.weight, 0, 1)));
  const auto packed = layer(x);
  layer.packed = {};
  CHECK(same_bits(layer(x), packed));
  CHECK(numbers::distance(packed.to_vector(), fresh(x).to_vector()) < 1e-2);
}

TEST_CASE("a packed layer has gradients, those of the weight it has") {
  Linear<double> layer(5, 4);
  layer.weight = normal<double>({4, 5}, 1);
  require_gradient(layer.weight);
  const auto x = normal<double>({3, 5}, 2), seed = normal<double>({3, 4}, 3);
  backward(layer(x), seed);
  const auto expected = gradient(layer.weight).to_vector();
  clear_gradient(layer.weight);
  layer.pack_weight();
  backward(layer(x), seed);
  CHECK(gradient(layer.weight).to_vector() == expected);
}

TEST_CASE("a model with packed weights writes the same text") {
  Decoder<float> model(
      {.vocabulary = 11, .context = 40, .hidden = 32, .layers = 2, .heads = 2, .gated = true, .tied_head = false});
  const std::vector<std::int32_t> prompt = {1, 2, 3, 4, 5, 6, 7};
  const Tensor<std::int32_t> tokens({1, 7}, prompt);
  const auto written = generate(model, prompt, {.length = 20});
  const auto logits = model(tokens);
  pack_weights(model);
  for (const auto& block : model.stack.blocks) {
    CHECK(block.attention.query.packed.of(block.attention.query.weight));
    CHECK(block.feed_forward.gate->packed.of(block.feed_forward.gate->weight));
    CHECK(block.feed_forward.down.packed.of(block.feed_forward.down.weight));
  }
  CHECK(same_bits(model(tokens), logits));
  CHECK(generate(model, prompt, {.length = 20}) == written);
}

TEST_CASE("a backend without a layout of its own packs nothing") {
  Linear<float, Plain> layer(5, 4);
  layer.weight = normal<float, Plain>({4, 5}, 1);
  layer.pack_weight();
  CHECK_FALSE(layer.packed.of(layer.weight));
  CHECK(layer(normal<float, Plain>({3, 5}, 2)).shape() == Shape({3, 4}));
}

TEST_CASE("no memory for a packed weight") {
  Linear<float> layer(5, 4);
  memory<Cpu>::fail_after(0);
  CHECK_THROWS_AS(layer.pack_weight(), MemoryError);
  CHECK_FALSE(layer.packed.of(layer.weight));
}
