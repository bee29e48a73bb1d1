// SPDX-License-Identifier: MIT
// What a training step costs, told without taking its memory or its time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <plinth/autograd/module.hpp>
#include <plinth/kernels/meta.hpp>

namespace plinth {

/// Bytes as the pool hands them out. flops are those of matrix products and attention, forward and backward.
struct TrainingCost {
  std::int64_t parameters = 0;  ///< numbers that are trained or frozen, each once
  std::size_t weights = 0,      ///< of the parameters
      gradients = 0,            ///< of the parameters, when all are gathered
      optimizer = 0;            ///< its state
  std::size_t activations = 0;  ///< beyond these, where the backward pass needs most
  double flops = 0;             ///< of one micro-step

  /// The most bytes in use at once.
  std::size_t total() const { return weights + gradients + optimizer + activations; }
};

/// The cost of training a model that make() builds on the meta device, with the optimiser that optimise(model) makes,
/// by the loss that loss(model) computes, `accumulation` times for a step. The code that would train runs, with shapes
/// alone. Left out is the scratch memory of the CPU's kernels, which do not run: one block that stays with the thread
/// that trains, as large as the most that one call asked for. Attention asks for a packed copy of all keys and values
/// in float or wider, 2 G / H times the bytes of such queries (B, H, T, D) with G key heads; its backward asks for a
/// little over five times the keys of one head, and a matrix product for a few megabytes for each thread that computes.
///   training_cost([&] { return Decoder<float, Meta>(config); }, [](auto& model) { return AdamW(model); },
///                 [&](const auto& model) { return model.loss(tokens, tokens); })
/// with tokens a Tensor<std::int32_t, Meta>({batch, time}). Throws ArgumentError for an accumulation below 1.
template <class Make, class Optimise, class Loss>
TrainingCost training_cost(const Make& make, const Optimise& optimise, const Loss& loss,
                           std::int64_t accumulation = 1) {
  detail::require<ArgumentError>(accumulation > 0, "training_cost: accumulation is ", accumulation,
                                 ", must be positive");
  const auto used = [] { return memory<Meta>::use().current; };
  TrainingCost cost;
  const std::size_t start = used();
  auto model = make();
  cost.parameters = parameter_count(model);
  cost.weights = used() - start;
  const auto optimizer = optimise(model);
  cost.optimizer = used() - start - cost.weights;
  const std::size_t before = used();
  memory<Meta>::reset_peak();
  // Gradients are there from the end of the first pass on, so that the second one needs most.
  for (std::int64_t pass = 0; pass < std::min<std::int64_t>(accumulation, 2); ++pass) {
    const double counted = queue<Meta>::current().flops;
    backward(loss(model));
    cost.flops = queue<Meta>::current().flops - counted;
  }
  cost.gradients = used() - before;
  cost.activations = memory<Meta>::use().peak - before - cost.gradients;
  clear_gradients(model);
  return cost;
}

}  // namespace plinth
