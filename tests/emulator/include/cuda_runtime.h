// SPDX-License-Identifier: MIT
// CUDA's words for kernels, and their launch, for a device played by the host.
#pragma once

#include <cuda_runtime_api.h>

#include <cstring>
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

/// Throws OutsideMemory if an argument is a pointer to the host's memory, or holds one.
template <class T>
void require_no_host_pointer(void (*kernel)(), int number, const T& argument) {
  if constexpr (std::is_pointer_v<T>) {
    if (is_host_pointer(argument)) refuse_argument(kernel, number, "points to");
  } else if constexpr (sees_members && std::is_class_v<T> && alignof(T) >= alignof(void*)) {
    T copy = argument;
    __builtin_clear_padding(&copy);  // where there may be anything
    const void* words[sizeof copy / sizeof(void*)];
    std::memcpy(words, &copy, sizeof words);
    for (const void* const word : words)
      if (is_host_pointer(word)) refuse_argument(kernel, number, "holds a pointer to");
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
        (emulator::require_no_host_pointer(address, ++number, value), ...);
      },
      values);
  return emulator::enqueue(*config, address, [kernel, values] { std::apply(kernel, values); });
}

template <class... Parameters>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Parameters...), cudaFuncAttribute attribute, int value) {
  return emulator::set_attribute(reinterpret_cast<void (*)()>(kernel), attribute, value);
}
