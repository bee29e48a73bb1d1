// SPDX-License-Identifier: MIT
// What an optimiser does to one element, the same on every device. The formulas are those of contract::Optimizer.
#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>

#include <plinth/kernels/arguments.hpp>
#include <plinth/tensor/element.hpp>
#include <plinth/tensor/host_device.hpp>
#include <plinth/tensor/scalar_math.hpp>

namespace plinth::detail {

/// Weights as an optimiser reads and writes them: in A, those of 16 bits beside their masters.
template <class T>
struct TrainedWeights {
  using A = accumulator_t<T>;
  A* master;  ///< of weights of 16 bits, else null
  T* weight;  ///< what the model computes with

  /// Weight i: the master, unless somebody else wrote the weight.
  PLINTH_HD A get(std::int64_t i) const {
    const A shown = static_cast<A>(weight[i]);
    if constexpr (std::same_as<T, A>)
      return shown;
    else
      return static_cast<A>(static_cast<T>(master[i])) == shown ? master[i] : shown;
  }
  /// Sets weight i, and its master.
  PLINTH_HD void set(std::int64_t i, A value) const {
    if constexpr (!std::same_as<T, A>) master[i] = value;
    weight[i] = static_cast<T>(value);
  }
};

/// Stochastic gradient descent.
template <class T>
struct SgdUpdate {
  using A = accumulator_t<T>;
  TrainedWeights<T> weights;  ///< read and written
  const T* gradient;          ///< read
  A* velocity;                ///< read and written, or null
  A rate, factor,             ///< of the step
      decay, momentum;        ///< of all steps
  bool nesterov;              ///< likewise

  /// Of a step, whose values are read here.
  PLINTH_HD SgdUpdate(const SgdSettings& settings, double rate_factor, const A* step_values, const T* gradient_,
                      A* velocity_, A* master, T* weight)
      : weights{master, weight},
        gradient(gradient_),
        velocity(velocity_),
        rate(static_cast<A>(static_cast<double>(step_values[0]) * rate_factor)),
        factor(step_values[2]),
        decay(static_cast<A>(settings.weight_decay)),
        momentum(static_cast<A>(settings.momentum)),
        nesterov(settings.nesterov) {}

  /// Updates element i.
  PLINTH_HD void operator()(std::int64_t i) const {
    const A w = weights.get(i), g = factor * static_cast<A>(gradient[i]) + decay * w;
    A direction = g;
    if (velocity) {
      const A v = velocity[i] = momentum * velocity[i] + g;
      direction = nesterov ? g + momentum * v : v;
    }
    weights.set(i, w - rate * direction);
  }
};

/// Adam, and AdamW where the decay is decoupled.
template <class T>
struct AdamUpdate {
  using A = accumulator_t<T>;
  TrainedWeights<T> weights;     ///< read and written
  const T* gradient;             ///< read
  A *first, *second;             ///< moments, read and written
  A factor, step, root2, keep;   ///< of the step
  A beta1, beta2, rest1, rest2,  ///< of all steps
      epsilon, decay;            ///< likewise

  /// Of a step, whose values are read here.
  PLINTH_HD AdamUpdate(const AdamSettings& settings, bool decoupled, double rate_factor, const A* step_values,
                       const T* gradient_, A* first_, A* second_, A* master, T* weight)
      : weights{master, weight},
        gradient(gradient_),
        first(first_),
        second(second_),
        factor(step_values[2]),
        root2(std::sqrt(step_values[4])),
        beta1(static_cast<A>(settings.beta1)),
        beta2(static_cast<A>(settings.beta2)),
        rest1(static_cast<A>(1 - settings.beta1)),
        rest2(static_cast<A>(1 - settings.beta2)),
        epsilon(static_cast<A>(settings.epsilon)),
        decay(decoupled ? A(0) : static_cast<A>(settings.weight_decay)) {
    const A rate = static_cast<A>(static_cast<double>(step_values[0]) * rate_factor);
    step = rate / step_values[3];
    keep = decoupled ? static_cast<A>(1 - static_cast<double>(rate) * settings.weight_decay) : A(1);
  }

  /// Updates element i.
  PLINTH_HD void operator()(std::int64_t i) const {
    const A w = weights.get(i), g = factor * static_cast<A>(gradient[i]) + decay * w;
    const A m = beta1 * first[i] + rest1 * g, v = beta2 * second[i] + rest2 * g * g;
    first[i] = m;
    second[i] = v;
    weights.set(i, w * keep - step * m / (math::sqrt(v) / root2 + epsilon));
  }
};

}  // namespace plinth::detail
