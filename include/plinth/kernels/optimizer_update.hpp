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

/// Weight i in A: the master, unless somebody else wrote the weight.
template <class T>
PLINTH_HD accumulator_t<T> trained_weight(const TrainedParameter<T>& parameter, std::int64_t i) {
  using A = accumulator_t<T>;
  const A shown = static_cast<A>(parameter.weight[i]);
  if constexpr (std::same_as<T, A>)
    return shown;
  else
    return static_cast<A>(static_cast<T>(parameter.master[i])) == shown ? parameter.master[i] : shown;
}

/// Sets weight i, and its master.
template <class T>
PLINTH_HD void set_trained_weight(const TrainedParameter<T>& parameter, std::int64_t i, accumulator_t<T> value) {
  if constexpr (!std::same_as<T, accumulator_t<T>>) parameter.master[i] = value;
  parameter.weight[i] = static_cast<T>(value);
}

/// Stochastic gradient descent.
template <class T>
struct SgdUpdate {
  using A = accumulator_t<T>;
  TrainedParameter<T> parameter;  ///< read and written
  A rate, factor,                 ///< of the step
      decay, momentum;            ///< of all steps
  bool nesterov;                  ///< likewise

  /// Of a step, whose values are read here.
  PLINTH_HD SgdUpdate(const TrainedParameter<T>& parameter_, const A* step_values, const SgdSettings& settings)
      : parameter(parameter_),
        rate(static_cast<A>(static_cast<double>(step_values[0]) * parameter_.group.rate_factor)),
        factor(step_values[2]),
        decay(static_cast<A>(parameter_.group.weight_decay)),
        momentum(static_cast<A>(settings.momentum)),
        nesterov(settings.nesterov) {}

  /// Updates element i.
  PLINTH_HD void operator()(std::int64_t i) const {
    const A w = trained_weight(parameter, i), g = factor * static_cast<A>(parameter.gradient[i]) + decay * w;
    A direction = g;
    if (parameter.first) {
      const A v = parameter.first[i] = momentum * parameter.first[i] + g;
      direction = nesterov ? g + momentum * v : v;
    }
    set_trained_weight(parameter, i, w - rate * direction);
  }
};

/// Adam, and AdamW where the decay is decoupled.
template <class T>
struct AdamUpdate {
  using A = accumulator_t<T>;
  TrainedParameter<T> parameter;  ///< read and written
  A factor, step, root2, keep;    ///< of the step
  A beta1, beta2, rest1, rest2,   ///< of all steps
      epsilon, decay;             ///< likewise

  /// Of a step, whose values are read here.
  PLINTH_HD AdamUpdate(const TrainedParameter<T>& parameter_, const A* step_values, const AdamSettings& settings,
                       bool decoupled)
      : parameter(parameter_),
        factor(step_values[2]),
        root2(std::sqrt(step_values[4])),
        beta1(static_cast<A>(settings.beta1)),
        beta2(static_cast<A>(settings.beta2)),
        rest1(static_cast<A>(1 - settings.beta1)),
        rest2(static_cast<A>(1 - settings.beta2)),
        epsilon(static_cast<A>(settings.epsilon)),
        decay(decoupled ? A(0) : static_cast<A>(parameter_.group.weight_decay)) {
    const A rate = static_cast<A>(static_cast<double>(step_values[0]) * parameter_.group.rate_factor);
    step = rate / step_values[3];
    keep = decoupled ? static_cast<A>(1 - static_cast<double>(rate) * parameter_.group.weight_decay) : A(1);
  }

  /// Updates element i.
  PLINTH_HD void operator()(std::int64_t i) const {
    A &first = parameter.first[i], &second = parameter.second[i];
    const A w = trained_weight(parameter, i), g = factor * static_cast<A>(parameter.gradient[i]) + decay * w;
    const A m = beta1 * first + rest1 * g, v = beta2 * second + rest2 * g * g;
    first = m;
    second = v;
    set_trained_weight(parameter, i, w * keep - step * m / (math::sqrt(v) / root2 + epsilon));
  }
};

}  // namespace plinth::detail
