// SPDX-License-Identifier: MIT
// The way from the program's memory to the device's: page-locked buffers, which the device reads while the program goes
// on.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <mutex>

#include <plinth/kernels/cuda/runtime.cuh>

namespace plinth::cuda {

/// A ring of page-locked buffers for copies to a device in the order of its queue. CUDA copies from other memory by way
/// of such buffers too, but "may synchronize with the stream" before it does (CUDA Runtime API, "API synchronization
/// behavior"): a program that sends the data of the next step would wait for the one that runs.
class Staging {
 public:
  static constexpr std::size_t buffer_bytes = std::size_t{2} << 20;  ///< enough for copies at the speed of the bus
  static constexpr int buffer_count = 4;                             ///< the oldest is free when the newest is full

  /// To the device of this ordinal.
  explicit Staging(int ordinal) : device_(of_device<Device>(ordinal)) {}
  /// For buffers that do not live as long as the process does, as the library's own do.
  ~Staging() {
    cudaStreamSynchronize(device_.stream);
    for (const Buffer& buffer : buffers_) {
      if (buffer.memory) cudaFreeHost(buffer.memory);
      if (buffer.read) cudaEventDestroy(buffer.read);
    }
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  /// Queues a copy to the device; the source may be written or freed as soon as it returns. It waits only where all
  /// buffers are full, until the device has read the oldest. Thread-safe. Throws DeviceError.
  void copy(void* destination, const void* source, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    for (std::size_t done = 0, part = 0; done < bytes; done += part) {
      if (used_ == buffer_bytes) take_oldest();
      part = std::min(bytes - done, buffer_bytes - used_);
      std::byte* const staged = newest_->memory + used_;
      std::memcpy(staged, static_cast<const std::byte*>(source) + done, part);
      used_ += (part + alignment - 1) / alignment * alignment;
      check(cudaMemcpyAsync(static_cast<std::byte*>(destination) + done, staged, part, cudaMemcpyHostToDevice,
                            device_.stream),
            "copying to the device");
    }
  }

 private:
  static constexpr std::size_t alignment = 64;  // of copies; divides buffer_bytes

  struct Buffer {
    std::byte* memory = nullptr;
    cudaEvent_t read = nullptr;  // behind the last copy from it
  };

  /// Makes the oldest buffer the newest.
  void take_oldest() {
    if (newest_->memory) check(cudaEventRecord(newest_->read, device_.stream), "marking the end of copies");
    Buffer* const oldest = newest_ == buffers_ + buffer_count - 1 ? buffers_ : newest_ + 1;
    if (!oldest->read) {
      const OnDevice there(device_.ordinal);
      check(cudaEventCreateWithFlags(&oldest->read, cudaEventDisableTiming), "creating an event");
    }
    if (oldest->memory) {
      check(cudaEventSynchronize(oldest->read), "waiting for copies to the device");
    } else {
      void* memory = nullptr;
      check(cudaMallocHost(&memory, buffer_bytes), "allocating page-locked memory");
      oldest->memory = static_cast<std::byte*>(memory);
    }
    newest_ = oldest;
    used_ = 0;
  }

  const Device& device_;
  std::mutex mutex_;
  Buffer buffers_[buffer_count];
  Buffer* newest_ = buffers_;
  std::size_t used_ = buffer_bytes;  // of the newest; at first it has no memory
};

}  // namespace plinth::cuda
