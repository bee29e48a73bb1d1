// SPDX-License-Identifier: MIT
// CUDA's words for kernels, and their launch, for a device played by the host.
#pragma once

#include <cuda_runtime_api.h>

#include <emulator.hpp>
#include <functional>
#include <tuple>
#include <type_traits>
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

namespace emulator {

/// Whether pointers in the members of arguments are seen too.
inline constexpr bool sees_members = __has_builtin(__builtin_clear_padding);

template <class T>
void check_argument(void (*kernel)(), int number, const T& argument) {
  if constexpr (std::is_pointer_v<T>) {
    require_no_host_pointer(kernel, number, &argument, sizeof argument);
  } else if constexpr (sees_members && std::is_class_v<T> && alignof(T) >= alignof(void*)) {
    T copy = argument;
    __builtin_clear_padding(&copy);  // where there may be anything
    require_no_host_pointer(kernel, number, &copy, sizeof copy);
  }
}

}  // namespace emulator

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...), Arguments&&... arguments) {
  auto* const address = reinterpret_cast<void (*)()>(kernel);
  const std::tuple<Parameters...> values(std::forward<Arguments>(arguments)...);
  std::apply(
      [address](const auto&... value) {
        [[maybe_unused]] int number = 0;
        (emulator::check_argument(address, ++number, value), ...);
      },
      values);
  return emulator::enqueue(*config, address, [kernel, values] { std::apply(kernel, values); });
}

template <class... Parameters>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Parameters...), cudaFuncAttribute attribute, int value) {
  return emulator::set_attribute(reinterpret_cast<void (*)()>(kernel), attribute, value);
}
