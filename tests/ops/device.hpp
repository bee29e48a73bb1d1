// SPDX-License-Identifier: MIT
// The device that this file's op table runs on: the one place that says so. Files of CUDA tests define
// PLINTH_TESTS_ON_CUDA. Their program also holds the CPU's table, compiled as in the CPU's tests, for them to compare
// with (parity.hpp); so each device's table has a namespace of its own.
#pragma once

#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include <plinth/tensor/element.hpp>
#include <plinth/tensor/tensor.hpp>

#ifdef PLINTH_TESTS_ON_CUDA
#include "kernels/cuda/device_array.hpp"
#define PLINTH_OP_TABLE on_cuda
#else
#include <plinth/kernels/cpu.hpp>
#define PLINTH_OP_TABLE on_cpu
#endif

namespace op_table {
inline namespace PLINTH_OP_TABLE {

using plinth::bfloat16;
using plinth::half;

// Block: values in the device's memory, as a block of their own, so that a sanitizer sees what is read beyond them.
// device_label: the device as the README's support matrix calls it.
#ifdef PLINTH_TESTS_ON_CUDA
using Device = plinth::Cuda;
template <class T>
using Block = DeviceArray<T>;
#ifdef __CUDACC__
inline constexpr const char* device_label = "CUDA, on a GPU";
#else
inline constexpr const char* device_label = "CUDA, emulated";
#endif
#else
using Device = plinth::Cpu;
template <class T>
using Block = std::vector<T>;
inline constexpr const char* device_label = "CPU";
#endif

/// The element types that every op is checked for, the one of the gradients' reference first.
using Types = std::tuple<double, float, half, bfloat16>;

/// Whether it is the CPU itself; a real GPU. Else it is one that the host plays, which is slow.
inline constexpr bool is_cpu = std::is_same_v<Device, plinth::Cpu>,
                      is_gpu = std::string_view(device_label) == "CUDA, on a GPU";

template <class T>
using Tensor = plinth::Tensor<T, Device>;

}  // namespace PLINTH_OP_TABLE
}  // namespace op_table
