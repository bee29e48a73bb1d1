// SPDX-License-Identifier: MIT
// The order in which a block's threads run, and where they wait for each other.
#include "block.hpp"

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <random>
#include <string>
#include <utility>

#include "sanitizer.hpp"

namespace emulator {
namespace {

constexpr unsigned warp_size = 32;

std::minstd_rand& random_order() {
  static std::minstd_rand engine = [] {
    const char* seed = std::getenv("PLINTH_EMULATOR_SEED");
    return std::minstd_rand(seed ? static_cast<unsigned>(std::atoi(seed)) : 1u);
  }();
  return engine;
}

std::string describe(const Thread& thread) {
  const std::string name = "thread " + coordinates(thread.index);
  if (thread.state == State::done) return name + " has ended";
  return name + " waits at a " + (thread.state == State::at_barrier ? "block barrier, " : "warp collective, ") +
         thread.place.file_name() + ":" + std::to_string(thread.place.line());
}

}  // namespace

std::vector<std::size_t> shuffled(std::size_t count) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), random_order());
  return order;
}

uint3 position(std::size_t number, const dim3& size) {
  const std::size_t row = number / size.x;
  return {static_cast<unsigned>(number % size.x), static_cast<unsigned>(row % size.y),
          static_cast<unsigned>(row / size.y)};
}

std::string coordinates(const uint3& index) {
  return "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " + std::to_string(index.z) + ")";
}

Block& block() {
  static Block instance;
  return instance;
}

void Block::run(std::size_t threads, const std::function<void()>& thread, void* shared, void* start_point,
                void* end_point) {
  thread_ = &thread;
  shared_ = shared;
  start_point_ = start_point;
  end_point_ = end_point;
  while (threads_.size() < threads) threads_.push_back(std::make_unique<Thread>());
  active_ = threads;
  // ThreadSanitizer takes what one fiber does as ordered: the same thread of the next block is another one.
  std::rotate(threads_.begin(), threads_.begin() + 1, threads_.begin() + static_cast<std::ptrdiff_t>(active_));
  for (std::size_t i = 0; i < active_; ++i) {
    threads_[i]->index = position(i, block_size);
    threads_[i]->state = State::ready;
    threads_[i]->fiber.set(body, threads_[i].get());
  }
  do {
    for (const std::size_t warp : shuffled((active_ + warp_size - 1) / warp_size)) run_warp(warp * warp_size);
  } while (pass_barrier());
}

void Block::body(void* argument) {
  Block& self = block();
  happens_after(self.start_point_);
  static_cast<Thread*>(argument)->copies.assign(1, {});
  try {
    (*self.thread_)();
  } catch (...) {
    self.failure_ = std::current_exception();
  }
  happened_before(self.end_point_);
  static_cast<Thread*>(argument)->state = State::done;
}

void Block::leave() {
  happened_before(end_point_);
  running_->state = State::done;
  running_->fiber.end();
}

void Block::wait_at_barrier(const std::source_location& place) {
  void* point = &barrier_points_[barriers_passed_ % 2];
  happened_before(point);
  wait(State::at_barrier, nullptr, nullptr, place);
  happens_after(point);
}

void Block::wait(State state, Exchange exchange, void* argument, const std::source_location& place) {
  Thread& self = *running_;
  self.state = state;
  self.exchange = exchange;
  self.argument = argument;
  self.place = place;
  happened_before(end_point_);  // for the host, if it gives the block up
  self.fiber.suspend();
}

void Block::run_warp(std::size_t first) {
  const std::size_t lanes = std::min<std::size_t>(warp_size, active_ - first);
  bool at_collective = true;
  while (at_collective) {
    at_collective = false;
    for (const std::size_t lane : shuffled(lanes)) {
      resume(*threads_[first + lane]);
      at_collective = at_collective || threads_[first + lane]->state == State::at_collective;
    }
    if (at_collective) pass_collective(first, lanes);
  }
}

void Block::resume(Thread& thread) {
  if (thread.state != State::ready) return;
  running_ = &thread;
  thread_index = thread.index;
  thread.fiber.resume();
  running_ = nullptr;
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Block::pass_collective(std::size_t first, std::size_t lanes) {
  require_same(first, lanes, State::at_collective, "warp");
  void* arguments[warp_size];
  if (lanes != warp_size)
    throw Deadlock(block_place() + ": a warp of " + std::to_string(lanes) + " lanes waits for 32");
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    arguments[lane] = threads_[first + lane]->argument;
    threads_[first + lane]->state = State::ready;
  }
  threads_[first]->exchange(arguments);
}

bool Block::pass_barrier() {
  if (std::all_of(threads_.begin(), threads_.begin() + static_cast<std::ptrdiff_t>(active_),
                  [](const auto& thread) { return thread->state == State::done; }))
    return false;
  require_same(0, active_, State::at_barrier, "block");
  for (std::size_t i = 0; i < active_; ++i) threads_[i]->state = State::ready;
  ++barriers_passed_;
  return true;
}

void Block::require_same(std::size_t first, std::size_t number, State state, const char* group) const {
  const Thread* waiting = nullptr;
  for (std::size_t i = first; i < first + number; ++i)
    if (threads_[i]->state == state) waiting = threads_[i].get();
  for (std::size_t i = first; i < first + number; ++i) {
    const Thread& other = *threads_[i];
    if (other.state == state && other.exchange == waiting->exchange && other.place.line() == waiting->place.line() &&
        std::strcmp(other.place.file_name(), waiting->place.file_name()) == 0)
      continue;
    throw Deadlock(block_place() + ": " + describe(*waiting) + " for all of its " + group + ", but " + describe(other));
  }
}

void set_seed(std::uint64_t seed) { random_order().seed(static_cast<unsigned>(seed)); }

}  // namespace emulator
