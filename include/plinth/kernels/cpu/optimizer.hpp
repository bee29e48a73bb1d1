// SPDX-License-Identifier: MIT
// One update of an optimiser in a single pass over weight, gradient and state.
#pragma once

#include <cstdint>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cpu/elementwise.hpp>
#include <plinth/kernels/optimizer_update.hpp>

namespace plinth::cpu {

struct CpuOptimizer {
  template <class T>
  static void sgd(queue<Cpu>& queue, std::int64_t n, const SgdSettings& settings, double rate_factor,
                  const accumulator_t<T>* step_values, const T* gradient, accumulator_t<T>* velocity,
                  accumulator_t<T>* master, T* weight) {
    if (step_values[1] != accumulator_t<T>(0))
      run(queue, n, detail::SgdUpdate<T>(settings, rate_factor, step_values, gradient, velocity, master, weight));
  }

  template <class T>
  static void adam(queue<Cpu>& queue, std::int64_t n, const AdamSettings& settings, bool decoupled, double rate_factor,
                   const accumulator_t<T>* step_values, const T* gradient, accumulator_t<T>* first,
                   accumulator_t<T>* second, accumulator_t<T>* master, T* weight) {
    if (step_values[1] != accumulator_t<T>(0))
      run(queue, n,
          detail::AdamUpdate<T>(settings, decoupled, rate_factor, step_values, gradient, first, second, master,
                                weight));
  }

 private:
  template <class Update>
  static void run(queue<Cpu>& queue, std::int64_t n, const Update& update) {
    over_blocks(queue, n, [=](std::int64_t begin, std::int64_t end) { independently(begin, end, update); });
  }
};

}  // namespace plinth::cpu
