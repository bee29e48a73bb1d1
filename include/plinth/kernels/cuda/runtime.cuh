// SPDX-License-Identifier: MIT
// The CUDA device this process computes on, and the one place where a status of the CUDA runtime becomes an exception.
#pragma once

#include <cuda_runtime_api.h>

#include <plinth/tensor/error.hpp>

namespace plinth::cuda {

/// Throws DeviceError, naming what was attempted and the runtime's reason, unless the status is success.
inline void check(cudaError_t status, const char* attempt) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // so that the next call does not report it again
  throw DeviceError(
      detail::join("cuda: ", attempt, ": ", cudaGetErrorName(status), " (", cudaGetErrorString(status), ")"));
}

/// The process's GPU. All queues share its one stream: work and the reuse of memory stay in one order, whichever thread
/// asks.
struct Device {
  int ordinal = 0;
  int multiprocessors = 1;
  cudaStream_t stream = nullptr;

  Device() {
    check(cudaGetDevice(&ordinal), "looking for a device");
    check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, ordinal),
          "asking for the number of multiprocessors");
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "creating a stream");
  }
};

/// The device that was current (cudaSetDevice) in the thread that first asked, made current in the calling thread too.
/// Throws DeviceError where there is none.
inline const Device& device() {
  static const Device chosen;  // its stream is never destroyed: tensors with static lifetime may outlive all else
  thread_local const bool current = (check(cudaSetDevice(chosen.ordinal), "choosing the device"), true);
  static_cast<void>(current);
  return chosen;
}

}  // namespace plinth::cuda
