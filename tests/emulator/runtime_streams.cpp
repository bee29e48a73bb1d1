// SPDX-License-Identifier: MIT
// Streams, their events, and the launch of kernels there.
#include <emulator.hpp>
#include <memory>
#include <utility>

#include "device_memory.hpp"
#include "runtime.hpp"

using namespace emulator;

struct CUevent_st {
  int ordinal;
  cudaStream_t stream = nullptr;
  std::shared_ptr<bool> reached = {};  // where it was recorded last; null: nowhere yet
};

namespace emulator {
namespace {

/// Which a block of the kernel may have.
std::size_t shared_bytes_of(void (*kernel)()) {
  constexpr std::size_t granted = 48 * 1024;  // without asking
  const auto asked = runtime().shared_bytes_allowed.find({current_ordinal, kernel});
  return asked == runtime().shared_bytes_allowed.end() ? granted : asked->second;
}

}  // namespace

void run(CUstream_st& stream, const bool* reached) {
  Work work;
  work.swap(stream.work);  // after a failure the rest is dropped
  if (work.empty()) return;
  const Playing playing(stream.ordinal);
  for (; !work.empty() && !(reached && *reached); work.pop_front()) work.front()();
  work.swap(stream.work);
}

void run_all() {
  for (const cudaStream_t stream : runtime().streams) run(*stream);
}

int device_of(cudaStream_t stream) { return stream->ordinal; }

cudaError_t set_attribute(void (*kernel)(), cudaFuncAttribute attribute, int value) {
  return answer([=] {
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0) return cudaErrorInvalidValue;
    const auto bytes = static_cast<std::size_t>(value);
    if (bytes > runtime().most_shared_bytes) return cudaErrorInvalidValue;
    runtime().shared_bytes_allowed[{current_ordinal, kernel}] = bytes;
    return cudaSuccess;
  });
}

cudaError_t enqueue(const cudaLaunchConfig_t& config, void (*kernel)(), std::function<void()> thread) {
  const cudaStream_t stream = config.stream;
  if (!stream) return answer([] { return cudaErrorInvalidValue; });  // Plinth always names one
  return answer(stream, [&] {
    const auto size = [](const dim3& d) { return std::size_t{d.x} * d.y * d.z; };
    const dim3 &grid = config.gridDim, &block = config.blockDim;
    if (size(grid) == 0 || grid.x > 0x7fffffff || grid.y > 0xffff || grid.z > 0xffff)
      return cudaErrorInvalidConfiguration;
    if (size(block) == 0 || size(block) > 1024) return cudaErrorInvalidConfiguration;
    if (config.dynamicSmemBytes > shared_bytes_of(kernel)) return cudaErrorInvalidValue;
    if (stream->ordinal != current_ordinal) return cudaErrorInvalidResourceHandle;
    stream->queue([config, kernel, thread = std::move(thread)] { run_grid(config, kernel, thread); });
    return cudaSuccess;
  });
}

void enqueue(cudaStream_t stream, std::function<void()> work) {
  const std::lock_guard lock(runtime().mutex);
  stream->queue(std::move(work));
}

}  // namespace emulator

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return answer([=] {
    *stream = new CUstream_st{current_ordinal};
    runtime().streams.push_back(*stream);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return answer([=] {
    run(*stream);
    std::erase(runtime().streams, stream);
    delete stream->captured;
    delete stream;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return answer(stream, [=] {
    if (stream->captured) return cudaErrorStreamCaptureUnsupported;
    run(*stream);
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  return answer([=] {
    *event = new CUevent_st{current_ordinal};
    return cudaSuccess;
  });
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return answer(stream, [=] {
    if (stream->captured) return cudaErrorStreamCaptureUnsupported;
    if (event->ordinal != stream->ordinal) return cudaErrorInvalidResourceHandle;
    *event = {stream->ordinal, stream, std::make_shared<bool>(false)};
    stream->queue([reached = event->reached] { *reached = true; });
    return cudaSuccess;
  });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  return answer([=] { return !event->reached || *event->reached ? cudaSuccess : cudaErrorNotReady; });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return answer([=] {
    if (event->reached && !*event->reached) run(*event->stream, event->reached.get());
    return cudaSuccess;
  });
}
