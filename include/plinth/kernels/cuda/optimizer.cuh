// SPDX-License-Identifier: MIT
// One update of an optimiser in a single pass over weight, gradient and state; the step's values stay on the device.
#pragma once

#include <cstdint>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cuda/elementwise.cuh>
#include <plinth/kernels/optimizer_update.hpp>

namespace plinth::cuda {

/// Update(settings..., step_values, operands...)(i) for i in [0, n), unless the step's values say that there is none.
template <class Update, class A, class... Arguments>
__global__ void update_elements(std::int64_t n, const A* step_values, Arguments... arguments) {
  if (step_values[1] == A(0)) return;
  const Update update(arguments...);
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) update(i);
}

struct CudaOptimizer {
  template <class T>
  static void sgd(queue<Cuda>& queue, std::int64_t n, const SgdSettings& settings, double rate_factor,
                  const accumulator_t<T>* step_values, const T* gradient, accumulator_t<T>* velocity,
                  accumulator_t<T>* master, T* weight) {
    run<detail::SgdUpdate<T>>(queue, n, step_values, settings, rate_factor, step_values, gradient, velocity, master, weight);
  }

  template <class T>
  static void adam(queue<Cuda>& queue, std::int64_t n, const AdamSettings& settings, bool decoupled, double rate_factor,
                   const accumulator_t<T>* step_values, const T* gradient, accumulator_t<T>* first,
                   accumulator_t<T>* second, accumulator_t<T>* master, T* weight) {
    run<detail::AdamUpdate<T>>(queue, n, step_values, settings, decoupled, rate_factor, step_values, gradient, first, second,
                       master, weight);
  }

 private:
  template <class Update, class A, class... Arguments>
  static void run(queue<Cuda>& queue, std::int64_t n, const A* step_values, Arguments... arguments) {
    launch(queue, map_blocks(queue, n), map_threads, 0, update_elements<Update, A, Arguments...>, n, step_values,
           arguments...);
  }
};

}  // namespace plinth::cuda
