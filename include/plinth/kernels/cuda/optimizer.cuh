// SPDX-License-Identifier: MIT
// One update of an optimiser: a single pass over weights, gradients and state of all parameters; the step's values stay
// on the device.
#pragma once

#include <cstdint>
#include <type_traits>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cuda/elementwise.cuh>
#include <plinth/kernels/cuda/list.cuh>
#include <plinth/kernels/optimizer_update.hpp>

namespace plinth::cuda {

/// Updates elements i to i + Width - 1 in registers.
template <int Width, class Update, class T>
__device__ void update_pack(const Update& update, const TrainedParameter<T>& in_memory, std::int64_t i) {
  using A = accumulator_t<T>;
  constexpr bool has_master = !std::is_same_v<T, A>;
  const auto at = [i]<class X>(X* x) -> Pack<X, Width>& { return *aligned_cast<Pack<X, Width>>(x + i); };
  auto gradient = *aligned_cast<const Pack<T, Width>>(in_memory.gradient + i);
  auto weight = at(in_memory.weight);
  Pack<A, Width> first = {}, second = {}, master = {};
  if (in_memory.first) first = at(in_memory.first);
  if (in_memory.second) second = at(in_memory.second);
  if constexpr (has_master) master = at(in_memory.master);

  Update in_registers = update;
  in_registers.parameter.gradient = gradient.values;
  in_registers.parameter.first = first.values;
  in_registers.parameter.second = second.values;
  in_registers.parameter.master = master.values;
  in_registers.parameter.weight = weight.values;
  for_constants<Width>([&](auto k) { in_registers(k); });

  at(in_memory.weight) = weight;
  if (in_memory.first) at(in_memory.first) = first;
  if (in_memory.second) at(in_memory.second) = second;
  if constexpr (has_master) at(in_memory.master) = master;
}

/// Update(parameter, step_values, settings...)(i) for all i of a piece, unless the step's values say that there is
/// none; 16 bytes of state at a time where all that the parameter points to is aligned to packs.
template <class Update, class T, class... Settings>
__global__ void __launch_bounds__(map_threads)
    update_parameters(const __grid_constant__ ListPart<TrainedParameter<T>> part, const accumulator_t<T>* step_values,
                      Settings... settings) {
  using A = accumulator_t<T>;
  constexpr int width = 16 / sizeof(A);
  if (step_values[1] == A(0)) return;
  const auto own = part.piece();
  const TrainedParameter<T> parameter = own.item;
  const Update update(parameter, step_values, settings...);
  const auto aligned = [](const auto* p) { return reinterpret_cast<std::uintptr_t>(p) % (sizeof(*p) * width) == 0; };
  const bool packed = aligned(parameter.gradient) && aligned(parameter.first) && aligned(parameter.second) &&
                      aligned(parameter.master) && aligned(parameter.weight);
  const std::int64_t rest = packed ? own.end - (own.end - own.begin) % width : own.begin;
  for (std::int64_t i = own.begin + threadIdx.x * width; i < rest; i += map_threads * width)
    update_pack<width>(update, parameter, i);
  for (std::int64_t i = rest + threadIdx.x; i < own.end; i += map_threads) update(i);
}

struct CudaOptimizer {
  template <class T>
  static void sgd(queue<Cuda>& queue, std::int64_t n, const SgdSettings& settings, const accumulator_t<T>* step_values,
                  const TrainedParameter<T>* parameters) {
    update<detail::SgdUpdate<T>>(queue, n, step_values, parameters, settings);
  }

  template <class T>
  static void adam(queue<Cuda>& queue, std::int64_t n, const AdamSettings& settings, bool decoupled,
                   const accumulator_t<T>* step_values, const TrainedParameter<T>* parameters) {
    update<detail::AdamUpdate<T>>(queue, n, step_values, parameters, settings, decoupled);
  }

 private:
  template <class Update, class T, class... Settings>
  static void update(queue<Cuda>& queue, std::int64_t n, const accumulator_t<T>* step_values,
                     const TrainedParameter<T>* parameters, Settings... settings) {
    constexpr std::int64_t together = 8192;  // of a block: enough that finding them and the step's values costs little
    launch_list(queue, n, parameters, together, map_threads, 0, update_parameters<Update, T, Settings...>, step_values,
                settings...);
  }
};

}  // namespace plinth::cuda
