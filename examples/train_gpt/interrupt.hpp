// SPDX-License-Identifier: MIT
// Ctrl-C: once means stop when there is something to save, twice means now.
#pragma once

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>

/// While it lives, the first Ctrl-C is remembered instead of ending the program; the second one ends it.
class InterruptGuard {
 public:
  InterruptGuard() { std::signal(SIGINT, remember); }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  ~InterruptGuard() { std::signal(SIGINT, SIG_DFL); }

  bool interrupted() const { return interrupted_; }

 private:
  static void remember(int) {
    std::signal(SIGINT, SIG_DFL);
    interrupted_ = true;
    constexpr char message[] = "\nstopping after this step; Ctrl-C again stops at once\n";
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, message, sizeof message - 1);
  }

  static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may only touch what needs no lock");
  static inline std::atomic<bool> interrupted_ = false;
};
