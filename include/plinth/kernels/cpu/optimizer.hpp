// SPDX-License-Identifier: MIT
// One update of an optimiser in a single pass over weight, gradient and state.
#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cpu/elementwise.hpp>
#include <plinth/tensor/scalar_math.hpp>

namespace plinth::cpu {

/// Weights as an optimiser reads and writes them: in A, those of 16 bits beside their masters.
template <class T>
struct TrainedWeights {
  using A = accumulator_t<T>;
  A* master;
  T* weight;

  A get(std::int64_t i) const {
    const A shown = static_cast<A>(weight[i]);
    if constexpr (std::same_as<T, A>)
      return shown;
    else
      return static_cast<A>(static_cast<T>(master[i])) == shown ? master[i] : shown;
  }
  void set(std::int64_t i, A value) const {
    if constexpr (!std::same_as<T, A>) master[i] = value;
    weight[i] = static_cast<T>(value);
  }
};

struct CpuOptimizer {
  template <class T>
  static void sgd(queue<Cpu>& queue, std::int64_t n, const SgdSettings& settings, double rate_factor,
                  const accumulator_t<T>* step_values, const T* gradient, accumulator_t<T>* velocity,
                  accumulator_t<T>* master, T* weight) {
    using A = accumulator_t<T>;
    if (step_values[1] == A(0)) return;
    const A rate = static_cast<A>(static_cast<double>(step_values[0]) * rate_factor), factor = step_values[2];
    const A decay = static_cast<A>(settings.weight_decay), momentum = static_cast<A>(settings.momentum);
    const TrainedWeights<T> weights{master, weight};
    over_blocks(queue, n, [=, nesterov = settings.nesterov](std::int64_t begin, std::int64_t end) {
      independently(begin, end, [=](std::int64_t i) {
        const A w = weights.get(i), g = factor * static_cast<A>(gradient[i]) + decay * w;
        A direction = g;
        if (velocity) {
          const A v = velocity[i] = momentum * velocity[i] + g;
          direction = nesterov ? g + momentum * v : v;
        }
        weights.set(i, w - rate * direction);
      });
    });
  }

  template <class T>
  static void adam(queue<Cpu>& queue, std::int64_t n, const AdamSettings& settings, bool decoupled, double rate_factor,
                   const accumulator_t<T>* step_values, const T* gradient, accumulator_t<T>* first,
                   accumulator_t<T>* second, accumulator_t<T>* master, T* weight) {
    using A = accumulator_t<T>;
    if (step_values[1] == A(0)) return;
    const A rate = static_cast<A>(static_cast<double>(step_values[0]) * rate_factor), factor = step_values[2];
    const A step = rate / step_values[3], root2 = std::sqrt(step_values[4]);
    const A beta1 = static_cast<A>(settings.beta1), beta2 = static_cast<A>(settings.beta2);
    const A rest1 = static_cast<A>(1 - settings.beta1), rest2 = static_cast<A>(1 - settings.beta2);
    const A epsilon = static_cast<A>(settings.epsilon);
    const A keep = decoupled ? static_cast<A>(1 - static_cast<double>(rate) * settings.weight_decay) : A(1);
    const A decay = decoupled ? A(0) : static_cast<A>(settings.weight_decay);
    const TrainedWeights<T> weights{master, weight};
    over_blocks(queue, n, [=](std::int64_t begin, std::int64_t end) {
      independently(begin, end, [=](std::int64_t i) {
        const A w = weights.get(i), g = factor * static_cast<A>(gradient[i]) + decay * w;
        const A m = beta1 * first[i] + rest1 * g, v = beta2 * second[i] + rest2 * g * g;
        first[i] = m;
        second[i] = v;
        weights.set(i, w * keep - step * m / (math::sqrt(v) / root2 + epsilon));
      });
    });
  }
};

}  // namespace plinth::cpu
