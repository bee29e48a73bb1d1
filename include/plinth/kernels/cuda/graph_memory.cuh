// SPDX-License-Identifier: MIT
// The memory of a graph: each replay writes to the same addresses, which nobody else may get while the graph lives.
#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include <plinth/kernels/cuda/runtime.cuh>
#include <plinth/tensor/memory.hpp>

namespace plinth::cuda {

/// Blocks that were taken from a pool while a graph was recorded. One that is released in the recording serves again
/// there, as it will in each replay, but goes back to the pool only with the graph: until then it counts as in use.
/// Thread-safe. Pool: has allocate(bytes) and release(block, bytes).
template <class Pool>
class GraphMemory {
 public:
  explicit GraphMemory(Pool& pool) : pool_(pool) {}
  /// Blocks that a tensor still holds become ordinary ones.
  ~GraphMemory() {
    const std::lock_guard lock(mutex());
    for (const auto& [size, blocks] : free_)
      for (void* const block : blocks) pool_.release(block, size);
    for (const auto& [block, bytes] : held_) pool_.release(block, bytes);
    count_ -= std::erase_if(owners(), [this](const auto& owner) { return owner.second == this; });
  }
  GraphMemory(const GraphMemory&) = delete;
  GraphMemory& operator=(const GraphMemory&) = delete;

  /// Throws MemoryError.
  void* allocate(std::size_t bytes) {
    const std::size_t size = Pool::rounded(bytes);
    const std::lock_guard lock(mutex());
    auto& blocks = free_[size];
    if (blocks.empty()) {
      blocks.reserve(++made_[size]);  // so that release need not
      void* const block = pool_.allocate(size);
      try {
        owners()[block] = this;
      } catch (...) {
        pool_.release(block, size);
        throw;
      }
      ++count_;
      return block;
    }
    void* const block = blocks.back();
    blocks.pop_back();
    return block;
  }

  /// Keeps a block that the recording has read and now releases, for each replay reads it again. False, and nothing
  /// happens, for one of another pool.
  bool hold(const Pool& pool, void* block, std::size_t bytes) noexcept {
    if (&pool != &pool_) return false;
    const std::lock_guard lock(mutex());
    try {
      held_.emplace_back(block, bytes);
    } catch (...) {  // the program has no memory left to remember it: nobody gets it again
    }
    return true;
  }

  /// Gives a block back to its graph. False, and nothing happens, for one of no graph.
  static bool release(void* block, std::size_t bytes) {
    if (count_ == 0) return false;
    const std::lock_guard lock(mutex());
    const auto owner = owners().find(block);
    if (owner == owners().end()) return false;
    owner->second->free_[Pool::rounded(bytes)].push_back(block);
    return true;
  }

 private:
  static std::mutex& mutex() {
    static auto& instance = *new std::mutex;
    return instance;
  }
  static std::map<void*, GraphMemory*>& owners() {
    static auto& instance = *new std::map<void*, GraphMemory*>;
    return instance;
  }
  static inline std::atomic<std::size_t> count_ = 0;  // of all graphs' blocks

  Pool& pool_;
  std::map<std::size_t, std::vector<void*>> free_;
  std::map<std::size_t, std::size_t> made_;  // how many blocks of a size there are
  std::vector<std::pair<void*, std::size_t>> held_;
};

}  // namespace plinth::cuda
