// SPDX-License-Identifier: MIT
// The CUDA devices that this process computes on, and the one place where a status of the CUDA runtime becomes an
// exception.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <mutex>

#include <plinth/tensor/error.hpp>

namespace plinth::cuda {

/// Throws DeviceError, naming what was attempted and the runtime's reason, unless the status is success; GraphError where
/// that is that a graph cannot hold what is or was queued.
inline void check(cudaError_t status, const char* attempt) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // so that the next call does not report it again
  const auto what =
      detail::join("cuda: ", attempt, ": ", cudaGetErrorName(status), " (", cudaGetErrorString(status), ")");
  if (status >= cudaErrorStreamCaptureUnsupported && status <= cudaErrorStreamCaptureWrongThread) throw GraphError(what);
  throw DeviceError(what);
}

/// The stream that takes down what the calling thread queues, while it records a graph (graph.cuh); else null.
inline thread_local cudaStream_t recording_stream = nullptr;

/// Throws GraphError while the calling thread records a graph: `attempt` would not be done again with each replay.
inline void require_not_recording(const char* attempt) {
  detail::require<GraphError>(!recording_stream, "cuda: ", attempt,
                              " cannot be recorded in a graph; do it before the graph is made, or between its replays");
}

/// How many GPUs the process sees. Throws DeviceError where there is none.
inline int device_count() {
  int count = 0;
  check(cudaGetDeviceCount(&count), "looking for devices");
  return count;
}

/// From now on the calling thread computes on this GPU: new tensors lie in its memory and kernels run there. A thread
/// begins with GPU 0, and cudaSetDevice has the same effect. An operation's tensors must all lie in the memory of the
/// thread's GPU, which is not checked: the GPU stops the process's work on memory that it cannot reach. So every thread
/// that computes on another GPU than 0 says so first. Throws DeviceError when there is no such GPU.  PyTorch: torch.cuda.set_device.
inline void use_device(int ordinal) {
  require_not_recording("a change of device");
  const int count = device_count();
  detail::require<DeviceError>(ordinal >= 0 && ordinal < count, "cuda: there is no device ", ordinal,
                               "; this process sees ", count, ", numbered from 0");
  check(cudaSetDevice(ordinal), "choosing a device");
}

/// While it lives, the calling thread computes on this GPU.
class OnDevice {
 public:
  explicit OnDevice(int ordinal) {
    check(cudaGetDevice(&before_), "looking for a device");
    check(cudaSetDevice(ordinal), "choosing a device");
  }
  ~OnDevice() { cudaSetDevice(before_); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

 private:
  int before_ = 0;
};

/// A GPU. All threads share its one stream: work and the reuse of memory stay in one order, whichever thread asks.
struct Device {
  int ordinal;
  int multiprocessors = 1;
  cudaStream_t stream = nullptr;
  cudaMemPool_t pool = nullptr;  ///< of the driver, which keeps what is freed; null where the device has none

  /// Throws DeviceError.
  explicit Device(int number) : ordinal(number) {
    const OnDevice there(ordinal);
    check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, ordinal),
          "asking for the number of multiprocessors");
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "creating a stream");
    int has_pools = 0;
    check(cudaDeviceGetAttribute(&has_pools, cudaDevAttrMemoryPoolsSupported, ordinal), "asking for memory pools");
    if (has_pools) create_pool();
    if (in_use == 0) first = ordinal;
    ++in_use;
  }

  /// On how many devices the process has computed, and the first of them.
  static inline std::atomic<int> in_use = 0, first = 0;

 private:
  void create_pool() {
    cudaMemPoolProps properties = {};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location.type = cudaMemLocationTypeDevice;
    properties.location.id = ordinal;
    check(cudaMemPoolCreate(&pool, &properties), "creating a memory pool");
    std::uint64_t kept = std::numeric_limits<std::uint64_t>::max();
    check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &kept), "setting up a memory pool");
  }
};

/// The T of a device, made as T(ordinal) when that is first asked for. Never destroyed: tensors with static lifetime
/// may outlive every other object. Throws what T's constructor throws.
template <class T>
T& of_device(int ordinal) {
  thread_local int last_ordinal = -1;
  thread_local T* last = nullptr;
  if (ordinal == last_ordinal) return *last;
  static std::mutex mutex;
  static auto& all = *new std::map<int, std::unique_ptr<T>>;
  const std::lock_guard lock(mutex);
  auto found = all.find(ordinal);
  if (found == all.end()) found = all.emplace(ordinal, std::unique_ptr<T>(new T(ordinal))).first;
  last_ordinal = ordinal;
  return *(last = found->second.get());
}

/// The calling thread's GPU. Throws DeviceError where there is none.
inline const Device& device() {
  int ordinal = 0;
  check(cudaGetDevice(&ordinal), "looking for a device");
  return of_device<Device>(ordinal);
}

/// The GPU whose memory this is, among those in use; null where CUDA does not know. Never throws.
inline const Device* device_of(const void* memory) noexcept {
  if (Device::in_use == 1) return &of_device<Device>(Device::first);
  cudaPointerAttributes attributes = {};
  if (cudaPointerGetAttributes(&attributes, memory) == cudaSuccess && attributes.type == cudaMemoryTypeDevice)
    return &of_device<Device>(attributes.device);
  cudaGetLastError();
  return nullptr;
}

}  // namespace plinth::cuda
