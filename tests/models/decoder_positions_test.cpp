// SPDX-License-Identifier: MIT
// Every kind of position in a decoder: against MPT and Llama of transformers, by what each kind must not change, and
// with a cache. The numbers and the script that made them are in tests/golden.
#include <plinth/models/decoder.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <plinth/io/safetensors_file.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"

using namespace plinth;
using Ids = Tensor<std::int32_t>;

namespace {

const TransformerConfig sizes = {
    .vocabulary = 17, .context = 24, .hidden = 24, .layers = 2, .heads = 3, .feed_forward = 96};

template <class T>
double worst_difference(const std::vector<T>& a, const std::vector<T>& b) {
  REQUIRE(a.size() == b.size());
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(static_cast<double>(a[i] - b[i])));
  return worst;
}

/// The logits of golden tokens under weights `weights`.<name> against `logits`, relative to the largest.
template <class T>
void compare(const std::string& weights, const std::string& logits, const TransformerConfig& config) {
  INFO(logits);
  const SafetensorsFile golden("tests/golden/decoder_positions.safetensors");
  Decoder<T> model(config);
  for_each_parameter(model, [&](const std::string& name, Tensor<T>& x) {
    REQUIRE(golden.shape(weights + "." + name) == x.shape());
    x = Tensor<T>(x.shape(), golden.read<T>(weights + "." + name));
  });
  const auto found = model(Ids(golden.shape("tokens"), golden.read<std::int32_t>("tokens"))).to_vector();
  const auto expected = golden.read<T>(logits);
  double largest = 0;
  for (const T value : expected) largest = std::max(largest, std::abs(static_cast<double>(value)));
  CHECK(worst_difference(found, expected) < 1e-5 * largest);
}

TransformerConfig with_positions(PositionKind kind) {
  TransformerConfig config = sizes;
  config.position = kind;
  return config;
}

/// A decoder whose weights are large enough for positions to matter.
Decoder<double> decoder(const TransformerConfig& config) {
  Decoder<double> model(config);
  std::uint32_t site = 0;
  for_each_parameter(model, [&](const std::string&, Tensor<double>& x) {
    x = Tensor<double>(x.shape(), numbers::normal<double>(x.count(), ++site, 0.3, x.rank() == 1 ? 0.5 : 0));
  });
  return model;
}

Ids tokens(std::int64_t B, std::int64_t T) { return Ids({B, T}, numbers::below(17, B * T, 1)); }

/// (B, T) positions that count from `first` by `step`.
Ids positions(std::int64_t B, std::int64_t T, std::int32_t first, std::int32_t step = 1) {
  std::vector<std::int32_t> all;
  for (std::int64_t i = 0; i < B * T; ++i) all.push_back(first + step * static_cast<std::int32_t>(i % T));
  return Ids({B, T}, all);
}

}  // namespace

TEMPLATE_TEST_CASE("a decoder with ALiBi is MPT", "", float, double) {
  TransformerConfig config = with_positions(PositionKind::alibi);
  config.activation = ActivationKind::gelu;
  config.bias = false;
  compare<TestType>("alibi.weights", "alibi.logits", config);
}

TEMPLATE_TEST_CASE("decoders with scaled RoPE are those of transformers", "", float, double) {
  using enum RopeScalingKind;
  TransformerConfig config = llama_shape(sizes);
  config.key_heads = 1;
  config.rope_theta = 100;
  const auto check = [&](const char* logits, RopeScalingKind kind) {
    config.rope_scaling = {.kind = kind, .factor = 3, .original_context = 8};
    compare<TestType>("rope.weights", logits, config);
  };
  check("linear.logits", linear);
  check("dynamic_ntk.logits", dynamic_ntk);
  check("yarn.logits", yarn);
  check("llama3.logits", llama3);
}

TEST_CASE("sinusoidal positions are a learned table that is not learned") {
  TransformerConfig config = with_positions(PositionKind::sinusoidal);
  config.tied_head = false;
  const auto fixed = decoder(config);
  config.position = PositionKind::learned;
  auto learned = decoder(config);
  for_each_parameter(learned, [&](const std::string& name, Tensor<double>& x) {
    for_each_parameter(fixed, [&](const std::string& other, const Tensor<double>& y) {
      if (name == other) x = y;
    });
  });
  learned.input.token_embedding.weight = fixed.input.token_embedding.weight * std::sqrt(24.0);  // Vaswani et al. 2017, section 3.4
  learned.input.position_embedding->weight = SinusoidalTable<double>(24, 24).values;
  CHECK(parameter_count(fixed) == parameter_count(learned) - 24 * 24);
  CHECK(worst_difference(fixed(tokens(2, 9)).to_vector(), learned(tokens(2, 9)).to_vector()) < 1e-12);
}

