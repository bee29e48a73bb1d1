// SPDX-License-Identifier: MIT
// Device tags: which memory a tensor lives in and which kernels run on it.
#pragma once

namespace plinth {

/// The processor's cores and main memory.
struct Cpu {
  static constexpr const char* name = "cpu";
};

/// An NVIDIA GPU; its backend exists where nvcc compiles (plinth/kernels/cuda.cuh).
struct Cuda {
  static constexpr const char* name = "cuda";
};

}  // namespace plinth
