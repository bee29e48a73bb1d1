// SPDX-License-Identifier: MIT
// The emulator finds whoever touches what is not his: the host the device's memory, a kernel what lies beside a block.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <emulator.hpp>
#include <limits>
#include <string>
#include <vector>

#include "catch.hpp"
#include "kernels/cuda/device_array.hpp"

using namespace plinth;
using Catch::Matchers::Contains;

namespace planted {

/// The last thread of two blocks reads x[at] and writes it.
__global__ void touch(float* x, std::int64_t at) {
  if (blockIdx.x == 1 && threadIdx.x == 31) x[at] = x[at] == 1 ? 2.0f : 3.0f;
}

__global__ void do_nothing() {}

/// A number, what may be anything, and a pointer.
struct Holder {
  struct Nothing {};
  std::int64_t number;
  Nothing nothing;
  const float* pointer;
};
__global__ void read_held(Holder held, float* y) { *y = *held.pointer; }

__global__ void write_shared(std::int64_t at) {
  if (threadIdx.x == 3) cuda::shared_memory<float>()[at] = 1;
}

__global__ void load_pairs(const float* x, float* y, int shift) {
  emulator::require_aligned(x + shift, 8, "a pair");
  y[0] = x[shift];
}

}  // namespace planted

namespace {

/// What a process says that does f: the exception's text, or the last words.
template <class F>
std::string last_words(const F& f) {
  cuda::launch(queue<Cuda>::current(), 1, 32, 0, planted::do_nothing);
  queue<Cuda>::current().synchronize();  // AddressSanitizer warns of the first fiber
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    dup2(ends[1], STDERR_FILENO);
    try {
      f();
    } catch (const std::exception& error) {
      dprintf(STDERR_FILENO, "%s", error.what());
    }
    _exit(0);
  }
  close(ends[1]);
  std::string words;
  std::array<char, 4096> part;
  for (ssize_t count; (count = read(ends[0], part.data(), part.size())) > 0;)
    words.append(part.data(), static_cast<std::size_t>(count));
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return words;
}

/// touch() of an array of so many floats.
std::string touched(std::size_t count, std::int64_t at) {
  return last_words([=] {
    const DeviceArray<float> x(std::vector<float>(count, 1.0f));
    cuda::launch(queue<Cuda>::current(), 2, 32, 0, planted::touch, x.data(), at);
    x.values();
  });
}

constexpr const char *toucher = "kernel planted::touch(float*, long",
                     *last_thread = "block (1, 0, 0), thread (31, 0, 0)";

}  // namespace

TEST_CASE("emulator, planted fault: host code touches the device's memory") {
  CHECK_THAT(last_words([] {
               const DeviceArray<float> x(std::vector<float>(4));
               x.values();  // it has been open
               x.data()[2] = 1;
             }),
             Contains("emulator: host code touched byte 8 of a block of 16 bytes"));
  CHECK_THAT(last_words([] {
               const DeviceArray<char> x(std::vector<char>(5000));
               return x.data()[4999] == 0 ? _exit(0) : _exit(1);
             }),
             Contains("host code touched byte 4999 of a block of 5000 bytes"));
}

TEST_CASE("emulator, planted fault: a kernel touches memory beside a block") {
  CHECK(touched(64, 63) == "");
  CHECK_THAT(touched(64, 64), Contains(toucher) && Contains(last_thread) &&
                                  Contains("touched 0 bytes behind the end of a block of 256 bytes"));
  CHECK_THAT(touched(1024, -1),
             Contains(toucher) && Contains(last_thread) && Contains("touched 4 bytes before a block"));
  CHECK_THAT(touched(3, std::int64_t{1} << 40), Contains(last_thread) && Contains("touched memory that is no block's"));
}

TEST_CASE("emulator, planted fault: a kernel writes to what is left of a block's page") {
  // AddressSanitizer is faster, and says it in its own words.
  CHECK(touched(3, 2) == "");
  CHECK_THAT(touched(3, 3), Contains(toucher) && Contains("block (1, 0, 0)") &&
                                (Contains("wrote 0 bytes behind the end of a block of 12 bytes") || Contains("ERROR")));
  CHECK_THAT(touched(3, -2), Contains(toucher) && Contains("block (1, 0, 0)") &&
                                 (Contains("wrote 8 bytes before a block of 12 bytes") || Contains("ERROR")));
}

