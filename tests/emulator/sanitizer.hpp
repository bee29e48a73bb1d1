// SPDX-License-Identifier: MIT
// What AddressSanitizer and ThreadSanitizer must be told about fibers. Their functions are weak: null where the program
// is linked without them. The emulator's own files are compiled without ThreadSanitizer, so that it sees kernels alone.
#pragma once

#include <cstddef>

extern "C" {
[[gnu::weak]] void __sanitizer_start_switch_fiber(void** left_fake_stack, const void* bottom, std::size_t size);
[[gnu::weak]] void __sanitizer_finish_switch_fiber(void* own_fake_stack, const void** bottom, std::size_t* size);
[[gnu::weak]] void __asan_poison_memory_region(const volatile void* begin, std::size_t size);
[[gnu::weak]] void __asan_unpoison_memory_region(const volatile void* begin, std::size_t size);
[[gnu::weak]] void __asan_set_error_report_callback(void (*callback)(const char* report));
[[gnu::weak]] void* __tsan_get_current_fiber();
[[gnu::weak]] void* __tsan_create_fiber(unsigned flags);
[[gnu::weak]] void __tsan_destroy_fiber(void* fiber);
[[gnu::weak]] void __tsan_switch_to_fiber(void* fiber, unsigned flags);
[[gnu::weak]] void __tsan_acquire(void* address);
[[gnu::weak]] void __tsan_release(void* address);
}

namespace emulator {

/// Whether code outside kernels may touch a piece of memory; heeded by AddressSanitizer.
inline void allow(const void* begin, std::size_t size) {
  if (__asan_unpoison_memory_region) __asan_unpoison_memory_region(begin, size);
}
inline void forbid(const void* begin, std::size_t size) {
  if (__asan_poison_memory_region) __asan_poison_memory_region(begin, size);
}

/// What happened before happened_before(p) in one thread precedes what follows happens_after(p) in another; heeded by
/// ThreadSanitizer, to which the threads of a kernel are otherwise unordered.
inline void happened_before(void* point) {
  if (__tsan_release) __tsan_release(point);
}
inline void happens_after(void* point) {
  if (__tsan_acquire) __tsan_acquire(point);
}

}  // namespace emulator
