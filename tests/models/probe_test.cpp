// SPDX-License-Identifier: MIT
// A probe of a decoder: told of every layer, in order, and without a trace in what the decoder computes.
#include <plinth/attention/probe.hpp>

#include <cstdint>
#include <vector>

#include <plinth/models/decoder.hpp>
#include <plinth/ops/cross_entropy.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"

using namespace plinth;
using Ids = Tensor<std::int32_t>;

namespace {

const TransformerConfig gpt = {.vocabulary = 11, .context = 8, .hidden = 12, .layers = 3, .heads = 3};
const TransformerConfig llama = llama_shape(
    {.vocabulary = 11, .context = 8, .hidden = 16, .layers = 3, .heads = 4, .key_heads = 2, .feed_forward = 24});

/// Weights large enough for attention that is not the same everywhere.
Decoder<double> decoder(const TransformerConfig& config) {
  Decoder<double> model(config);
  for_each_parameter(model, [](const std::string&, Tensor<double>& x) {
    if (x.rank() < 2) return;
    x = detach(x) * 10;
    require_gradient(x);
  });
  return model;
}

Ids some_ids(std::int64_t B, std::int64_t T) { return Ids({B, T}, numbers::below(11, B * T, 1)); }

}  // namespace

TEST_CASE("a probe of a decoder sees each block's input, the last states, and where each head looks") {
  const NoGradient no_gradient;
  for (const auto& config : {gpt, llama}) {
    const auto model = decoder(config);
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
  auto model = decoder(gpt);
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
