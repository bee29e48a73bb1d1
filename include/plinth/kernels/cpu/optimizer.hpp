// SPDX-License-Identifier: MIT
// One update of an optimiser: a single pass over weights, gradients and state of all parameters.
#pragma once

#include <cstdint>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cpu/elementwise.hpp>
#include <plinth/kernels/optimizer_update.hpp>

namespace plinth::cpu {

struct CpuOptimizer {
  template <class T>
  static void sgd(queue<Cpu>& queue, std::int64_t n, const SgdSettings& settings, const accumulator_t<T>* step_values,
                  const TrainedParameter<T>* parameters) {
    update<detail::SgdUpdate<T>>(queue, n, step_values, parameters, settings);
  }

  template <class T>
  static void adam(queue<Cpu>& queue, std::int64_t n, const AdamSettings& settings, bool decoupled,
                   const accumulator_t<T>* step_values, const TrainedParameter<T>* parameters) {
    update<detail::AdamUpdate<T>>(queue, n, step_values, parameters, settings, decoupled);
  }

 private:
  template <class Update, class T, class... Settings>
  static void update(queue<Cpu>& queue, std::int64_t n, const accumulator_t<T>* step_values,
                     const TrainedParameter<T>* parameters, const Settings&... settings) {
    if (step_values[1] == accumulator_t<T>(0)) return;
    over_blocks_of_all(queue, n, parameters, [=](std::int64_t k, std::int64_t begin, std::int64_t end, std::int64_t) {
      independently(begin, end, Update(parameters[k], step_values, settings...));
    });
  }
};

}  // namespace plinth::cpu
