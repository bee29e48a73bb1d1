// SPDX-License-Identifier: MIT
// A function on a stack of its own, which can be left in the middle and resumed.
#pragma once

#include <ucontext.h>

#include <csetjmp>
#include <cstddef>

namespace emulator {

class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Sets body(argument), which must not throw, on the fiber; what ran there before is forgotten.
  void set(void (*body)(void*), void* argument);
  /// Runs the body until it suspends itself or ends.
  void resume();
  /// To be called by the body: continues behind resume().
  void suspend() { leave(false); }
  /// To be called by the body: continues behind resume() and never comes back.
  void end() { leave(true); }

 private:
  static void enter(unsigned high, unsigned low);
  void leave(bool for_ever);

  static constexpr std::size_t stack_bytes = 256 * 1024, guard_bytes = 64 * 1024;
  char* stack_;
  ucontext_t beginning_;
  std::jmp_buf inside_, outside_;  // where either side goes on
  bool begun_ = false, idle_ = false;  // idle: begun, and waiting for a body
  void (*body_)(void*) = nullptr;
  void* argument_ = nullptr;

  // For the sanitizers: the stacks, and the identity of both sides.
  void *inside_fake_stack_ = nullptr, *outside_fake_stack_ = nullptr;
  const void* outside_bottom_ = nullptr;
  std::size_t outside_bytes_ = 0;
  void *inside_identity_ = nullptr, *outside_identity_ = nullptr;
};

}  // namespace emulator
