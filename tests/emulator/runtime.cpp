// SPDX-License-Identifier: MIT
// Memory, streams and launches of the emulated device: 2 multiprocessors, 1 GiB.
#include <cstdlib>
#include <cstring>
#include <deque>
#include <emulator.hpp>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "sanitizer.hpp"

struct CUstream_st {
  std::deque<std::function<void()>> work;
};

struct CUevent_st {
  cudaStream_t stream = nullptr;
  std::shared_ptr<bool> reached;  // where it was recorded last; null: nowhere yet
};

namespace emulator {
namespace {

struct Device {
  static constexpr std::size_t capacity = std::size_t{1} << 30;
  static constexpr int multiprocessors = 2, shared_bytes_granted = 48 * 1024, shared_bytes_limit = 227 * 1024;

  std::recursive_mutex mutex;
  using Blocks = std::map<const void*, std::size_t>;
  Blocks memory, page_locked;
  std::size_t used = 0;
  std::vector<cudaStream_t> streams;
  std::map<void (*)(), int> shared_bytes_allowed;
  cudaError_t last_error = cudaSuccess;

  static bool holds(const Blocks& blocks, const void* begin, std::size_t bytes) {
    const auto after = blocks.upper_bound(begin);
    if (after == blocks.begin()) return false;
    const auto& [block, size] = *std::prev(after);
    const auto offset = static_cast<std::size_t>(static_cast<const char*>(begin) - static_cast<const char*>(block));
    return offset <= size && bytes <= size - offset;
  }

  cudaError_t answer(cudaError_t status) {
    if (status != cudaSuccess) last_error = status;
    return status;
  }
};

/// Never destroyed: the library may call at the program's very end.
Device& device() {
  static auto& instance = *new Device;
  return instance;
}

/// While it lives, the device's memory may be touched.
class Access {
 public:
  Access() {
    for (const auto& [block, bytes] : device().memory) allow(block, bytes);
  }
  ~Access() {
    for (const auto& [block, bytes] : device().memory) forbid(block, bytes);
  }
  Access(const Access&) = delete;
  Access& operator=(const Access&) = delete;
};

/// Runs what is queued, or only what comes before `reached` becomes true.
void run(CUstream_st& stream, const bool* reached = nullptr) {
  std::deque<std::function<void()>> work;
  work.swap(stream.work);  // after a failure the rest is dropped
  if (work.empty()) return;
  const Access access;
  for (; !work.empty() && !(reached && *reached); work.pop_front()) work.front()();
  work.swap(stream.work);
}

void run_all() {
  for (const cudaStream_t stream : device().streams) run(*stream);
}

}  // namespace

cudaError_t enqueue(const cudaLaunchConfig_t& config, void (*kernel)(), std::function<void()> thread) {
  const std::lock_guard lock(device().mutex);
  const auto size = [](const dim3& d) { return std::size_t{d.x} * d.y * d.z; };
  if (size(config.gridDim) == 0 || config.gridDim.x > 0x7fffffff || config.gridDim.y > 0xffff || config.gridDim.z > 0xffff)
    return device().answer(cudaErrorInvalidConfiguration);
  if (size(config.blockDim) == 0 || size(config.blockDim) > 1024) return device().answer(cudaErrorInvalidConfiguration);
  const auto allowed = device().shared_bytes_allowed.find(kernel);
  const int shared_bytes = allowed == device().shared_bytes_allowed.end() ? Device::shared_bytes_granted : allowed->second;
  if (config.dynamicSmemBytes > static_cast<std::size_t>(shared_bytes)) return device().answer(cudaErrorInvalidValue);
  if (!config.stream) return device().answer(cudaErrorInvalidValue);  // Plinth always names one
  config.stream->work.push_back([config, thread = std::move(thread)] { run_grid(config, thread); });
  return cudaSuccess;
}

void enqueue(cudaStream_t stream, std::function<void()> work) {
  const std::lock_guard lock(device().mutex);
  stream->work.push_back(std::move(work));
}

cudaError_t set_attribute(void (*kernel)(), cudaFuncAttribute attribute, int value) {
  const std::lock_guard lock(device().mutex);
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 || value > Device::shared_bytes_limit)
    return device().answer(cudaErrorInvalidValue);
  device().shared_bytes_allowed[kernel] = value;
  return cudaSuccess;
}

}  // namespace emulator

