// SPDX-License-Identifier: MIT
// queue<Cuda>: where CUDA kernels run, in order and after the call has returned.
#pragma once

#include <plinth/kernels/cuda/memory.cuh>
#include <plinth/tensor/queue.hpp>

namespace plinth {

/// The calling thread's way to the process's GPU. Kernels are queued and run in order; only synchronize() and copies to
/// the program's memory wait.
template <>
class queue<Cuda> {
 public:
  /// The queue of the calling thread. Throws DeviceError where there is no device.
  static queue& current() {
    thread_local queue instance;
    return instance;
  }

  queue(const queue&) = delete;
  queue& operator=(const queue&) = delete;

  int ordinal() const { return device_.ordinal; }
  int multiprocessors() const { return device_.multiprocessors; }
  cudaStream_t stream() const { return device_.stream; }

  /// Waits until everything queued is done. Throws DeviceError when a kernel failed.
  void synchronize() { cuda::check(cudaStreamSynchronize(device_.stream), "running the queued kernels"); }

 private:
  queue() : device_(cuda::device()) {}

  const cuda::Device& device_;
};

}  // namespace plinth
