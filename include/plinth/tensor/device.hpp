// SPDX-License-Identifier: MIT
// Device tags: which memory a tensor lives in and which kernels run on it.
#pragma once

namespace plinth {

/// The processor's cores and main memory.
struct Cpu {
  static constexpr const char* name = "cpu";
};

/// An NVIDIA GPU; plinth/kernels/cuda.cuh, for nvcc, has its kernels.
struct Cuda {
  static constexpr const char* name = "cuda";
};

}  // namespace plinth
