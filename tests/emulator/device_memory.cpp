// SPDX-License-Identifier: MIT
// Blocks in pages of their own, without access. The first touch of one while the device is played opens it until the
// playing ends; every other touch is an error.
#include "device_memory.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <emulator.hpp>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "sanitizer.hpp"

namespace emulator {
namespace {

constexpr std::size_t guard_bytes = 64 * 1024, least_alignment = 16, most_alignment = 256;
constexpr std::ptrdiff_t margin_bytes = 64;

std::size_t rounded_up(std::size_t bytes, std::size_t multiple) { return (bytes + multiple - 1) / multiple * multiple; }

/// [pages, pages_end) without the guards on both sides.
struct Block {
  char *pages, *begin, *end, *pages_end;
  int ordinal;         // of the device
  unsigned char mark;  // of what lies next to it, different from its neighbours'
  bool open = false;

  void set_access(int protection) const {
    if (mprotect(pages, static_cast<std::size_t>(pages_end - pages), protection) != 0) std::abort();
  }

  /// f(byte, its value) for the bytes next to the block that are not its own: NaNs in every type.
  template <class F>
  void each_margin(const F& f) const {
    allow(pages, static_cast<std::size_t>(pages_end - pages));
    const auto value = [this](const char* at) {
      return static_cast<char>(reinterpret_cast<std::uintptr_t>(at) % 2 ? 0x7f : mark);
    };
    for (char* at = end; at < pages_end; ++at) f(at, value(at));
    for (char* at = begin - std::min(begin - pages, margin_bytes); at < begin; ++at) f(at, value(at));
    forbid(pages, static_cast<std::size_t>(begin - pages));
    forbid(end, static_cast<std::size_t>(pages_end - end));
  }

  std::string distance(const char* at) const {
    std::ostringstream text;
    if (at < begin)
      text << begin - at << " bytes before";
    else if (at >= end)
      text << at - end << " bytes behind the end of";
    else
      text << "byte " << at - begin << " of";
    text << " a block of " << end - begin << " bytes";
    if (ordinal > 0) text << " of device " << ordinal;
    return text.str();
  }
};

struct Blocks {
  std::map<const char*, Block> by_guard;  // the first guard's begin
  std::vector<Block*> open;
  unsigned count = 0;
  struct sigaction before = {};

  /// The block in whose pages or guards that is, or null.
  Block* around(const char* at) {
    const auto after = by_guard.upper_bound(at);
    if (after == by_guard.begin()) return nullptr;
    Block& block = std::prev(after)->second;
    return at < block.pages_end + guard_bytes ? &block : nullptr;
  }
};

/// Never destroyed: the library may call at the program's very end.
Blocks& blocks() {
  static auto& instance = *new Blocks;
  return instance;
}

constexpr int no_device = -1;
thread_local int playing = no_device;  // the ordinal of the device

void on_fault(int, siginfo_t* info, void*) {
  const auto* at = static_cast<const char*>(info->si_addr);
  Block* block = blocks().around(at);
  if (block && block->ordinal == playing && !block->open && at >= block->pages && at < block->pages_end) {
    block->open = true;
    block->set_access(PROT_READ | PROT_WRITE);
    blocks().open.push_back(block);
    return;
  }
  if (playing == no_device && !block) {
    sigaction(SIGSEGV, &blocks().before, nullptr);  // not ours: the same access faults again
    return;
  }
  if (const std::string touched = block ? block->distance(at) : "memory that is no block's";
      playing == no_device || !fail_thread(" touched " + touched)) {
    const std::string sentence =
        std::string("emulator: ") + (playing == no_device ? "host code" : "a copy or library call") + " touched " + touched + "\n";
    [[maybe_unused]] const auto written = write(STDERR_FILENO, sentence.data(), sentence.size());
    std::abort();
  }
  leave_thread();
}

/// To be called again and again: test frameworks put their own in its place for each test.
void handle_faults() {
  struct sigaction ours = {}, before = {};
  ours.sa_sigaction = on_fault;
  ours.sa_flags = SA_SIGINFO | SA_NODEFER;  // a thread is left by a jump, which puts no signal mask back
  sigaction(SIGSEGV, &ours, &before);
  if (before.sa_sigaction != on_fault) blocks().before = before;
}

}  // namespace

void* take_block(std::size_t bytes, int ordinal) {
  handle_faults();
  static const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t alignment = std::clamp(bytes & (~bytes + 1), least_alignment, most_alignment);
  const std::size_t used = rounded_up(std::max<std::size_t>(bytes, 1), alignment), inner = rounded_up(used, page);
  void* const guard =
      mmap(nullptr, inner + 2 * guard_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (guard == MAP_FAILED) return nullptr;
  char *const pages = static_cast<char*>(guard) + guard_bytes, *const pages_end = pages + inner,
              *const begin = pages_end - used;
  const auto mark = static_cast<unsigned char>(0x81 + blocks().count++ % 0x7f);
  const Block& block = blocks().by_guard[static_cast<char*>(guard)] = {pages, begin, begin + bytes, pages_end, ordinal, mark};
  block.set_access(PROT_READ | PROT_WRITE);
  std::memset(begin, 0xff, bytes);
  block.each_margin([](char* at, char value) { *at = value; });
  block.set_access(PROT_NONE);
  return begin;
}

void give_block(void* begin) {
  Block* const block = blocks().around(static_cast<char*>(begin));
  std::erase(blocks().open, block);
  char* const guard = block->pages - guard_bytes;
  const auto bytes = static_cast<std::size_t>(block->pages_end - guard) + guard_bytes;
  allow(guard, bytes);
  blocks().by_guard.erase(guard);
  munmap(guard, bytes);
}

bool is_around_block(const void* address) { return blocks().around(static_cast<const char*>(address)) != nullptr; }

Playing::Playing(int ordinal) {
  handle_faults();
  playing = ordinal;
}

Playing::~Playing() {
  for (Block* block : blocks().open) {
    block->open = false;
    block->set_access(PROT_NONE);
  }
  blocks().open.clear();
  playing = no_device;
}

void require_margins() {
  for (const Block* block : blocks().open)
    block->each_margin([&](const char* at, char value) {
      if (*at != value) throw OutsideMemory(block_place() + " wrote " + block->distance(at));
    });
}

}  // namespace emulator
