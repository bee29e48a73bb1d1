// SPDX-License-Identifier: MIT
// Memory, streams, launches and graphs of the emulated devices: 2 multiprocessors, 1 GiB.
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

#include "device_memory.hpp"

using Work = std::deque<std::function<void()>>;

struct CUgraph_st {
  Work work;
};
struct CUgraphExec_st : CUgraph_st {};

struct CUmemPoolHandle_st {
  int ordinal;
};

struct CUstream_st {
  int ordinal;
  Work work;
  cudaGraph_t captured = nullptr;  // what takes the work down

  void queue(std::function<void()> item) { (captured ? captured->work : work).push_back(std::move(item)); }
};

struct CUevent_st {
  int ordinal;
  cudaStream_t stream = nullptr;
  std::shared_ptr<bool> reached;  // where it was recorded last; null: nowhere yet
};

namespace emulator {
namespace {

struct Device {
  static constexpr int multiprocessors = 2, shared_bytes_granted = 48 * 1024, shared_bytes_limit = 227 * 1024;

  std::recursive_mutex mutex;
  using Blocks = std::map<const void*, std::size_t>;
  Blocks memory, page_locked;
  std::map<const void*, int> ordinals;  // of the blocks of memory
  int count = 1;
  bool has_pools = true;
  std::size_t graph_launches = 0;
  std::map<int, std::size_t> left;  // of each device's memory; 1 GiB where nothing was taken yet
  std::vector<cudaStream_t> streams;
  std::map<void (*)(), int> shared_bytes_allowed;
  cudaError_t last_error = cudaSuccess;

