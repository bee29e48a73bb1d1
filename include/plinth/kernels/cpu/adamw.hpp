// SPDX-License-Identifier: MIT
// One AdamW update in a single pass over weight, gradient and moments.
#pragma once

#include <cmath>
#include <cstdint>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cpu/elementwise.hpp>
#include <plinth/tensor/scalar_math.hpp>

namespace plinth::cpu {

struct CpuAdamW {
  template <class T>
  static void adamw(queue<Cpu>& queue, std::int64_t n, const AdamWSettings& settings,
                    const accumulator_t<T>* step_values, const accumulator_t<T>* gradient, accumulator_t<T>* first,
                    accumulator_t<T>* second, T* weight) {
    using A = accumulator_t<T>;
    const A rate = step_values[0], correction1 = step_values[1];
    const A root2 = std::sqrt(step_values[2]);
    const A beta1 = static_cast<A>(settings.beta1), beta2 = static_cast<A>(settings.beta2);
    const A rest1 = static_cast<A>(1 - settings.beta1), rest2 = static_cast<A>(1 - settings.beta2);
    const A epsilon = static_cast<A>(settings.epsilon);
    const A keep = static_cast<A>(1 - static_cast<double>(rate) * settings.weight_decay), step = rate / correction1;
    over_blocks(queue, n, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const A g = gradient[i];
        const A m = beta1 * first[i] + rest1 * g, v = beta2 * second[i] + rest2 * g * g;
        first[i] = m;
        second[i] = v;
        weight[i] = static_cast<T>(static_cast<A>(weight[i]) * keep - step * m / (math::sqrt(v) / root2 + epsilon));
      }
    });
  }
};

}  // namespace plinth::cpu
