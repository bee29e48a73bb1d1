// SPDX-License-Identifier: MIT
// Gradient checkpoints in a decoder: the same bits, and memory by the formula.
#include <cmath>
#include <string>
#include <vector>

#include <plinth/models/decoder.hpp>
#include <plinth/train/trainer.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"
#include "threads.hpp"

using namespace plinth;

namespace {

const TransformerConfig deep_gpt = {.vocabulary = 11, .context = 8, .hidden = 12, .layers = 5, .heads = 2, .dropout = 0.2};
const TransformerConfig deep_llama =
    llama_shape({.vocabulary = 11, .context = 8, .hidden = 16, .layers = 5, .heads = 4, .key_heads = 2});

/// The losses and gradient norms of a run, and the weights behind it.
std::vector<double> trained(const TransformerConfig& config, std::int64_t blocks_per_checkpoint, bool frozen_inputs) {
  Decoder<float> model(config);
  model.stack.blocks_per_checkpoint = blocks_per_checkpoint;
  if (frozen_inputs) {
    set_trainable(model.input.token_embedding, false);
    set_trainable(model.input.position_embedding, false);
  }
  std::vector<double> all;
  Trainer trainer(model, {.steps = 3, .batch = 2, .accumulation = 2, .learning_rate = 1e-2});
  trainer.fit(TokenWindows(numbers::below(11, 200, 1)), [&](const TrainingStep& report) {
    all.push_back(report.loss);
    all.push_back(report.gradient_norm);
  });
  for_each_parameter(model, [&](const std::string&, const Tensor<float>& x) {
    for (const float value : x.to_vector()) all.push_back(static_cast<double>(value));
  });
  return all;
}

constexpr std::int64_t rows = 2, length = 32;

/// Bytes that a step needs at most beyond the model and its gradients.
double peak(std::int64_t layers, std::int64_t blocks_per_checkpoint) {
  Decoder<float> model({.vocabulary = 8, .context = length, .hidden = 32, .layers = layers, .heads = 2});
  model.stack.blocks_per_checkpoint = blocks_per_checkpoint;
  const Tensor<std::int32_t> tokens({rows, length}, numbers::below(8, rows * length, 1));
  std::size_t before = 0;
  for (int run = 0; run < 2; ++run) {  // in the second, gradients and scratch memory are there
    before = memory<Cpu>::use().current;
    memory<Cpu>::reset_peak();
    backward(cross_entropy(model(tokens), tokens));
  }
  return static_cast<double>(memory<Cpu>::use().peak - before);
}

}  // namespace

TEST_CASE("a decoder with gradient checkpoints trains bit for bit as without") {
  for (const TransformerConfig& config : {deep_gpt, deep_llama})
    for (const bool frozen_inputs : {false, true}) {
      const auto expected = trained(config, 0, frozen_inputs);
      for (const std::int64_t blocks : {1, 2, 5, 100}) CHECK(trained(config, blocks, frozen_inputs) == expected);
      for (const int threads : {1, 3}) {
        const Threads some(threads);
        CHECK(trained(config, 2, frozen_inputs) == expected);
      }
    }
  Decoder<float> model(deep_gpt);
  model.stack.blocks_per_checkpoint = -1;
  CHECK_THROWS_WITH(model(Tensor<std::int32_t>({1, 2}, {1, 2})),
                    "checkpoint_sequence: -1 blocks per checkpoint; it must be at least 1, or 0 for no checkpoints");
}

TEST_CASE("memory of gradient checkpoints follows the square-root formula") {
  const double input = rows * length * 32 * sizeof(float), kept = (peak(24, 0) - peak(12, 0)) / 12;
  const double rest = peak(12, 0) - 12 * kept;
  CHECK(kept > 10 * input);
  for (const std::int64_t layers : {16, 64})
    for (const std::int64_t blocks : {1, 2, 4, 8}) {
      INFO(layers << " layers, " << blocks << " to a checkpoint");
      const auto checkpoints = static_cast<double>((layers + blocks - 1) / blocks);
      CHECK(peak(layers, blocks) ==
            Approx(checkpoints * input + static_cast<double>(blocks) * kept + rest).epsilon(0.1));
    }
  const double best = std::sqrt(64 * input / kept);
  CHECK(best == Approx(2).epsilon(0.1));
  const double least = peak(64, 2);
  CHECK(least < peak(64, 1));
  CHECK(least < peak(64, 4));
  CHECK(least == Approx(2 * std::sqrt(64 * input * kept) + rest).epsilon(0.1));
}
