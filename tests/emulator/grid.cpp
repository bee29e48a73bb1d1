// SPDX-License-Identifier: MIT
// Runs a kernel's grid. Each warp runs as far as a block barrier lets it before the next one starts, and each lane as
// far as a warp collective lets it, in a random order: a missing barrier shows as a wrong result.
#include <cxxabi.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <emulator.hpp>
#include <exception>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "device_memory.hpp"
#include "fiber.hpp"
#include "sanitizer.hpp"

namespace emulator {
namespace {

constexpr unsigned warp_size = 32;

enum class State { ready, at_barrier, at_collective, done };

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

struct Thread {
  Fiber fiber;
  uint3 index;
  State state = State::ready;
  std::source_location place;
  Exchange exchange = nullptr;
  void* argument = nullptr;
  Copies copies;
};

std::minstd_rand& random_order() {
  static std::minstd_rand engine = [] {
    const char* seed = std::getenv("PLINTH_EMULATOR_SEED");
    return std::minstd_rand(seed ? static_cast<unsigned>(std::atoi(seed)) : 1u);
  }();
  return engine;
}

std::vector<std::size_t> shuffled(std::size_t count) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), random_order());
  return order;
}

std::string coordinates(const uint3& index) {
  return "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " + std::to_string(index.z) + ")";
}

uint3 position(std::size_t number, const dim3& size) {
  const std::size_t row = number / size.x;
  return {static_cast<unsigned>(number % size.x), static_cast<unsigned>(row % size.y), static_cast<unsigned>(row / size.y)};
}

void (*running_kernel)() = nullptr;

/// Its name where the program exports it (the linker's --export-dynamic).
std::string kernel_name() {
  Dl_info found = {};
  auto* const address = reinterpret_cast<void*>(running_kernel);
  if (dladdr(address, &found) == 0 || found.dli_saddr != address) return "kernel without a name";
  const std::unique_ptr<char, void (*)(void*)> readable(abi::__cxa_demangle(found.dli_sname, nullptr, nullptr, nullptr),
                                                        std::free);
  return std::string("kernel ") + (readable ? readable.get() : found.dli_sname);
}

std::size_t count(const dim3& size) { return std::size_t{size.x} * size.y * size.z; }

/// A block's shared memory. What lies behind its end is checked, and the sanitizer's to guard.
class SharedMemory {
 public:
  explicit SharedMemory(std::size_t bytes) : bytes_(bytes), data_(new char[bytes + margin_bytes]) {
    std::memset(data_.get(), 0xff, bytes);
    std::memset(data_.get() + bytes, margin, margin_bytes);
    forbid(data_.get() + bytes, margin_bytes);
  }
  ~SharedMemory() {
    if (data_) allow(data_.get() + bytes_, margin_bytes);
  }
  SharedMemory(SharedMemory&&) = default;

  void* data() const { return data_.get(); }

  [[gnu::no_sanitize_address]] void require_margin() const {
    for (std::size_t i = 0; i < margin_bytes; ++i)
      if (data_[bytes_ + i] != margin)
        throw OutsideMemory(block_place() + " wrote behind the end of its " + std::to_string(bytes_) +
                            " bytes of shared memory");
  }

 private:
  static constexpr std::size_t margin_bytes = 64;
  static constexpr char margin = 0x7b;
  std::size_t bytes_;
  std::unique_ptr<char[]> data_;
};

/// To ThreadSanitizer the host goes on after the kernel's threads.
struct Ending {
  ~Ending() { happens_after(this); }
};

/// The block that is running. Its threads' fibers are kept for the next one.
class Block {
 public:
  void run(std::size_t threads, const std::function<void()>& thread, void* shared, void* start_point, void* end_point) {
    thread_ = &thread;
    shared_ = shared;
    start_point_ = start_point;
    end_point_ = end_point;
    while (threads_.size() < threads) threads_.push_back(std::make_unique<Thread>());
    active_ = threads;
    for (std::size_t i = 0; i < active_; ++i) {
      threads_[i]->index = position(i, block_size);
      threads_[i]->state = State::ready;
      threads_[i]->fiber.set(body, threads_[i].get());
    }
    do {
      for (const std::size_t warp : shuffled((active_ + warp_size - 1) / warp_size)) run_warp(warp * warp_size);
    } while (pass_barrier());
  }

  void* shared() const { return shared_; }
  bool in_thread() const { return running_ != nullptr; }
  Copies& copies() { return running_->copies; }

  void fail_thread(std::exception_ptr failure) { failure_ = std::move(failure); }

  void leave_thread() {
    happened_before(end_point_);
    running_->state = State::done;
    running_->fiber.end();
  }

  void wait_at_barrier(const std::source_location& place) {
    void* point = &barrier_points_[barriers_passed_ % 2];
    happened_before(point);
    wait(State::at_barrier, nullptr, nullptr, place);
    happens_after(point);
  }

  void wait_at_collective(Exchange exchange, void* argument, const std::source_location& place) {
    wait(State::at_collective, exchange, argument, place);
  }

