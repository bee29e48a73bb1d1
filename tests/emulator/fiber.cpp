// SPDX-License-Identifier: MIT
// Fibers, announced to the sanitizers. ucontext begins a stack; from then on stacks are changed as by longjmp, since
// swapcontext asks the system for the signal mask, which would be most of the emulator's time.
#include "fiber.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <new>

#include "sanitizer.hpp"

namespace emulator {
namespace {

#if defined(__x86_64__) || !defined(__clang__)
/// Calls `leave`, which changes the stack, and returns when go_on(here) is called. These are the compiler's setjmp and
/// longjmp, in functions that AddressSanitizer leaves alone: else it takes them for the end of the stack that is left,
/// and forgets what it knows of it. Neither touches the signal mask.
template <class Leave>
[[gnu::noinline, gnu::no_sanitize_address]] void note(std::jmp_buf& here, const Leave& leave) {
  if (__builtin_setjmp(reinterpret_cast<void**>(here)) == 0) leave();
}
[[noreturn, gnu::noinline, gnu::no_sanitize_address]] void go_on(std::jmp_buf& there) {
  __builtin_longjmp(reinterpret_cast<void**>(there), 1);
}
#else  // clang has them for x86 alone
template <class Leave>
[[gnu::noinline]] void note(std::jmp_buf& here, const Leave& leave) {
  if (_setjmp(here) == 0) leave();
}
[[noreturn]] void go_on(std::jmp_buf& there) { _longjmp(there, 1); }
#endif

[[noreturn, gnu::noinline]] void begin(const ucontext_t& beginning) {
  setcontext(&beginning);
  std::abort();
}

}  // namespace

Fiber::Fiber() {
  void* block = mmap(nullptr, guard_bytes + stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (block == MAP_FAILED) throw std::bad_alloc();
  mprotect(block, guard_bytes, PROT_NONE);  // a kernel that overflows its stack faults
  stack_ = static_cast<char*>(block) + guard_bytes;
  getcontext(&beginning_);
  if (__tsan_create_fiber) inside_identity_ = __tsan_create_fiber(0);
}

Fiber::~Fiber() {
  if (inside_identity_) __tsan_destroy_fiber(inside_identity_);
  allow(stack_, stack_bytes);
  munmap(stack_ - guard_bytes, guard_bytes + stack_bytes);
}

void Fiber::set(void (*body)(void*), void* argument) {
  body_ = body;
  argument_ = argument;
  if (idle_) return;
  allow(stack_, stack_bytes);
  begun_ = false;
  beginning_.uc_stack.ss_sp = stack_;
  beginning_.uc_stack.ss_size = stack_bytes;
  beginning_.uc_link = nullptr;
  const auto self = reinterpret_cast<std::uintptr_t>(this);  // makecontext passes ints only
  makecontext(&beginning_, reinterpret_cast<void (*)()>(enter), 2, static_cast<unsigned>(self >> 32), static_cast<unsigned>(self));
}

void Fiber::enter(unsigned high, unsigned low) {
  auto& self = *reinterpret_cast<Fiber*>(static_cast<std::uintptr_t>(high) << 32 | low);
  if (__sanitizer_finish_switch_fiber) __sanitizer_finish_switch_fiber(nullptr, &self.outside_bottom_, &self.outside_bytes_);
  for (;;) {
    self.body_(self.argument_);
    self.idle_ = true;
    self.suspend();
  }
}

void Fiber::resume() {
  constexpr unsigned unordered = 1;
  idle_ = false;
  if (__sanitizer_start_switch_fiber) __sanitizer_start_switch_fiber(&outside_fake_stack_, stack_, stack_bytes);
  if (__tsan_switch_to_fiber) {
    outside_identity_ = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(inside_identity_, unordered);
  }
  note(outside_, [this]() __attribute__((no_sanitize_address)) {
    if (begun_) go_on(inside_);
    begun_ = true;
    begin(beginning_);
  });
  if (__sanitizer_finish_switch_fiber) __sanitizer_finish_switch_fiber(outside_fake_stack_, nullptr, nullptr);
}

void Fiber::leave(bool for_ever) {
  constexpr unsigned unordered = 1;
  if (__sanitizer_start_switch_fiber)
    __sanitizer_start_switch_fiber(for_ever ? nullptr : &inside_fake_stack_, outside_bottom_, outside_bytes_);
  if (__tsan_switch_to_fiber) __tsan_switch_to_fiber(outside_identity_, unordered);
  note(inside_, [this]() __attribute__((no_sanitize_address)) { go_on(outside_); });
  if (__sanitizer_finish_switch_fiber) __sanitizer_finish_switch_fiber(inside_fake_stack_, &outside_bottom_, &outside_bytes_);
}

}  // namespace emulator
