// SPDX-License-Identifier: MIT
// The emulator finds what it is there for: planted races, threads that wait for ever, waiting left out on the host.
#include <emulator.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "catch.hpp"
#include "kernels/cuda/device_array.hpp"

using namespace plinth;
using cuda::block_barrier;
using cuda::shared_memory;
using cuda::shuffle_xor;

namespace planted {

constexpr int threads = 128;
constexpr std::size_t shared_bytes = threads * sizeof(float);

/// Reverses a block's values through shared memory, twice; the first barrier may be forgotten, or the second one.
template <bool First, bool Second>
__global__ void reverse_twice(const float* x, float* y) {
  float* shared = shared_memory<float>();
  const unsigned own = threadIdx.x, other = blockDim.x - 1 - own;
  shared[own] = x[own];
  if (First) block_barrier();
  const float once = shared[other];
  if (Second) block_barrier();
  shared[own] = once;
  block_barrier();
  y[own] = shared[other];
}

/// Neighbours exchange through shared memory without a word to the rest of the warp.
__global__ void exchange_unsynchronised(const float* x, float* y) {
  float* shared = shared_memory<float>();
  shared[threadIdx.x] = x[threadIdx.x];
  y[threadIdx.x] = shared[threadIdx.x ^ 1];
}

/// Sums over all warps' lanes by shuffles, then over warps through shared memory.
__global__ void sum_of_block(const float* x, float* y) {
  float* shared = shared_memory<float>();
  float value = x[threadIdx.x];
  for (int lanes = 16; lanes > 0; lanes /= 2) value += shuffle_xor(value, lanes);
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
  block_barrier();
  y[threadIdx.x] = shared[0] + shared[1] + shared[2] + shared[3];
}

__global__ void first_warp_skips_barrier(const float*, float*) {
  if (threadIdx.x < 32) return;
  block_barrier();
}

__global__ void two_barriers(const float*, float*) {
  if (threadIdx.x < 32)
    block_barrier();
  else
    block_barrier();
}

__global__ void one_lane_skips_shuffle(const float* x, float* y) {
  if (threadIdx.x == 5)
    block_barrier();
  else
    y[threadIdx.x] = shuffle_xor(x[threadIdx.x], 1);
}

int ran = 0;
__global__ void note_run() {
  if (threadIdx.x == 0) ++ran;
}

}  // namespace planted

namespace {

using namespace planted;

using Kernel = void (*)(const float*, float*);

std::vector<float> run(Kernel kernel, const std::vector<float>& x) {
  const DeviceArray<float> on_x(x), on_y(std::vector<float>(x.size()));
  cuda::launch(queue<Cuda>::current(), 1, static_cast<int>(x.size()), shared_bytes, kernel, on_x.data(), on_y.data());
  return on_y.values();
}

/// In how many of 20 orders of warps and lanes the kernel gives the wanted values.
int times_right(Kernel kernel, const std::vector<float>& wanted) {
  int right = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    emulator::set_seed(seed);
    right += run(kernel, test_values<float>(threads, 1)) == wanted;
  }
  return right;
}

std::string deadlock_of(Kernel kernel, std::size_t block) {
  try {
    run(kernel, std::vector<float>(block));
  } catch (const emulator::Deadlock& deadlock) {
    return deadlock.what();
  }
  return "none";
}

}  // namespace

TEST_CASE("emulator, planted race: a forgotten barrier gives wrong results") {
  const auto x = test_values<float>(threads, 1);
  CHECK(times_right(reverse_twice<true, true>, x) == 20);
  CHECK(times_right(reverse_twice<false, true>, x) == 0);
  CHECK(times_right(reverse_twice<true, false>, x) == 0);
}

TEST_CASE("emulator, planted race: lanes of a warp do not run in step") {
  auto swapped = test_values<float>(threads, 1);
  for (std::size_t i = 0; i < swapped.size(); i += 2) std::swap(swapped[i], swapped[i + 1]);
  CHECK(times_right(exchange_unsynchronised, swapped) == 0);
}

TEST_CASE("emulator: shuffles and barriers together") {
  const auto x = test_values<float>(threads, 1);
  double sum = 0;
  for (const float value : x) sum += double(value);
  const auto y = run(sum_of_block, x);
  CHECK(double(y[0]) == Approx(sum).margin(1e-5));
  CHECK(times_right(sum_of_block, std::vector<float>(threads, y[0])) == 20);
}

TEST_CASE("emulator: threads that wait for ever are an error that says where") {
  using Catch::Matchers::Contains;
  CHECK_THAT(deadlock_of(first_warp_skips_barrier, threads), Contains("block barrier") && Contains("has ended"));
  CHECK_THAT(deadlock_of(first_warp_skips_barrier, threads),
             Contains("kernel planted::first_warp_skips_barrier(float const*") && Contains("block (0, 0, 0)"));
  CHECK_THAT(deadlock_of(first_warp_skips_barrier, threads), Contains("emulator_test.cpp:"));
  CHECK_THAT(deadlock_of(two_barriers, threads), Contains("for all of its block, but thread (0, 0, 0) waits"));
  CHECK_THAT(deadlock_of(one_lane_skips_shuffle, threads), Contains("warp collective") && Contains("thread (5, 0, 0)"));
  CHECK_THAT(deadlock_of(sum_of_block, 40), Contains("a warp of 8 lanes"));
  CHECK(deadlock_of(sum_of_block, threads) == "none");  // it goes on after an error
}

