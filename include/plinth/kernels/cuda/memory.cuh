// SPDX-License-Identifier: MIT
// memory<Cuda>: the pools of the GPUs' memory, and copies between it and the program's.
#pragma once

#include <cstddef>
#include <string>

#include <plinth/kernels/cuda/graph_memory.cuh>
#include <plinth/kernels/cuda/runtime.cuh>
#include <plinth/kernels/cuda/staging.cuh>
#include <plinth/tensor/memory.hpp>

namespace plinth {

namespace cuda {

/// What a device's pool takes its blocks from: CUDA's own pool, which neither waits for the device nor returns memory
/// to the system unasked, or, on devices that have none, cudaMalloc.
class DeviceMemory {
 public:
  explicit DeviceMemory(int ordinal)
      : name("memory of cuda device " + std::to_string(ordinal)), device_(of_device<Device>(ordinal)) {}

  std::string name;

  void* allocate(std::size_t bytes) const {
    void* block = nullptr;
    const cudaError_t status =
        device_.pool ? cudaMallocFromPoolAsync(&block, bytes, device_.pool, device_.stream) : cudaMalloc(&block, bytes);
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      return nullptr;
    }
    check(status, "allocating memory");
    return block;
  }
  void release(void* block) const {
    if (device_.pool)
      cudaFreeAsync(block, device_.stream);
    else
      cudaFree(block);
  }
  /// Returns to the system what was released, once the device is done with it.
  void trim() const {
    if (!device_.pool) return;
    cudaStreamSynchronize(device_.stream);
    cudaMemPoolTrimTo(device_.pool, 0);
  }

 private:
  const Device& device_;
};

/// What Plinth keeps on top: a block that was released is handed out again without a call of the driver.
struct DevicePool : plinth::detail::Pool<DeviceMemory> {
  explicit DevicePool(int ordinal) : Pool(DeviceMemory(ordinal)) {}
};

/// The memory of the graph that the calling thread records, beside its recording_stream; else null.
inline thread_local GraphMemory<DevicePool>* recording_memory = nullptr;

}  // namespace cuda

/// The memory of the calling thread's GPU. Thread-safe. A released block may be handed out again while kernels queued
/// earlier still use it: whoever gets it queues behind them.
template <>
struct memory<Cuda> {
  /// What memory<Cpu> calls the same.
  static constexpr bool keeps_values = true;

  static void* allocate(std::size_t bytes) {
    return cuda::recording_memory ? cuda::recording_memory->allocate(bytes) : pool().allocate(bytes);
  }
  /// Gives a block back where it came from, whichever GPU the thread computes on.
  static void release(void* block, std::size_t bytes) noexcept {
    if (cuda::GraphMemory<cuda::DevicePool>::release(block, bytes)) return;
    const cuda::Device* const owner = cuda::device_of(block);
    if (!owner) return;  // CUDA has ended
    auto& pool = cuda::of_device<cuda::DevicePool>(owner->ordinal);
    if (!cuda::recording_memory || !cuda::recording_memory->hold(pool, block, bytes)) pool.release(block, bytes);
  }
  /// Bytes in use now and at most since the last reset_peak().
  static MemoryUse use() { return pool().use(); }
  static void reset_peak() { pool().reset_peak(); }
  /// From now on an allocation that would pass `bytes` in total throws MemoryError.
  static void set_budget(std::size_t bytes) { pool().set_budget(bytes); }
  static void trim() { pool().trim(); }

  /// Copies in the order of the queue where the memory lies. The program's memory may be freed, written or read as soon
  /// as they return. copy_from_host does not wait for what is queued while what is on its way fits into the staging
  /// buffers.
  static void copy_from_host(void* destination, const void* source, std::size_t bytes) {
    if (bytes == 0) return;
    cuda::require_not_recording("copying to the device");
    cuda::of_device<cuda::Staging>(home(destination).ordinal).copy(destination, source, bytes);
  }
  static void copy_to_host(void* destination, const void* source, std::size_t bytes) {
    if (bytes == 0) return;
    constexpr const char* attempt = "copying from the device";
    cuda::require_not_recording(attempt);
    const cudaStream_t stream = home(source).stream;
    cuda::check(cudaMemcpyAsync(destination, source, bytes, cudaMemcpyDeviceToHost, stream), attempt);
    cuda::check(cudaStreamSynchronize(stream), attempt);
  }

 private:
  static cuda::DevicePool& pool() { return cuda::of_device<cuda::DevicePool>(cuda::device().ordinal); }
  static const cuda::Device& home(const void* block) {
    const cuda::Device* const owner = cuda::device_of(block);
    return owner ? *owner : cuda::device();
  }
};

}  // namespace plinth
