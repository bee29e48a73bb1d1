// SPDX-License-Identifier: MIT
// Everything a kernel asks of the GPU beyond C++ and its indices: shared memory and copies to it, the block's barrier,
// warp shuffles, conversions, tensor cores. Kernels use nothing else, and inline PTX may stand only here: an emulator
// replaces this one file by another that is found first under the same name.
#pragma once

#include <cuda_runtime.h>

#include <concepts>
#include <cstdint>
#include <type_traits>

#include <plinth/tensor/element.hpp>

namespace plinth::cuda {

inline constexpr int warp_size = 32;

/// The block's shared memory, aligned to 16 bytes; launch says how much there is.
template <class T>
__device__ T* shared_memory() {
  extern __shared__ __align__(16) unsigned char plinth_shared_bytes[];
  return reinterpret_cast<T*>(plinth_shared_bytes);
}

/// x as a pointer to what a thread loads or stores at once. Where x is less aligned than that, the GPU reports an error.
template <class Group, class T>
__device__ Group* aligned_cast(T* x) {
  return reinterpret_cast<Group*>(x);
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

/// x, about which the compiler knows nothing: what is computed from it is computed again where it is needed, in place
/// of taking up registers in between.
__device__ inline unsigned forgotten(unsigned x) {
  asm volatile("" : "+r"(x));
  return x;
}

/// 2^x to about two units in the last place; 0 where that is subnormal.
__device__ inline float fast_exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// Two numbers rounded to the 16-bit type T, the first in the lower half.
template <class T>
__device__ std::uint32_t packed_pair(float low, float high) {
  static_assert(std::is_same_v<T, bfloat16> || std::is_same_v<T, half>);
  std::uint32_t pair;
  if constexpr (std::is_same_v<T, bfloat16>)
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  else
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

/// A pointer into shared memory as PTX takes it.
__device__ inline unsigned shared_address(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

/// Begins to copy 16 bytes to shared memory, or to fill them with zeros, without reading, unless `inside`. Both
/// pointers are aligned to 16 bytes. What was there is lost at once; the bytes are there for the thread that copies
/// when it has waited for them, for others behind the next barrier.
__device__ inline void copy_async(void* to, const void* from, bool inside) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from),
               "r"(inside ? 16 : 0)
               : "memory");
}

/// Makes a group of the copies that the thread has begun since the last group.
__device__ inline void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/// Waits for all groups of the thread but the newest `Newest`.
template <int Newest>
__device__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Newest) : "memory");
}

/// Four matrices of 8 x 8 16-bit elements in shared memory: lane l names row l % 8 of matrix l / 8, 16 bytes aligned
/// to 16. Register i of the lane gets elements 2 (l % 4) and the next of row l / 4 of matrix i. All 32 lanes must come
/// here.
__device__ inline void load_matrices(std::uint32_t (&to)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(shared_address(row))
               : "memory");
}

/// The same, transposed: elements 2 (l % 4) and the next of column l / 4.
__device__ inline void load_matrices_transposed(std::uint32_t (&to)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(shared_address(row))
               : "memory");
}

/// C (16, 8) += A (16, 16) B (16, 8) of 16-bit T, summed in float, spread over the warp: with g = lane / 4, t = lane %
/// 4
///   a[0], a[2]: row g, columns 2t and 2t + 8 with the next;  a[1], a[3]: the same of row g + 8
///   b0, b1: column g, rows 2t and 2t + 8 with the next;  c[0..1], c[2..3]: rows g and g + 8, columns 2t and the next
/// (PTX ISA, mma.m16n8k16). All 32 lanes must come here.
template <class T>
__device__ void multiply_add(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  static_assert(std::is_same_v<T, bfloat16> || std::is_same_v<T, half>);
  if constexpr (std::is_same_v<T, bfloat16>)
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  else
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

}  // namespace plinth::cuda
