// SPDX-License-Identifier: MIT
// A block of threads. Each warp runs as far as a block barrier lets it before the next one starts, and each lane as far
// as a warp collective lets it, in a random order: a missing barrier shows as a wrong result.
#pragma once

#include <cstddef>
#include <cstring>
#include <deque>
#include <emulator.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <source_location>
#include <vector>

#include "fiber.hpp"

namespace emulator {

/// The numbers below `count` in a random order.
std::vector<std::size_t> shuffled(std::size_t count);

uint3 position(std::size_t number, const dim3& size);
std::string coordinates(const uint3& index);

struct Copy {
  void* to;
  const void* from;  // null: zeros
  std::size_t bytes;

  void perform() const {
    if (from)
      std::memcpy(to, from, bytes);
    else
      std::memset(to, 0, bytes);
  }
};

/// What a thread has begun to copy: groups, the last of which is still open.
using Copies = std::deque<std::vector<Copy>>;

enum class State { ready, at_barrier, at_collective, done };

struct Thread {
  Fiber fiber;
  uint3 index;
  State state = State::ready;
  std::source_location place;
  Exchange exchange = nullptr;
  void* argument = nullptr;
  Copies copies;
};

/// The block that is running. Its threads' fibers are kept for the next one.
class Block {
 public:
  /// The points are what ThreadSanitizer takes as the beginning and the end of all threads.
  void run(std::size_t threads, const std::function<void()>& thread, void* shared, void* start_point, void* end_point);

  void* shared() const { return shared_; }
  bool in_thread() const { return running_ != nullptr; }

  // Of the running thread.
  Copies& copies() { return running_->copies; }
  void fail(std::exception_ptr failure) { failure_ = std::move(failure); }
  void leave();
  void wait_at_barrier(const std::source_location& place);
  void wait_at_collective(Exchange exchange, void* argument, const std::source_location& place) {
    wait(State::at_collective, exchange, argument, place);
  }

 private:
  static void body(void* argument);
  void wait(State state, Exchange exchange, void* argument, const std::source_location& place);
  void run_warp(std::size_t first);
  void resume(Thread& thread);
  void pass_collective(std::size_t first, std::size_t lanes);
  /// Whether the block goes on: false when all threads are done.
  bool pass_barrier();
  /// Throws unless threads [first, first + number) all wait in this state at the same place.
  void require_same(std::size_t first, std::size_t number, State state, const char* group) const;

  std::vector<std::unique_ptr<Thread>> threads_;
  std::size_t active_ = 0;
  Thread* running_ = nullptr;
  const std::function<void()>* thread_ = nullptr;
  void *shared_ = nullptr, *start_point_ = nullptr, *end_point_ = nullptr;
  std::exception_ptr failure_;
  std::size_t barriers_passed_ = 0;
  char barrier_points_[2] = {};
};

Block& block();

}  // namespace emulator