TEST_CASE("emulator: kernels run when somebody waits for them, and new memory holds NaNs") {
  const DeviceArray<float> x(std::vector<float>(threads, 1.0f));
  void* fresh = nullptr;
  REQUIRE(cudaMalloc(&fresh, shared_bytes) == cudaSuccess);
  auto& gpu = queue<Cuda>::current();
  cuda::launch(gpu, 1, threads, shared_bytes, sum_of_block, static_cast<const float*>(fresh), x.data());
  gpu.synchronize();
  CHECK(std::isnan(x.values()[0]));

  ran = 0;
  cuda::launch(gpu, 1, 32, 0, note_run);
  CHECK(ran == 0);
  gpu.synchronize();
  CHECK(ran == 1);
  CHECK(cudaFree(fresh) == cudaSuccess);
}

TEST_CASE("emulator: copies from the device wait for it, copies to it do not") {
  const DeviceArray<float> x(std::vector<float>(4, 1.0f));
  std::vector<float> values = {5, 6, 7, 8};
  ran = 0;
  cuda::launch(queue<Cuda>::current(), 1, 32, 0, note_run);
  memory<Cuda>::copy_from_host(x.data(), values.data(), 16);
  CHECK(ran == 0);
  memory<Cuda>::copy_to_host(values.data(), x.data(), 16);
  CHECK(ran == 1);
}

TEST_CASE("emulator: a copy from page-locked memory reads it as late as it runs") {
  const DeviceArray<float> x(std::vector<float>(1));
  void* page_locked = nullptr;
  REQUIRE(cudaMallocHost(&page_locked, sizeof(float)) == cudaSuccess);
  auto* const value = static_cast<float*>(page_locked);
  *value = 1;
  const cudaStream_t stream = queue<Cuda>::current().stream();
  REQUIRE(cudaMemcpyAsync(x.data(), value, sizeof(float), cudaMemcpyHostToDevice, stream) == cudaSuccess);
  *value = 2;  // too early
  CHECK(x.values() == std::vector<float>{2});
  CHECK(cudaFreeHost(page_locked) == cudaSuccess);
}

TEST_CASE("emulator: who waits for an event lets run what was queued before, and no more") {
  auto& gpu = queue<Cuda>::current();
  cudaEvent_t event = nullptr;
  REQUIRE(cudaEventCreateWithFlags(&event, cudaEventDisableTiming) == cudaSuccess);
  CHECK(cudaEventQuery(event) == cudaSuccess);
  ran = 0;
  cuda::launch(gpu, 1, 32, 0, note_run);
  REQUIRE(cudaEventRecord(event, gpu.stream()) == cudaSuccess);
  cuda::launch(gpu, 1, 32, 0, note_run);
  CHECK(cudaEventQuery(event) == cudaErrorNotReady);
  REQUIRE(cudaEventSynchronize(event) == cudaSuccess);
  CHECK(ran == 1);
  CHECK(cudaEventQuery(event) == cudaSuccess);
  gpu.synchronize();
  CHECK(ran == 2);
  CHECK(cudaEventDestroy(event) == cudaSuccess);
}

TEST_CASE("emulator: copies to the device wait for nothing while they fit into the staging buffers") {
  using cuda::Staging;
  auto& gpu = queue<Cuda>::current();
  const std::vector<char> values(Staging::buffer_bytes);
  const DeviceArray<char> x(values);
  Staging staging(gpu.ordinal());
  ran = 0;
  cuda::launch(gpu, 1, 32, 0, note_run);
  for (int i = 0; i < Staging::buffer_count; ++i) staging.copy(x.data(), values.data(), values.size());
  CHECK(ran == 0);
  cuda::launch(gpu, 1, 32, 0, note_run);
  staging.copy(x.data(), values.data(), 1);  // into the first buffer again
  CHECK(ran == 1);
}

TEST_CASE("emulator: copies between the wrong memories or beyond a block are refused") {
  const DeviceArray<float> x(std::vector<float>(4)), y(std::vector<float>(4));
  std::vector<float> values(8);
  const auto to_device = [](void* destination, const void* source) {
    return cudaMemcpyAsync(destination, source, 16, cudaMemcpyHostToDevice, queue<Cuda>::current().stream());
  };
  CHECK(to_device(values.data(), values.data()) == cudaErrorInvalidValue);
  CHECK(to_device(x.data(), y.data()) == cudaErrorInvalidValue);
  CHECK(cudaGetLastError() == cudaErrorInvalidValue);
  CHECK_THROWS_AS(memory<Cuda>::copy_from_host(values.data(), values.data() + 4, 16), DeviceError);
  CHECK_THROWS_AS(memory<Cuda>::copy_to_host(x.data(), y.data(), 16), DeviceError);
  CHECK_THROWS_AS(memory<Cuda>::copy_from_host(x.data(), values.data(), 20), DeviceError);
  CHECK_THROWS_AS(memory<Cuda>::copy_to_host(values.data(), x.data() + 1, 16), DeviceError);
  CHECK_NOTHROW(memory<Cuda>::copy_to_host(values.data(), x.data() + 1, 12));
}
