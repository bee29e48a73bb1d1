// SPDX-License-Identifier: MIT
// Fibers over ucontext, announced to the sanitizers.
#include "fiber.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#include "sanitizer.hpp"

namespace emulator {

Fiber::Fiber() {
  void* block = mmap(nullptr, guard_bytes + stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (block == MAP_FAILED) throw std::bad_alloc();
  mprotect(block, guard_bytes, PROT_NONE);  // a kernel that overflows its stack faults
  stack_ = static_cast<char*>(block) + guard_bytes;
  getcontext(&inside_);
  if (__tsan_create_fiber) inside_identity_ = __tsan_create_fiber(0);
}

Fiber::~Fiber() {
  if (inside_identity_) __tsan_destroy_fiber(inside_identity_);
  allow(stack_, stack_bytes);
  munmap(stack_ - guard_bytes, guard_bytes + stack_bytes);
}

void Fiber::set(void (*body)(void*), void* argument) {
  allow(stack_, stack_bytes);
  body_ = body;
  argument_ = argument;
  inside_.uc_stack.ss_sp = stack_;
  inside_.uc_stack.ss_size = stack_bytes;
  inside_.uc_link = nullptr;
  const auto self = reinterpret_cast<std::uintptr_t>(this);  // makecontext passes ints only
  makecontext(&inside_, reinterpret_cast<void (*)()>(enter), 2, static_cast<unsigned>(self >> 32), static_cast<unsigned>(self));
}

void Fiber::enter(unsigned high, unsigned low) {
  auto& self = *reinterpret_cast<Fiber*>(static_cast<std::uintptr_t>(high) << 32 | low);
  if (__sanitizer_finish_switch_fiber) __sanitizer_finish_switch_fiber(nullptr, &self.outside_bottom_, &self.outside_bytes_);
  self.body_(self.argument_);
  self.leave(true);
}

void Fiber::resume() {
  constexpr unsigned unordered = 1;
  if (__sanitizer_start_switch_fiber) __sanitizer_start_switch_fiber(&outside_fake_stack_, stack_, stack_bytes);
  if (__tsan_switch_to_fiber) {
    outside_identity_ = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(inside_identity_, unordered);
  }
  swapcontext(&outside_, &inside_);
  if (__sanitizer_finish_switch_fiber) __sanitizer_finish_switch_fiber(outside_fake_stack_, nullptr, nullptr);
}

void Fiber::suspend() {
  leave(false);
  if (__sanitizer_finish_switch_fiber) __sanitizer_finish_switch_fiber(inside_fake_stack_, &outside_bottom_, &outside_bytes_);
}

void Fiber::leave(bool for_ever) {
  constexpr unsigned unordered = 1;
  if (__sanitizer_start_switch_fiber)
    __sanitizer_start_switch_fiber(for_ever ? nullptr : &inside_fake_stack_, outside_bottom_, outside_bytes_);
  if (__tsan_switch_to_fiber) __tsan_switch_to_fiber(outside_identity_, unordered);
  swapcontext(&inside_, &outside_);
}

}  // namespace emulator