  std::size_t& left_of(int ordinal) { return left.try_emplace(ordinal, std::size_t{1} << 30).first->second; }
  /// The block that holds this address, or none.
  const void* block_of(const void* address) const {
    const auto after = memory.upper_bound(address);
    return after == memory.begin() || !holds(memory, address, 0) ? nullptr : std::prev(after)->first;
  }
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

thread_local int current_ordinal = 0;

/// Runs what is queued, or only what comes before `reached` becomes true.
void run(CUstream_st& stream, const bool* reached = nullptr) {
  Work work;
  work.swap(stream.work);  // after a failure the rest is dropped
  if (work.empty()) return;
  const Playing playing(stream.ordinal);
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
  if (config.stream->ordinal != current_ordinal) return device().answer(cudaErrorInvalidResourceHandle);
  config.stream->queue([config, kernel, thread = std::move(thread)] { run_grid(config, kernel, thread); });
  return cudaSuccess;
}

void enqueue(cudaStream_t stream, std::function<void()> work) {
  const std::lock_guard lock(device().mutex);
  stream->queue(std::move(work));
}

void set_device_count(int count) { device().count = count; }
void set_memory_pools(bool present) { device().has_pools = present; }
void set_free_memory(std::size_t bytes) { device().left_of(current_ordinal) = bytes; }
std::size_t blocks_of_memory() { return device().memory.size(); }
std::size_t graph_launches() { return device().graph_launches; }
int device_of(cudaStream_t stream) { return stream->ordinal; }

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
  *count = device().count;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* ordinal) {
  *ordinal = emulator::current_ordinal;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int ordinal) {
  if (ordinal < 0 || ordinal >= device().count) return device().answer(cudaErrorInvalidDevice);
  emulator::current_ordinal = ordinal;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int ordinal) {
  if (ordinal < 0 || ordinal >= device().count) return device().answer(cudaErrorInvalidDevice);
  *value = attribute == cudaDevAttrMultiProcessorCount ? emulator::Device::multiprocessors : device().has_pools;
  return cudaSuccess;
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
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
  }
  return "unknown";
}

const char* cudaGetErrorString(cudaError_t) { return "as the emulator sees it"; }

cudaError_t cudaGetLastError() { return std::exchange(device().last_error, cudaSuccess); }

cudaError_t cudaMalloc(void** block, std::size_t bytes) {
  const std::lock_guard lock(device().mutex);
  auto& left = device().left_of(emulator::current_ordinal);
  *block = bytes > left ? nullptr : emulator::take_block(bytes, emulator::current_ordinal);
  if (!*block) return device().answer(cudaErrorMemoryAllocation);
  device().memory[*block] = bytes;
  device().ordinals[*block] = emulator::current_ordinal;
  left -= bytes;
  return cudaSuccess;
}

namespace {

void remove(void* block) {
  device().memory.erase(block);
  device().ordinals.erase(block);
  emulator::give_block(block);
}

}  // namespace

cudaError_t cudaFree(void* block) {
  const std::lock_guard lock(device().mutex);
  if (!block) return cudaSuccess;
  if (!device().memory.contains(block)) return device().answer(cudaErrorInvalidValue);
  emulator::run_all();
  device().left_of(device().ordinals.at(block)) += device().memory.at(block);
  remove(block);
  return cudaSuccess;
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* properties) {
  const int ordinal = properties->location.id;
  if (ordinal < 0 || ordinal >= device().count || !device().has_pools) return device().answer(cudaErrorInvalidValue);
  *pool = new CUmemPoolHandle_st{ordinal};
  return cudaSuccess;
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr attribute, void*) {
  return device().answer(attribute == cudaMemPoolAttrReleaseThreshold ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, std::size_t) { return cudaSuccess; }

cudaError_t cudaMallocFromPoolAsync(void** block, std::size_t bytes, cudaMemPool_t pool, cudaStream_t stream) {
  const std::lock_guard lock(device().mutex);
  if (stream->ordinal != pool->ordinal || stream->captured) return device().answer(cudaErrorInvalidValue);
  const int before = std::exchange(emulator::current_ordinal, pool->ordinal);
  const cudaError_t status = cudaMalloc(block, bytes);
  emulator::current_ordinal = before;
  return status;
}

cudaError_t cudaFreeAsync(void* block, cudaStream_t stream) {
  const std::lock_guard lock(device().mutex);
  if (!device().memory.contains(block) || device().ordinals.at(block) != stream->ordinal || stream->captured)
    return device().answer(cudaErrorInvalidValue);
  device().left_of(stream->ordinal) += device().memory.at(block);
  stream->queue([block] { remove(block); });
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
  if (const void* const block = device().block_of(pointer))
    *attributes = {cudaMemoryTypeDevice, device().ordinals.at(block)};
  if (device().holds(device().page_locked, pointer, 1)) attributes->type = cudaMemoryTypeHost;
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const std::lock_guard lock(device().mutex);
  *stream = new CUstream_st{emulator::current_ordinal, {}};
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
  if (stream->captured) return device().answer(cudaErrorStreamCaptureUnsupported);
  emulator::run(*stream);
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  const std::lock_guard lock(device().mutex);
  emulator::run_all();
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st{emulator::current_ordinal, nullptr, {}};
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard lock(device().mutex);
  if (event->ordinal != stream->ordinal) return device().answer(cudaErrorInvalidResourceHandle);
  *event = {stream->ordinal, stream, std::make_shared<bool>(false)};
  stream->queue([reached = event->reached] { *reached = true; });
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
  const void* const on_device = kind == cudaMemcpyHostToDevice ? destination : source;
  if (gpu.ordinals.at(gpu.block_of(on_device)) != stream->ordinal) return gpu.answer(cudaErrorInvalidValue);
  if (kind == cudaMemcpyHostToDevice && !gpu.holds(gpu.page_locked, source, 1)) {
    if (stream->captured) return gpu.answer(cudaErrorStreamCaptureUnsupported);
    std::vector<char> staged(static_cast<const char*>(source), static_cast<const char*>(source) + bytes);
    stream->queue([=, staged = std::move(staged)] { std::memcpy(destination, staged.data(), staged.size()); });
  } else {
    stream->queue([=] { std::memcpy(destination, source, bytes); });
  }
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const std::lock_guard lock(device().mutex);
  if (stream->captured) return device().answer(cudaErrorStreamCaptureUnsupported);
  stream->captured = new CUgraph_st;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::lock_guard lock(device().mutex);
  if (!stream->captured) return device().answer(cudaErrorInvalidValue);
  *graph = std::exchange(stream->captured, nullptr);
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, std::uint64_t) {
  *executable = new CUgraphExec_st{*graph};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  const std::lock_guard lock(device().mutex);
  for (const auto& item : executable->work) stream->queue(item);
  ++device().graph_launches;
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}
