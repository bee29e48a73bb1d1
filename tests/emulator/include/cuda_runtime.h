// SPDX-License-Identifier: MIT
// CUDA's words for kernels, and their launch, for a device played by the host.
#pragma once

#include <cuda_runtime_api.h>

#include <emulator.hpp>
#include <functional>
#include <tuple>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)
#define __grid_constant__

// Where the running thread stands.
inline constexpr auto& threadIdx = emulator::thread_index;
inline constexpr auto& blockIdx = emulator::block_index;
inline constexpr auto& blockDim = emulator::block_size;
inline constexpr auto& gridDim = emulator::grid_size;

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...), Arguments&&... arguments) {
  return emulator::enqueue(*config, reinterpret_cast<void (*)()>(kernel),
                           [kernel, values = std::tuple<Parameters...>(std::forward<Arguments>(arguments)...)] {
                             std::apply(kernel, values);
                           });
}

template <class... Parameters>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Parameters...), cudaFuncAttribute attribute, int value) {
  return emulator::set_attribute(reinterpret_cast<void (*)()>(kernel), attribute, value);
}
