// SPDX-License-Identifier: MIT
// The memory pool of a device: every tensor's bytes come from it, are counted, and can be held to a budget.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include <plinth/tensor/device.hpp>
#include <plinth/tensor/error.hpp>

namespace plinth {

/// What a pool has handed out, in bytes.
struct MemoryUse {
  std::size_t current = 0;  ///< in use now
  std::size_t peak = 0;     ///< most in use at once since the last reset_peak
};

/// The pool of device D. A backend specialises it with the members of memory<Cpu>.
template <class D>
struct memory;

namespace detail {

/// A pool over raw blocks: a released block is kept and handed out again for the same rounded size. Sizes are rounded to
/// sixteen classes for each power of two, and no more is kept than was ever in use, so that sequences of growing sizes do
/// not pile up blocks that nobody asks for again. A source that keeps what is released to it gives that back in trim().
template <class Source>
class Pool {
 public:
  explicit Pool(Source source = {}) : source_(std::move(source)) {}
  ~Pool() { trim(); }

  /// At least `bytes` bytes, aligned to 64. Throws MemoryError over the budget or when the source has none.
  void* allocate(std::size_t bytes) {
    const std::size_t size = rounded(bytes);
    const std::lock_guard lock(mutex_);
    require<MemoryError>(granted_ < 0 || granted_-- > 0, source_.name, ": ", bytes, " bytes refused, as fail_after asked");
    require<MemoryError>(size <= budget_ && use_.current <= budget_ - size, source_.name, ": ", bytes,
                         " bytes asked for, ", use_.current, " in use, budget ", budget_);
    void* block = nullptr;
    auto& kept = free_[size];
    if (!kept.empty()) {
      block = kept.back();
      kept.pop_back();
      kept_ -= size;
    } else {
      kept.reserve(1);
      if (kept_ > budget_ - use_.current - size) release_kept();
      block = source_.allocate(size);
      if (!block) {
        give_back();
        block = source_.allocate(size);
      }
      require<MemoryError>(block != nullptr, source_.name, ": there are no ", bytes, " bytes left beside the ",
                           use_.current, " in use; take a smaller batch or model, or let go of tensors first");
    }
    use_.current += size;
    if (use_.current > use_.peak) use_.peak = use_.current;
    if (use_.current > most_) most_ = use_.current;
    return block;
  }

  /// Gives back what allocate(bytes) returned.
  void release(void* block, std::size_t bytes) noexcept {
    const std::size_t size = rounded(bytes);
    const std::lock_guard lock(mutex_);
    use_.current -= size;
    try {
      free_[size].push_back(block);
      kept_ += size;
      if (kept_ > most_) release_kept();
    } catch (...) {
      source_.release(block);
    }
  }

  MemoryUse use() {
    const std::lock_guard lock(mutex_);
    return use_;
  }
  void reset_peak() {
    const std::lock_guard lock(mutex_);
    use_.peak = use_.current;
  }
  void set_budget(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    budget_ = bytes;
  }
  void fail_after(std::int64_t allocations) {
    const std::lock_guard lock(mutex_);
    granted_ = allocations;
  }
  /// Returns the kept blocks to the system.
  void trim() {
    const std::lock_guard lock(mutex_);
    give_back();
  }

  /// For tests: blocks have the size that was asked for, so that whoever guards their ends sees what goes beyond them.
  /// To be set before the first block is allocated.
  static inline bool exact_sizes = false;

  /// The size that a block of at least `bytes` bytes has.
  static std::size_t rounded(std::size_t bytes) {
    if (exact_sizes) return std::max<std::size_t>(bytes, 1);
    const std::size_t step = std::max<std::size_t>(64, std::bit_floor(bytes) / 16);
    require<MemoryError>(bytes <= std::numeric_limits<std::size_t>::max() - step, "memory size overflows");
    return bytes == 0 ? 64 : (bytes + step - 1) / step * step;
  }

 private:
  void release_kept() {
    for (auto& [size, blocks] : free_)
      for (void* block : blocks) source_.release(block);
    free_.clear();
    kept_ = 0;
  }
  void give_back() {
    release_kept();
    if constexpr (requires { source_.trim(); }) source_.trim();
  }

  Source source_;
  std::mutex mutex_;
  std::map<std::size_t, std::vector<void*>> free_;
  MemoryUse use_;
  std::size_t kept_ = 0, most_ = 0;  // bytes of the blocks in free_; most ever in use
  std::size_t budget_ = std::numeric_limits<std::size_t>::max();
  std::int64_t granted_ = -1;  // allocations left before one is refused; negative: all are granted
};

struct MainMemory {
  static constexpr const char* name = "cpu memory";
  static constexpr std::align_val_t line{64};
  static void* allocate(std::size_t bytes) {
    void* const block = ::operator new(bytes, line, std::nothrow);
    if (block) ask_for_large_pages(static_cast<std::byte*>(block), bytes);
    return block;
  }
  static void release(void* block) { ::operator delete(block, line); }

 private:
  /// Pages of 2 MiB, where the system has them, are there sooner when first written, and cost fewer look-ups later.
  static void ask_for_large_pages([[maybe_unused]] std::byte* block, [[maybe_unused]] std::size_t bytes) {
#ifdef __linux__
    constexpr std::size_t page = std::size_t{1} << 21;
    const std::size_t before = (page - reinterpret_cast<std::uintptr_t>(block) % page) % page;
    if (bytes >= before + page) ::madvise(block + before, (bytes - before) / page * page, MADV_HUGEPAGE);
#endif
  }
};

}  // namespace detail

/// Main memory. Thread-safe.
template <>
struct memory<Cpu> {
  /// Whether what is written can be read again: where not, values need not be computed.
  static constexpr bool keeps_values = true;

  /// At least `bytes` bytes, aligned to 64, not set. Throws MemoryError when the budget or the machine has no more.
  static void* allocate(std::size_t bytes) { return pool().allocate(bytes); }
  /// Gives back what allocate(bytes) returned, for the next tensor of about that size.
  static void release(void* block, std::size_t bytes) noexcept { pool().release(block, bytes); }
  /// Bytes in use now and at most since the last reset_peak().
  static MemoryUse use() { return pool().use(); }
  /// The peak is counted from what is in use now.
  static void reset_peak() { pool().reset_peak(); }
  /// From now on an allocation that would pass `bytes` in total throws MemoryError.
  static void set_budget(std::size_t bytes) { pool().set_budget(bytes); }
  /// Returns to the system the blocks that were kept for the next tensors.
  static void trim() { pool().trim(); }
  /// For tests: so many allocations are granted, the next one throws MemoryError, then all are granted again. A negative
  /// number takes that back.
  static void fail_after(std::int64_t allocations) { pool().fail_after(allocations); }

  /// Copies between the program's memory and the device's. copy_to_host waits until the device is done; copy_from_host
  /// does not, yet the source may be written or freed as soon as it returns.
  /// @{
  static void copy_from_host(void* destination, const void* source, std::size_t bytes) {
    if (bytes) std::memcpy(destination, source, bytes);
  }
  static void copy_to_host(void* destination, const void* source, std::size_t bytes) {
    if (bytes) std::memcpy(destination, source, bytes);
  }

  /// @}
 private:
  /// Never destroyed: tensors with static lifetime may outlive every other object.
  static detail::Pool<detail::MainMemory>& pool() {
    static auto& instance = *new detail::Pool<detail::MainMemory>;
    return instance;
  }
};

}  // namespace plinth
