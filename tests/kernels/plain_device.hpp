// SPDX-License-Identifier: MIT
// The device of the plain-loop backend: its tag, memory and queue. It counts how often the program waits for it, and can
// let an allocation fail.
#pragma once

#include <cstdint>
#include <cstring>

#include <plinth/tensor/memory.hpp>
#include <plinth/tensor/queue.hpp>

/// A device that computes at once, element after element.
struct Plain {
  static constexpr const char* name = "plain";
  static inline std::int64_t synchronisations = 0;
  static inline std::int64_t allocations = 0;
  /// How many allocations are granted before one throws; negative: all.
  static inline std::int64_t allocations_before_failure = -1;
};

namespace plinth {

template <>
struct memory<Plain> {
  static constexpr bool keeps_values = true;

  static void* allocate(std::size_t bytes) {
    ++Plain::allocations;
    if (Plain::allocations_before_failure-- == 0) throw MemoryError("plain memory: the test lets this allocation fail");
    return memory<Cpu>::allocate(bytes);
  }
  static void release(void* block, std::size_t bytes) noexcept { memory<Cpu>::release(block, bytes); }
  static MemoryUse use() { return memory<Cpu>::use(); }

  /// As on a GPU, what comes from the program is taken along at once, and what goes to it is waited for.
  static void copy_from_host(void* destination, const void* source, std::size_t bytes) {
    if (bytes) std::memcpy(destination, source, bytes);
  }
  static void copy_to_host(void* destination, const void* source, std::size_t bytes) {
    ++Plain::synchronisations;
    if (bytes) std::memcpy(destination, source, bytes);
  }
};

template <>
class queue<Plain> {
 public:
  static queue& current() {
    static queue instance;
    return instance;
  }
  void synchronize() { ++Plain::synchronisations; }
};

}  // namespace plinth