TEST_CASE("emulator, planted fault: a kernel writes behind its shared memory") {
  const auto written = [](std::int64_t at) {
    return last_words([=] {
      cuda::launch(queue<Cuda>::current(), 1, 32, 64, planted::write_shared, at);
      queue<Cuda>::current().synchronize();
    });
  };
  CHECK(written(15) == "");
  CHECK_THAT(written(16), Contains("kernel planted::write_shared(long") && Contains("block (0, 0, 0)") &&
                              (Contains("wrote behind the end of its 64 bytes of shared memory") || Contains("ERROR")));
}

TEST_CASE("emulator, planted fault: the device goes on afterwards, and a misaligned access names the kernel too") {
  const DeviceArray<float> x(std::vector<float>(64, 1.0f)), y(std::vector<float>(1));
  auto& gpu = queue<Cuda>::current();
  for (const auto at : {64, 1000}) {
    cuda::launch(gpu, 2, 32, 0, planted::touch, x.data(), at);
    CHECK_THROWS_AS(gpu.synchronize(), emulator::OutsideMemory);
  }
  cuda::launch(gpu, 1, 32, 0, planted::load_pairs, static_cast<const float*>(x.data()), y.data(), 1);
  CHECK_THROWS_WITH(gpu.synchronize(), Contains("kernel planted::load_pairs") &&
                                           Contains("block (0, 0, 0), thread (") &&
                                           Contains("a pair at an address that is no multiple of 8"));
  cuda::launch(gpu, 2, 32, 0, planted::touch, x.data(), 63);
  CHECK(x.values()[63] == 2);
}

TEST_CASE("emulator, planted fault: a kernel is given a pointer to the host's memory") {
  const DeviceArray<float> x(std::vector<float>(4, 1.0f)), y(x.values());
  auto& gpu = queue<Cuda>::current();
  const auto read = [&](const planted::Holder& held, float* to) {
    cuda::launch(gpu, 1, 1, 0, planted::read_held, held, to);
    gpu.synchronize();
  };
  const std::vector<float> on_heap(4);
  float on_stack = 0;
  static const float in_data = 0;
  for (const float* const host : {on_heap.data(), static_cast<const float*>(&on_stack), &in_data})
    if (emulator::sees_members)
      CHECK_THROWS_WITH(read({3, {}, host}, y.data()), Contains("kernel planted::read_held(planted::Holder, float*)") &&
                                                           Contains("argument 1 holds a pointer to the host's memory"));
  CHECK_THROWS_WITH(read({3, {}, x.data()}, &on_stack), Contains("argument 2 holds a pointer to the host's memory"));

  planted::Holder held;
  std::memset(&held, 0x7f, sizeof held);
  const auto garbage = reinterpret_cast<std::uintptr_t>(&on_stack);  // where nothing is
  std::memcpy(reinterpret_cast<char*>(&held) + sizeof held.number, &garbage, sizeof garbage);
  held.number = std::numeric_limits<std::int64_t>::max() / 0x10000;
  held.pointer = x.data();
  CHECK_NOTHROW(read(held, y.data()));
  void* page_locked = nullptr;
  REQUIRE(cudaMallocHost(&page_locked, sizeof(float)) == cudaSuccess);
  held.pointer = static_cast<float*>(page_locked);  // which devices reach
  CHECK_NOTHROW(read(held, y.data()));
  CHECK(cudaFreeHost(page_locked) == cudaSuccess);
}

TEST_CASE("emulator, planted fault: a kernel writes behind what was asked of the library's pool") {
  const auto filled = [](std::size_t count) {
    return last_words([=] {
      constexpr std::size_t asked = 70 * sizeof(float);  // the pool would round that
      auto* const y = static_cast<float*>(memory<Cuda>::allocate(asked));
      kernels<Cuda>::fill<float>(queue<Cuda>::current(), static_cast<std::int64_t>(count), 1, y);
      queue<Cuda>::current().synchronize();
    });
  };
  CHECK(filled(70) == "");
  CHECK_THAT(filled(71), Contains("map_elements") && Contains("block (0, 0, 0)") &&
                             (Contains("wrote 0 bytes behind the end of a block of 280 bytes") || Contains("ERROR")));
}