using emulator::device;

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* ordinal) {
  *ordinal = 0;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int ordinal) { return device().answer(ordinal == 0 ? cudaSuccess : cudaErrorInvalidDevice); }

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int ordinal) {
  if (ordinal != 0 || attribute != cudaDevAttrMultiProcessorCount) return device().answer(cudaErrorInvalidValue);
  *value = emulator::Device::multiprocessors;
  return cudaSuccess;
}

const char* cudaGetErrorName(cudaError_t status) {
  switch (status) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorNotReady: return "cudaErrorNotReady";
  }
  return "unknown";
}

const char* cudaGetErrorString(cudaError_t) { return "as the emulator sees it"; }

cudaError_t cudaGetLastError() { return std::exchange(device().last_error, cudaSuccess); }

cudaError_t cudaMalloc(void** block, std::size_t bytes) {
  const std::lock_guard lock(device().mutex);
  if (bytes > emulator::Device::capacity - device().used || posix_memalign(block, 256, bytes) != 0)
    return device().answer(cudaErrorMemoryAllocation);
  std::memset(*block, 0xff, bytes);
  emulator::forbid(*block, bytes);
  device().memory[*block] = bytes;
  device().used += bytes;
  return cudaSuccess;
}

cudaError_t cudaFree(void* block) {
  const std::lock_guard lock(device().mutex);
  if (!block) return cudaSuccess;
  if (!device().memory.contains(block)) return device().answer(cudaErrorInvalidValue);
  emulator::run_all();
  const auto found = device().memory.find(block);
  emulator::allow(block, found->second);
  device().used -= found->second;
  device().memory.erase(found);
  std::free(block);
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void** block, std::size_t bytes) {
  const std::lock_guard lock(device().mutex);
  *block = std::malloc(bytes);
  if (!*block) return device().answer(cudaErrorMemoryAllocation);
  device().page_locked[*block] = bytes;
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* block) {
  const std::lock_guard lock(device().mutex);
  if (device().page_locked.erase(block) == 0) return device().answer(cudaErrorInvalidValue);
  emulator::run_all();
  std::free(block);
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  const std::lock_guard lock(device().mutex);
  attributes->type = cudaMemoryTypeUnregistered;
  if (device().holds(device().memory, pointer, 1)) attributes->type = cudaMemoryTypeDevice;
  if (device().holds(device().page_locked, pointer, 1)) attributes->type = cudaMemoryTypeHost;
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const std::lock_guard lock(device().mutex);
  *stream = new CUstream_st;
  device().streams.push_back(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard lock(device().mutex);
  emulator::run(*stream);
  std::erase(device().streams, stream);
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const std::lock_guard lock(device().mutex);
  emulator::run(*stream);
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  const std::lock_guard lock(device().mutex);
  emulator::run_all();
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard lock(device().mutex);
  *event = {stream, std::make_shared<bool>(false)};
  stream->work.push_back([reached = event->reached] { *reached = true; });
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  const std::lock_guard lock(device().mutex);
  return !event->reached || *event->reached ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const std::lock_guard lock(device().mutex);
  if (cudaEventQuery(event) == cudaErrorNotReady) emulator::run(*event->stream, event->reached.get());
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* destination, const void* source, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  auto& gpu = device();
  const std::lock_guard lock(gpu.mutex);
  if (gpu.holds(gpu.memory, destination, bytes) != (kind != cudaMemcpyDeviceToHost) ||
      gpu.holds(gpu.memory, source, bytes) != (kind != cudaMemcpyHostToDevice))
    return gpu.answer(cudaErrorInvalidValue);
  if (kind == cudaMemcpyHostToDevice && !gpu.holds(gpu.page_locked, source, 1)) {
    std::vector<char> staged(static_cast<const char*>(source), static_cast<const char*>(source) + bytes);
    stream->work.push_back([=, staged = std::move(staged)] { std::memcpy(destination, staged.data(), staged.size()); });
  } else {
    stream->work.push_back([=] { std::memcpy(destination, source, bytes); });
  }
  return cudaSuccess;
}
