// SPDX-License-Identifier: MIT
// The cost that is told beforehand against what the pool then measures, and against formulas.
#include <plinth/train/cost.hpp>

#include <cmath>

#include <plinth/models/decoder.hpp>
#include <plinth/models/encoder.hpp>
#include <plinth/models/encoder_decoder.hpp>
#include <plinth/ops/cross_entropy.hpp>
#include <plinth/train/adam.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"

using namespace plinth;

namespace {

constexpr std::int64_t B = 4, length = 96, V = 300;

TransformerConfig sizes() {
  return {.vocabulary = V, .context = length, .hidden = 96, .layers = 4, .heads = 4, .dropout = 0.1};
}

/// What the pool of main memory hands out for a step of a model, in the parts of TrainingCost.
template <class Make, class Loss>
TrainingCost measured(const Make& make, const Loss& loss, std::int64_t accumulation = 1) {
  const auto used = [] { return memory<Cpu>::use().current; };
  TrainingCost cost;
  const std::size_t start = used();
  auto model = make();
  cost.parameters = parameter_count(model);
  cost.weights = used() - start;
  AdamW optimizer(model);
  cost.optimizer = used() - start - cost.weights;
  backward(loss(model));  // scratch memory of kernels stays with their queue
  clear_gradients(model);
  const std::size_t before = used();
  memory<Cpu>::reset_peak();
  for (std::int64_t micro = 0; micro < accumulation; ++micro) backward(loss(model));
  cost.gradients = used() - before;
  cost.activations = memory<Cpu>::use().peak - before - cost.gradients;
  optimizer.step(1e-3);
  return cost;
}

void compare(const TrainingCost& told, const TrainingCost& seen) {
  const auto near = [](std::size_t a, std::size_t b) {
    return std::abs(static_cast<double>(a) / static_cast<double>(b) - 1) <= 0.05;
  };
  INFO("told " << told.activations << " bytes of activations, seen " << seen.activations);
  CHECK(told.parameters == seen.parameters);
  CHECK(told.weights == seen.weights);
  CHECK(told.optimizer == seen.optimizer);
  CHECK(told.gradients == seen.gradients);
  CHECK(near(told.activations, seen.activations));
  CHECK(near(told.total(), seen.total()));
}

template <class D>
Tensor<std::int32_t, D> ids() {
  return Tensor<std::int32_t, D>({B, length}, numbers::below(V, B * length, 1));
}

const auto adamw = [](auto& model) { return AdamW(model); };

}  // namespace

TEST_CASE("the cost of a decoder is told before anything is allocated") {
  auto llama = llama_shape(sizes());
  llama.key_heads = 2;
  llama.feed_forward = 256;
  for (const auto& config : {sizes(), llama}) {
    for (const std::int64_t blocks : {0, 2}) {
      const auto loss = [](const auto& model) {
        using D = typename std::remove_cvref_t<decltype(model)>::device;
        const TrainingScope<D> training(1, 0);
        return cross_entropy(model(ids<D>()), ids<D>());
      };
      const auto make = [&]<class D>() {
        Decoder<float, D> model(config);
        model.stack.blocks_per_checkpoint = blocks;
        return model;
      };
      const std::size_t before = memory<Cpu>::use().current;
      const auto told = training_cost([&] { return make.template operator()<Meta>(); }, adamw, loss);
      CHECK(memory<Cpu>::use().current == before);
      CHECK(memory<Meta>::use().current == 0);
      compare(told, measured([&] { return make.template operator()<Cpu>(); }, loss));
    }
  }
}

TEST_CASE("the cost of accumulation is told, at whose peak all gradients are there") {
  const auto loss = [](const auto& model) {
    using D = typename std::remove_cvref_t<decltype(model)>::device;
    const auto tokens = Tensor<std::int32_t, D>({1, length}, numbers::below(V, length, 1));
    return cross_entropy(model(tokens), tokens);
  };
  const auto told = [&](std::int64_t accumulation) {
    return training_cost([] { return Decoder<float, Meta>(sizes()); }, adamw, loss, accumulation);
  };
  const auto once = told(1), twice = told(2), often = told(7);
  compare(twice, measured([] { return Decoder<float>(sizes()); }, loss, 2));
  compare(often, measured([] { return Decoder<float>(sizes()); }, loss, 3));
  CHECK(10 * twice.total() > 11 * once.total());
  CHECK(often.total() == twice.total());
  CHECK(twice.flops == once.flops);
  CHECK_THROWS_WITH(told(0), "training_cost: accumulation is 0, must be positive");
}

TEST_CASE("the cost of Llama 2 7B is told at once") {
  // Touvron et al. 2023 (arXiv:2307.09288), table 1; the parameters are those of its published weights.
  auto config = llama_shape({.vocabulary = 32000, .context = 4096, .hidden = 4096, .layers = 32, .heads = 32});
  config.feed_forward = 11008;
  const Tensor<std::int32_t, Meta> tokens({1, 4096});
  const auto cost = training_cost([&] { return Decoder<float, Meta>(config); }, adamw,
                                  [&](const auto& model) { return cross_entropy(model(tokens), tokens); });
  CHECK(cost.parameters == 6738415616);
  // The pool rounds sizes up to a sixteenth of the power of two below.
  CHECK(static_cast<double>(cost.weights) == Approx(4.0 * 6738415616).epsilon(0.03));
  CHECK(static_cast<double>(cost.gradients) == Approx(4.0 * 6738415616).epsilon(0.03));
  CHECK(static_cast<double>(cost.optimizer) == Approx(8.0 * 6738415616).epsilon(0.03));
}

TEST_CASE("the cost of an encoder and of an encoder-decoder is told before anything is allocated") {
  const auto masked = [](const auto& model) {
    using D = typename std::remove_cvref_t<decltype(model)>::device;
    const TrainingScope<D> training(1, 0);
    return cross_entropy(model({ids<D>()}), ids<D>());
  };
  compare(training_cost([] { return MaskedLanguageModel<float, Meta>(bert_shape(sizes())); }, adamw, masked),
          measured([] { return MaskedLanguageModel<float>(bert_shape(sizes())); }, masked));
  const auto translated = [](const auto& model) {
    using D = typename std::remove_cvref_t<decltype(model)>::device;
    const TrainingScope<D> training(1, 0);
    return cross_entropy(model(ids<D>(), ids<D>()), ids<D>());
  };
  compare(training_cost([] { return EncoderDecoder<float, Meta>(t5_shape(sizes())); }, adamw, translated),
          measured([] { return EncoderDecoder<float>(t5_shape(sizes())); }, translated));
}

TEST_CASE("floating-point operations are counted by the formula 6 N per token and those of attention") {
  const auto config = sizes();
  const Tensor<std::int32_t, Meta> tokens({B, length});
  const auto cost = training_cost([&] { return Decoder<float, Meta>(config); }, adamw,
                                  [&](const auto& model) { return cross_entropy(model(tokens), tokens); });
  // Kaplan et al. 2020, section 2.1: N = 12 L C^2, to which the head adds V C; causal attention 7 T (T + 1) C / 2 pairs
  // a layer.
  const double C = 96, T = length, matrices = 12 * 4 * C * C + V * C;
  const double expected = B * T * 6 * matrices + B * 4 * 7 * T * (T + 1) * C;
  CHECK(std::abs(cost.flops / expected - 1) < 1e-12);
  CHECK(cost.parameters == 12 * 4 * 96 * 96 + (V + length) * 96 + 4 * (9 + 4) * 96 + 2 * 96);
}
