// SPDX-License-Identifier: MIT
// Runs a kernel's grid, and serves its threads.
#include <cxxabi.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <emulator.hpp>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "block.hpp"
#include "device_memory.hpp"
#include "sanitizer.hpp"

namespace emulator {
namespace {

void (*running_kernel)() = nullptr;

/// Where the program exports it (the linker's --export-dynamic).
std::string name_of(void (*kernel)()) {
  Dl_info found = {};
  auto* const address = reinterpret_cast<void*>(kernel);
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

/// AddressSanitizer's reports name files and lines.
void add_place(const char*) {
  if (block().in_thread()) std::fprintf(stderr, "emulator: in %s\n", place().c_str());
}

}  // namespace

std::string block_place() { return name_of(running_kernel) + ", block " + coordinates(block_index); }
std::string place() { return block_place() + ", thread " + coordinates(thread_index); }

bool fail_thread(const std::string& what) {
  if (!block().in_thread()) return false;
  block().fail(std::make_exception_ptr(OutsideMemory(place() + what)));
  return true;
}

void leave_thread() { block().leave(); }

void* shared_memory() { return block().shared(); }

void block_barrier(std::source_location place) { block().wait_at_barrier(place); }

void warp_collective(Exchange exchange, void* argument, std::source_location place) {
  block().wait_at_collective(exchange, argument, place);
}

void require_no_host_pointer(void (*kernel)(), int number, const void* argument, std::size_t bytes) {
  for (std::size_t at = 0; at + sizeof(void*) <= bytes; at += sizeof(void*)) {
    const void* word = nullptr;
    std::memcpy(&word, static_cast<const char*>(argument) + at, sizeof word);
    if (is_host_pointer(word))
      throw OutsideMemory(name_of(kernel) + ": argument " + std::to_string(number) +
                          " holds a pointer to the host's memory");
  }
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
