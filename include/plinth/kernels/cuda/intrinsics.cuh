// SPDX-License-Identifier: MIT
// Everything a kernel asks of the GPU beyond C++ and its indices: shared memory, the block's barrier, warp shuffles,
// conversions. Kernels use nothing else, and inline PTX may stand only here: an emulator replaces this one file by
// another that is found first under the same name.
#pragma once

#include <cuda_runtime.h>

#include <concepts>

#include <plinth/tensor/element.hpp>

namespace plinth::cuda {

inline constexpr int warp_size = 32;

/// The block's shared memory, aligned to 16 bytes; launch says how much there is.
template <class T>
__device__ T* shared_memory() {
  extern __shared__ __align__(16) unsigned char plinth_shared_bytes[];
  return reinterpret_cast<T*>(plinth_shared_bytes);
}

/// x in the type that sums over T are kept in; a half by one instruction, where C++ takes eight.
template <class T>
__device__ accumulator_t<T> widened(T x) {
  if constexpr (std::same_as<T, half>) {
    float wide;
    asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(x.bits));
    return wide;
  } else {
    return static_cast<accumulator_t<T>>(x);
  }
}

/// Waits for all threads of the block, every one of which must come here.
__device__ inline void block_barrier() { __syncthreads(); }

/// `value` of the lane whose number differs from the caller's in the bits of `lanes`. All 32 lanes must come here.
template <class T>
__device__ T shuffle_xor(T value, int lanes) {
  return __shfl_xor_sync(0xffffffffu, value, lanes);
}

}  // namespace plinth::cuda
