// SPDX-License-Identifier: MIT
// The runtime's calls for memory of devices and of the host, and copies between them.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <emulator.hpp>
#include <mutex>
#include <utility>
#include <vector>

#include "device_memory.hpp"
#include "runtime.hpp"

using namespace emulator;

struct CUmemPoolHandle_st {
  int ordinal;
};

namespace emulator {

void set_free_memory(std::size_t bytes) { runtime().left_of(current_ordinal) = bytes; }
std::size_t blocks_of_memory() { return runtime().memory.size(); }

bool is_host_pointer(const void* word) {
  // Where systems put programs and their memory; on x86-64, sanitizers map much below, which numbers may look like.
#ifdef __x86_64__
  constexpr std::uintptr_t lowest = std::uintptr_t{1} << 46, end = std::uintptr_t{1} << 47;
#else
  constexpr std::uintptr_t lowest = std::uintptr_t{1} << 32, end = std::uintptr_t{1} << 48;
#endif
  const auto address = reinterpret_cast<std::uintptr_t>(word);
  if (address < lowest || address >= end) return false;
  const std::lock_guard lock(runtime().mutex);
  if (is_around_block(word) || runtime().page_locked.holding(word, 0)) return false;
  static const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  unsigned char resident = 0;
  return mincore(reinterpret_cast<void*>(address / page * page), page, &resident) == 0;
}

}  // namespace emulator

namespace {

cudaError_t allocate(void** block, std::size_t bytes, int ordinal) {
  auto& left = runtime().left_of(ordinal);
  *block = bytes > left ? nullptr : take_block(bytes, ordinal);
  if (!*block) return cudaErrorMemoryAllocation;
  runtime().memory[*block] = {bytes, ordinal};
  left -= bytes;
  return cudaSuccess;
}

void remove(void* block) {
  runtime().memory.erase(block);
  give_block(block);
}

/// Of the block at this address; null: there is none.
const DeviceBlock* block_at(void* address) {
  const auto found = runtime().memory.find(address);
  return found == runtime().memory.end() ? nullptr : &found->second;
}

}  // namespace

cudaError_t cudaMalloc(void** block, std::size_t bytes) {
  return answer([=] { return allocate(block, bytes, current_ordinal); });
}

cudaError_t cudaFree(void* block) {
  return answer([=] {
    if (!block) return cudaSuccess;
    const DeviceBlock* const freed = block_at(block);
    if (!freed) return cudaErrorInvalidValue;
    run_all();
    runtime().left_of(freed->ordinal) += freed->bytes;
    remove(block);
    return cudaSuccess;
  });
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* properties) {
  return answer([=] {
    const int ordinal = properties->location.id;
    if (ordinal < 0 || ordinal >= runtime().count || !runtime().has_pools) return cudaErrorInvalidValue;
    *pool = new CUmemPoolHandle_st{ordinal};
    return cudaSuccess;
  });
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr attribute, void*) {
  return answer([=] { return attribute == cudaMemPoolAttrReleaseThreshold ? cudaSuccess : cudaErrorInvalidValue; });
}

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, std::size_t) {
  return answer([] { return cudaSuccess; });
}

cudaError_t cudaMallocFromPoolAsync(void** block, std::size_t bytes, cudaMemPool_t pool, cudaStream_t stream) {
  return answer(stream, [=] {
    if (stream->captured) return cudaErrorStreamCaptureUnsupported;
    return stream->ordinal == pool->ordinal ? allocate(block, bytes, pool->ordinal) : cudaErrorInvalidValue;
  });
}

cudaError_t cudaFreeAsync(void* block, cudaStream_t stream) {
  return answer(stream, [=] {
    if (stream->captured) return cudaErrorStreamCaptureUnsupported;
    const DeviceBlock* const freed = block_at(block);
    if (!freed || freed->ordinal != stream->ordinal) return cudaErrorInvalidValue;
    runtime().left_of(freed->ordinal) += freed->bytes;
    stream->queue([block] { remove(block); });
    return cudaSuccess;
  });
}

cudaError_t cudaMallocHost(void** block, std::size_t bytes) {
  return answer([=] {
    *block = std::malloc(bytes);
    if (!*block) return cudaErrorMemoryAllocation;
    runtime().page_locked[*block] = {bytes};
    return cudaSuccess;
  });
}

cudaError_t cudaFreeHost(void* block) {
  return answer([=] {
    if (runtime().page_locked.erase(block) == 0) return cudaErrorInvalidValue;
    run_all();
    std::free(block);
    return cudaSuccess;
  });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  return answer([=] {
    *attributes = {};
    if (const DeviceBlock* const block = runtime().memory.holding(pointer, 0))
      *attributes = {cudaMemoryTypeDevice, block->ordinal};
    if (runtime().page_locked.holding(pointer, 1)) attributes->type = cudaMemoryTypeHost;
    return cudaSuccess;
  });
}

cudaError_t cudaMemcpyAsync(void* destination, const void* source, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return answer(stream, [=] {
    const DeviceBlock* const to = runtime().memory.holding(destination, bytes);
    const DeviceBlock* const from = runtime().memory.holding(source, bytes);
    if ((to != nullptr) != (kind != cudaMemcpyDeviceToHost) || (from != nullptr) != (kind != cudaMemcpyHostToDevice))
      return cudaErrorInvalidValue;
    if ((to ? to : from)->ordinal != stream->ordinal) return cudaErrorInvalidValue;
    if (kind == cudaMemcpyHostToDevice && !runtime().page_locked.holding(source, 1)) {
      if (stream->captured) return cudaErrorStreamCaptureUnsupported;
      std::vector<char> staged(static_cast<const char*>(source), static_cast<const char*>(source) + bytes);
      stream->queue([=, staged = std::move(staged)] { std::memcpy(destination, staged.data(), staged.size()); });
    } else {
      stream->queue([=] { std::memcpy(destination, source, bytes); });
    }
    return cudaSuccess;
  });
}
