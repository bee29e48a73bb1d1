// SPDX-License-Identifier: MIT
// Which devices there are, what they say of themselves, and the runtime's errors.
#include <emulator.hpp>
#include <stdexcept>
#include <string>
#include <utility>

#include "runtime.hpp"

namespace emulator {
namespace {

/// CUDA C++ Programming Guide, "Technical Specifications per Compute Capability", of a thread block.
std::size_t shared_bytes_of(int capability) {
  switch (capability) {
    case 80: return 163 * 1024;
    case 86:
    case 89: return 99 * 1024;
    case 90: return 227 * 1024;
  }
  throw std::invalid_argument("emulator: no device of compute capability " + std::to_string(capability));
}

/// By others, of which nobody has asked anything yet.
void exchange_devices(int capability) {
  runtime().most_shared_bytes = shared_bytes_of(capability);
  runtime().shared_bytes_allowed.clear();
}

}  // namespace

Runtime::Runtime() : most_shared_bytes(shared_bytes_of(80)) {}

Runtime& runtime() {
  static auto& instance = *new Runtime;
  return instance;
}

ComputeCapability::ComputeCapability(int number) { exchange_devices(number); }
ComputeCapability::~ComputeCapability() { exchange_devices(80); }

void set_device_count(int count) { runtime().count = count; }
void set_memory_pools(bool present) { runtime().has_pools = present; }
void lose_device(cudaError_t status) { runtime().lost = status; }

}  // namespace emulator

using namespace emulator;

cudaError_t cudaGetDeviceCount(int* count) {
  *count = runtime().count;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* ordinal) {
  *ordinal = current_ordinal;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int ordinal) {
  return answer([=] {
    if (ordinal < 0 || ordinal >= runtime().count) return cudaErrorInvalidDevice;
    current_ordinal = ordinal;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int ordinal) {
  return answer([=] {
    if (ordinal < 0 || ordinal >= runtime().count) return cudaErrorInvalidDevice;
    *value = attribute == cudaDevAttrMultiProcessorCount ? 2 : runtime().has_pools;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceSynchronize() {
  return answer([] {
    for (const cudaStream_t stream : runtime().streams)
      if (stream->captured) {
        stream->captured->valid = false;
        return cudaErrorStreamCaptureUnsupported;
      }
    run_all();
    return cudaSuccess;
  });
}

const char* cudaGetErrorName(cudaError_t status) {
  switch (status) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorInvalidResourceHandle: return "cudaErrorInvalidResourceHandle";
    case cudaErrorNotReady: return "cudaErrorNotReady";
    case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
    case cudaErrorStreamCaptureWrongThread: return "cudaErrorStreamCaptureWrongThread";
  }
  return "unknown";
}

const char* cudaGetErrorString(cudaError_t) { return "as the emulator sees it"; }

cudaError_t cudaGetLastError() {
  const cudaError_t last = std::exchange(last_error, cudaSuccess);
  return runtime().lost != cudaSuccess ? runtime().lost : last;
}
