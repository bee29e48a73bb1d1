// SPDX-License-Identifier: MIT
// queue<Cuda>: where CUDA kernels run, in order and after the call has returned.
#pragma once

#include <plinth/kernels/cuda/memory.cuh>
#include <plinth/tensor/queue.hpp>

namespace plinth {

/// The way to a GPU, the same one for all threads. Kernels are queued and run in order; only synchronize() and copies
/// to the program's memory wait.
template <>
class queue<Cuda> {
 public:
  /// The queue of the calling thread's GPU. Throws DeviceError where there is no device.
  static queue& current() { return cuda::of_device<queue>(cuda::device().ordinal); }

  queue(const queue&) = delete;
  queue& operator=(const queue&) = delete;

  int ordinal() const { return device_.ordinal; }
  int multiprocessors() const { return device_.multiprocessors; }
  /// Where the calling thread queues: while it records a graph, there.
  cudaStream_t stream() const { return cuda::recording_stream ? cuda::recording_stream : device_.stream; }

  /// Waits until everything queued is done. Throws DeviceError when a kernel failed, GraphError while a graph is
  /// recorded.
  void synchronize() {
    constexpr const char* attempt = "waiting for the queued kernels";
    cuda::require_not_recording(attempt);
    cuda::check(cudaStreamSynchronize(device_.stream), attempt);
  }

 private:
  template <class T>
  friend T& cuda::of_device(int);
  explicit queue(int ordinal) : device_(cuda::of_device<cuda::Device>(ordinal)) {}

  const cuda::Device& device_;
};

}  // namespace plinth
