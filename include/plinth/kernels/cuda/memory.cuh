// SPDX-License-Identifier: MIT
// memory<Cuda>: the pool of the GPU's memory, and copies between it and the program's.
#pragma once

#include <cstddef>

#include <plinth/kernels/cuda/runtime.cuh>
#include <plinth/kernels/cuda/staging.cuh>
#include <plinth/tensor/memory.hpp>

namespace plinth {

namespace cuda {

struct DeviceMemory {
  static constexpr const char* name = "cuda memory";

  static void* allocate(std::size_t bytes) {
    device();
    void* block = nullptr;
    const cudaError_t status = cudaMalloc(&block, bytes);
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      return nullptr;
    }
    check(status, "allocating memory");
    return block;
  }
  static void release(void* block) { cudaFree(block); }
};

}  // namespace cuda

/// The GPU's memory. Thread-safe. A released block may be handed out again while kernels queued earlier still use it:
/// whoever gets it queues behind them.
template <>
struct memory<Cuda> {
  /// What memory<Cpu> calls the same.
  static constexpr bool keeps_values = true;

  static void* allocate(std::size_t bytes) { return pool().allocate(bytes); }
  static void release(void* block, std::size_t bytes) noexcept { pool().release(block, bytes); }
  /// Bytes in use now and at most since the last reset_peak().
  static MemoryUse use() { return pool().use(); }
  static void reset_peak() { pool().reset_peak(); }
  /// From now on an allocation that would pass `bytes` in total throws MemoryError.
  static void set_budget(std::size_t bytes) { pool().set_budget(bytes); }
  static void trim() { pool().trim(); }

  /// Copies in the queue's order. The program's memory may be freed, written or read as soon as they return.
  /// copy_from_host does not wait for what is queued while what is on its way fits into the staging buffers.
  static void copy_from_host(void* destination, const void* source, std::size_t bytes) {
    staging().copy(destination, source, bytes);
  }
  static void copy_to_host(void* destination, const void* source, std::size_t bytes) {
    if (bytes == 0) return;
    constexpr const char* attempt = "copying from the device";
    const cudaStream_t stream = cuda::device().stream;
    cuda::check(cudaMemcpyAsync(destination, source, bytes, cudaMemcpyDeviceToHost, stream), attempt);
    cuda::check(cudaStreamSynchronize(stream), attempt);
  }

 private:
  /// Never destroyed, as the pool.
  static cuda::Staging& staging() {
    const cudaStream_t stream = cuda::device().stream;
    static auto& instance = *new cuda::Staging(stream);
    return instance;
  }
  /// Never destroyed: tensors with static lifetime may outlive every other object.
  static detail::Pool<cuda::DeviceMemory>& pool() {
    static auto& instance = *new detail::Pool<cuda::DeviceMemory>;
    return instance;
  }
};

}  // namespace plinth