TEST_CASE("what a decoder knows of positions") {
  using enum PositionKind;
  const auto ids = tokens(2, 7);
  for (const auto kind : {learned, sinusoidal, rotary, alibi, none}) {
    INFO("kind " << static_cast<int>(kind));
    const auto model = decoder(with_positions(kind));
    const auto here = model(ids).to_vector(), shifted = model(ids, positions(2, 7, 5)).to_vector(),
               stretched = model(ids, positions(2, 7, 0, 2)).to_vector();
    CHECK(model(ids, positions(2, 7, 0)).to_vector() == here);
    const bool relative = kind == rotary || kind == alibi || kind == none;
    CHECK((worst_difference(here, shifted) < 1e-10) == relative);
    CHECK((worst_difference(here, stretched) < 1e-10) == (kind == none));
  }
}

TEST_CASE("positions pressed together by linear scaling are those in between") {
  TransformerConfig config = with_positions(PositionKind::rotary);
  const auto plain = decoder(config);
  config.rope_scaling = {.kind = RopeScalingKind::linear, .factor = 2};
  const auto scaled = decoder(config);
  const auto ids = tokens(2, 7);
  CHECK(worst_difference(plain(ids).to_vector(), scaled(ids, positions(2, 7, 0, 2)).to_vector()) < 1e-12);
}

TEST_CASE("rows of different length in a cache have the positions of rows alone, for every kind") {
  using enum PositionKind;
  const NoGradient frozen;
  for (const auto kind : {learned, sinusoidal, rotary, alibi, none}) {
    INFO("kind " << static_cast<int>(kind));
    const auto model = decoder(with_positions(kind));
    const auto ids = tokens(2, 8);
    KeyValueCache<double> cache(2, 24);
    model(slice(ids, 1, 0, 5), {}, &cache);
    cache.truncate({5, 3});  // the second row goes on after three tokens
    const auto next = slice(ids, 1, 5, 8);
    const auto both = model(next, {}, &cache);
    for (std::int64_t b = 0; b < 2; ++b) {
      const auto row = slice(ids, 0, b, b + 1);
      const auto alone = model(concatenate(slice(row, 1, 0, b == 0 ? 5 : 3), slice(row, 1, 5, 8), 1));
      const auto expected = slice(alone, 1, alone.size(1) - 3, alone.size(1)).to_vector();
      CHECK(worst_difference(slice(both, 0, b, b + 1).to_vector(), expected) < 1e-10);
    }
  }
}

TEST_CASE("gradients reach every parameter for every kind of position, the same with checkpoints") {
  using enum PositionKind;
  const Tensor<double> dlogits({2, 7, 17}, numbers::normal<double>(2 * 7 * 17, 9));
  for (const auto kind : {learned, sinusoidal, rotary, alibi, none}) {
    INFO("kind " << static_cast<int>(kind));
    auto model = decoder(with_positions(kind));
    set_trainable(model, true);
    const auto gradients = [&](std::int64_t blocks_per_checkpoint) {
      model.stack.blocks_per_checkpoint = blocks_per_checkpoint;
      clear_gradients(model);
      backward(model(tokens(2, 7)), dlogits);
      CHECK(unreached(model).empty());
      std::vector<std::vector<double>> all;
      for_each_parameter(model, [&](const std::string&, const auto& x) { all.push_back(gradient(x).to_vector()); });
      return all;
    };
    CHECK(gradients(0) == gradients(1));
  }
}

TEST_CASE("without a table of positions a decoder reads past the context it was made for") {
  for (const auto kind : {PositionKind::alibi, PositionKind::none}) {
    auto model = decoder(with_positions(kind));
    CHECK_THROWS_AS(model(tokens(1, 30)), ArgumentError);
    model.config.context = 30;
    const auto longer = model(tokens(1, 30));
    CHECK(worst_difference(slice(longer, 1, 0, 24).to_vector(), model(slice(tokens(1, 30), 1, 0, 24)).to_vector()) <
          1e-10);
  }
}
