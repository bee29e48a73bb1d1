// SPDX-License-Identifier: MIT
// What the runtime knows of its devices, and how it answers calls. Each device has 2 multiprocessors and 1 GiB.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

using Work = std::deque<std::function<void()>>;

struct CUgraph_st {
  Work work;
  bool valid = true;  // while it is captured
};

struct CUstream_st {
  int ordinal;
  Work work = {};
  cudaGraph_t captured = nullptr;  // what takes the work down

  void queue(std::function<void()> item) { (captured ? captured->work : work).push_back(std::move(item)); }
};

namespace emulator {

/// Blocks of memory by their address.
template <class Block>
struct BlockMap : std::map<const void*, Block> {
  /// The block that holds [begin, begin + bytes), or null.
  const Block* holding(const void* begin, std::size_t bytes) const {
    auto after = this->upper_bound(begin);
    if (after == this->begin()) return nullptr;
    const auto& [address, block] = *--after;
    const auto offset = static_cast<std::size_t>(static_cast<const char*>(begin) - static_cast<const char*>(address));
    return offset <= block.bytes && bytes <= block.bytes - offset ? &block : nullptr;
  }
};

struct DeviceBlock {
  std::size_t bytes;
  int ordinal;
};
struct HostBlock {
  std::size_t bytes;
};

struct Runtime {
  std::recursive_mutex mutex;
  BlockMap<DeviceBlock> memory;
  BlockMap<HostBlock> page_locked;
  std::map<int, std::size_t> left;  // of each device's memory; 1 GiB where nothing was taken yet
  std::vector<cudaStream_t> streams;
  std::map<std::pair<int, void (*)()>, std::size_t> shared_bytes_allowed;  // of a device's kernel
  int count = 1;
  bool has_pools = true;
  std::size_t most_shared_bytes = 0;  // of a block
  cudaError_t lost = cudaSuccess;     // what all calls answer

  Runtime();
  std::size_t& left_of(int ordinal) { return left.try_emplace(ordinal, std::size_t{1} << 30).first->second; }
};

/// Never destroyed: the library may call at the program's very end.
Runtime& runtime();

// Of the calling thread.
inline thread_local int current_ordinal = 0;
inline thread_local cudaError_t last_error = cudaSuccess;

/// Answers a call by f(), unless the device is lost.
template <class F>
cudaError_t answer(const F& f) {
  const std::lock_guard lock(runtime().mutex);
  const cudaError_t status = runtime().lost != cudaSuccess ? runtime().lost : f();
  if (status != cudaSuccess && status != cudaErrorNotReady) last_error = status;
  return status;
}

/// The same for what is asked of a stream. While that is captured, whatever is refused invalidates the capture, and
/// then everything is.
template <class F>
cudaError_t answer(cudaStream_t stream, const F& f) {
  return answer([&]() -> cudaError_t {
    if (stream->captured && !stream->captured->valid) return cudaErrorStreamCaptureInvalidated;
    const cudaError_t status = f();
    if (stream->captured && status != cudaSuccess) stream->captured->valid = false;
    return status;
  });
}

/// Runs what is queued, or only what comes before `reached` becomes true.
void run(CUstream_st& stream, const bool* reached = nullptr);
void run_all();

}  // namespace emulator
