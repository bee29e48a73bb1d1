// SPDX-License-Identifier: MIT
// A probe of a model: told of every layer, in order, and without a trace in what the model computes.
#include <plinth/attention/probe.hpp>

#include <cstdint>
#include <vector>

#include <plinth/models/decoder.hpp>
#include <plinth/models/encoder.hpp>
#include <plinth/models/encoder_decoder.hpp>
#include <plinth/ops/cross_entropy.hpp>
#include <plinth/ops/reduction.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"
#include "models/small_decoders.hpp"

using namespace plinth;
using small_decoders::gpt;
using small_decoders::Ids;
using small_decoders::llama;
using small_decoders::some_ids;

namespace {

/// Three layers, and weights large enough for attention that is not the same everywhere.
TransformerConfig wide(TransformerConfig config) {
  config.layers = 3;
  config.initial_deviation = 0.2;
  return config;
}

}  // namespace

TEST_CASE("a probe of a decoder sees each block's input, the last states, and where each head looks") {
  const NoGradient no_gradient;
  for (const auto& config : {gpt, llama}) {
    const Decoder<double> model(wide(config));
    const auto ids = some_ids(2, 7);
    Probe<double> probe;
    const auto probed = model(ids, {}, nullptr, &probe);
    CHECK(probed.to_vector() == model(ids).to_vector());
    REQUIRE(probe.hidden_states.size() == 4);
    REQUIRE(probe.attention.size() == 3);
    CHECK(probe.hidden_states[3].to_vector() == model.hidden_states(ids).to_vector());
    const auto positions = KeyValueCache<double>(2, 7).next_positions(7);
    const AttentionMask<double> mask{.causal = true};
    const SequenceContext<double> context{positions, model.input.position_embedding ? nullptr : &model.stack.rotary};
    for (std::size_t layer = 0; layer < 3; ++layer) {
      const auto& block = model.stack.blocks[layer];
      const auto after = block(probe.hidden_states[layer], mask, context);
      const auto expected = layer == 2 ? (*model.stack.final_norm)(after) : after;
      CHECK(probe.hidden_states[layer + 1].to_vector() == expected.to_vector());
      Probe<double> alone;
      SequenceContext<double> watched = context;
      watched.probe = &alone;
      block.attention(block.attention_norm(probe.hidden_states[layer]), mask, watched);
      CHECK(probe.attention[layer].to_vector() == alone.attention.at(0).to_vector());
    }
  }
}

TEST_CASE("a probe sees every layer once also where gradient checkpoints are on, and stops no gradient") {
  Decoder<double> model(wide(gpt));
  const auto ids = some_ids(2, 6);
  const auto gradient_of = [&](Probe<double>* probe) {
    clear_gradients(model);
    backward(cross_entropy(model(ids, {}, nullptr, probe), ids));
    return gradient(model.input.token_embedding.weight).to_vector();
  };
  const auto expected = gradient_of(nullptr);
  model.stack.blocks_per_checkpoint = 2;
  Probe<double> probe;
  CHECK(gradient_of(&probe) == expected);
  CHECK(probe.hidden_states.size() == 4);
  CHECK(probe.attention.size() == 3);
  CHECK_FALSE(needs_gradient(probe.hidden_states[1]));
}

TEST_CASE("a probe of an encoder sees each block's input, the last states, and no head that looks at padding") {
  const NoGradient no_gradient;
  for (const auto& config : {bert_shape(gpt), gpt}) {  // norms behind and before the branches
    const Encoder<double> model(wide(config));
    const EncoderInput<double> x{some_ids(2, 7), {.rows = right_padding({7, 4})}};
    Probe<double> probe;
    const auto probed = model(x, &probe);
    CHECK(probed.to_vector() == model(x).to_vector());
    REQUIRE(probe.hidden_states.size() == 4);
    REQUIRE(probe.attention.size() == 3);
    CHECK(probe.cross_attention.empty());
    CHECK(probe.hidden_states[3].to_vector() == probed.to_vector());
    for (std::size_t layer = 0; layer < 3; ++layer) {
      const auto& block = model.stack.blocks[layer];
      const auto& h = probe.hidden_states[layer];
      const auto after = block(h, x.mask, {});
      const bool normed = layer == 2 && model.stack.final_norm;
      CHECK(probe.hidden_states[layer + 1].to_vector() ==
            (normed ? (*model.stack.final_norm)(after) : after).to_vector());
      const auto& p = probe.attention[layer];
      CHECK(p.shape() == Shape{2, 3, 7, 7});
      CHECK(numbers::distance(sum(p, 3).to_vector(), std::vector<double>(42, 1)) < 1e-12);
      for (const double seen : slice(slice(p, 0, 1, 2), 3, 4, 7).to_vector()) CHECK(seen == 0);
      const auto input = config.norm_placement == NormPlacement::pre ? block.attention_norm(h) : h;
      const auto attended =
          block.attention.output(merge_heads(matmul(p, block.attention.keys_and_values(input).values)));
      CHECK(numbers::distance(attended.to_vector(), block.attention(input, x.mask).to_vector()) < 1e-12);
    }
  }
}

TEST_CASE("a probe of an encoder-decoder sees where the decoder looks in the source, with a cache too") {
  const NoGradient no_gradient;
  for (const auto& config : {original_shape(gpt), t5_shape(gpt)}) {
    const EncoderDecoder<double> model(wide(config));
    const auto memory = model.encode(some_ids(2, 7), {.rows = right_padding({7, 4})});
    const auto target = Ids({2, 5}, numbers::below(11, 10, 2));
    Probe<double> probe;
    const auto probed = model.hidden_states(target, memory, nullptr, &probe);
    CHECK(probed.to_vector() == model.hidden_states(target, memory).to_vector());
    REQUIRE(probe.hidden_states.size() == 4);
    REQUIRE(probe.attention.size() == 3);
    REQUIRE(probe.cross_attention.size() == 3);
    Probe<double> step;
    KeyValueCache<double> cache(2, 5);
    model.hidden_states(slice(target, 1, 0, 4), memory, &cache);
    model.hidden_states(slice(target, 1, 4, 5), memory, &cache, &step);
    for (std::size_t layer = 0; layer < 3; ++layer) {
      CHECK(probe.attention[layer].shape() == Shape{2, 3, 5, 5});
      const auto& p = probe.cross_attention[layer];
      CHECK(p.shape() == Shape{2, 3, 5, 7});
      CHECK(numbers::distance(sum(p, 3).to_vector(), std::vector<double>(30, 1)) < 1e-12);
      for (const double seen : slice(slice(p, 0, 1, 2), 3, 4, 7).to_vector()) CHECK(seen == 0);
      CHECK(numbers::distance(step.cross_attention.at(layer).to_vector(), slice(p, 2, 4, 5).to_vector()) < 1e-12);
    }
  }
}