 private:
  static void body(void* argument);

  void wait(State state, Exchange exchange, void* argument, const std::source_location& place) {
    Thread& self = *running_;
    self.state = state;
    self.exchange = exchange;
    self.argument = argument;
    self.place = place;
    happened_before(end_point_);  // for the host, if it gives the block up
    self.fiber.suspend();
  }

  void run_warp(std::size_t first) {
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

  void resume(Thread& thread) {
    if (thread.state != State::ready) return;
    running_ = &thread;
    thread_index = thread.index;
    thread.fiber.resume();
    running_ = nullptr;
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

  void pass_collective(std::size_t first, std::size_t lanes) {
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

  /// Whether the block goes on: false when all threads are done.
  bool pass_barrier() {
    if (std::all_of(threads_.begin(), threads_.begin() + static_cast<std::ptrdiff_t>(active_),
                    [](const auto& thread) { return thread->state == State::done; }))
      return false;
    require_same(0, active_, State::at_barrier, "block");
    for (std::size_t i = 0; i < active_; ++i) threads_[i]->state = State::ready;
    ++barriers_passed_;
    return true;
  }

  /// Throws unless threads [first, first + number) all wait in this state at the same place.
  void require_same(std::size_t first, std::size_t number, State state, const char* group) {
    const Thread* waiting = nullptr;
    for (std::size_t i = first; i < first + number; ++i)
      if (threads_[i]->state == state) waiting = threads_[i].get();
    for (std::size_t i = first; i < first + number; ++i) {
      const Thread& other = *threads_[i];
      if (other.state == state && other.exchange == waiting->exchange && other.place.line() == waiting->place.line() &&
          std::strcmp(other.place.file_name(), waiting->place.file_name()) == 0)
        continue;
      throw Deadlock(block_place() + ": " + describe(*waiting) + " for all of its " + group + ", but " +
                     describe(other));
    }
  }

  static std::string describe(const Thread& thread) {
    const std::string name = "thread " + coordinates(thread.index);
    if (thread.state == State::done) return name + " has ended";
    return name + " waits at a " + (thread.state == State::at_barrier ? "block barrier, " : "warp collective, ") +
           thread.place.file_name() + ":" + std::to_string(thread.place.line());
  }

  std::vector<std::unique_ptr<Thread>> threads_;
  std::size_t active_ = 0;
  Thread* running_ = nullptr;
  const std::function<void()>* thread_ = nullptr;
  void *shared_ = nullptr, *start_point_ = nullptr, *end_point_ = nullptr;
  std::exception_ptr failure_;
  std::size_t barriers_passed_ = 0;
  char barrier_points_[2] = {};
};

Block& block() {
  static Block instance;
  return instance;
}

/// AddressSanitizer's reports name files and lines.
void add_place(const char*) {
  if (block().in_thread()) std::fprintf(stderr, "emulator: in %s\n", place().c_str());
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

}  // namespace

void set_seed(std::uint64_t seed) { random_order().seed(static_cast<unsigned>(seed)); }

std::string block_place() { return kernel_name() + ", block " + coordinates(block_index); }
std::string place() { return block_place() + ", thread " + coordinates(thread_index); }

bool fail_thread(const std::string& what) {
  if (!block().in_thread()) return false;
  block().fail_thread(std::make_exception_ptr(OutsideMemory(place() + what)));
  return true;
}

void leave_thread() { block().leave_thread(); }

void* shared_memory() { return block().shared(); }

void block_barrier(std::source_location place) { block().wait_at_barrier(place); }

void warp_collective(Exchange exchange, void* argument, std::source_location place) {
  block().wait_at_collective(exchange, argument, place);
}

void refuse_alignment(std::size_t bytes, const char* access) {
  throw Misaligned(place() + ": " + access + " at an address that is no multiple of " + std::to_string(bytes));
}

void copy_later(void* to, const void* from, std::size_t bytes) {
  std::memset(to, 0xff, bytes);
  block().copies().back().push_back({to, from, bytes});
}

void commit_copies() { block().copies().emplace_back(); }

void wait_for_copies(std::size_t newest) {
  for (auto& groups = block().copies(); groups.size() > newest + 1; groups.pop_front())
    for (const Copy& copy : groups.front()) copy.perform();
}

void run_grid(const cudaLaunchConfig_t& config, void (*kernel)(), const std::function<void()>& thread) {
  if (__asan_set_error_report_callback) __asan_set_error_report_callback(add_place);
  running_kernel = kernel;
  grid_size = config.gridDim;
  block_size = config.blockDim;
  std::vector<SharedMemory> shared;  // one for each block: freed when no thread is left
  char start_point = 0;
  Ending end_point;
  for (const std::size_t number : shuffled(count(grid_size))) {
    shared.emplace_back(config.dynamicSmemBytes);
    happened_before(&start_point);
    block_index = position(number, grid_size);
    block().run(count(block_size), thread, shared.back().data(), &start_point, &end_point);
    shared.back().require_margin();
    require_margins();
  }
}

}  // namespace emulator
