// SPDX-License-Identifier: MIT
// The device that this program's op table runs on: the one place where a program says so. A program of CUDA tests
// defines PLINTH_TESTS_ON_CUDA; none runs on two devices, so that no op is compiled for a device twice.
#pragma once

#include <string_view>
#include <tuple>
#include <vector>

#include <plinth/tensor/element.hpp>
#include <plinth/tensor/tensor.hpp>

#ifdef PLINTH_TESTS_ON_CUDA
#include "kernels/cuda/device_array.hpp"
#else
#include <plinth/kernels/cpu.hpp>
#endif

namespace op_table {

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

inline constexpr bool on_gpu = std::string_view(device_label) == "CUDA, on a GPU";

template <class T>
using Tensor = plinth::Tensor<T, Device>;

}  // namespace op_table
