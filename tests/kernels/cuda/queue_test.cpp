// SPDX-License-Identifier: MIT
// Memory, queue and launch of the CUDA backend.
#include "kernels/cuda/device_array.hpp"

#include <algorithm>
#include <numeric>
#include <thread>
#include <vector>

#include "catch.hpp"

using namespace plinth;

namespace {

__global__ void count_up(std::int32_t* values) {
  auto* shared = cuda::shared_memory<std::int32_t>();
  shared[threadIdx.x] = static_cast<std::int32_t>(threadIdx.x);
  cuda::block_barrier();
  values[threadIdx.x] = shared[blockDim.x - 1 - threadIdx.x];
}

std::string message_of_launch(std::int64_t grid, int block, std::size_t shared_bytes) {
  const DeviceArray<std::int32_t> values(std::vector<std::int32_t>(64));
  try {
    cuda::launch(queue<Cuda>::current(), grid, block, shared_bytes, count_up, values.data());
    queue<Cuda>::current().synchronize();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("cuda memory: counted, reused, copied, held to a budget", "[cuda]") {
  using M = memory<Cuda>;
  const auto before = M::use().current;
  void* block = M::allocate(1000);
  CHECK(M::use().current >= before + 1000);
  const std::vector<std::int32_t> values = {1, 2, 3};
  std::vector<std::int32_t> back(3);
  M::copy_from_host(block, values.data(), 12);
  M::copy_to_host(back.data(), block, 12);
  M::copy_to_host(nullptr, block, 0);
  CHECK(back == values);
  M::release(block, 1000);
  CHECK(M::use().current == before);
  CHECK(M::allocate(1000) == block);
  M::release(block, 1000);

  CHECK_THROWS_AS(M::allocate(std::size_t{1} << 60), MemoryError);
  M::set_budget(before + 500);
  CHECK_THROWS_AS(M::allocate(1000), MemoryError);
  M::set_budget(std::numeric_limits<std::size_t>::max());
  M::trim();
}

TEST_CASE("cuda memory: what was copied from may change at once", "[cuda]") {
  using M = memory<Cuda>;
  const DeviceArray<std::int32_t> array({0, 0, 0});
  std::vector<std::int32_t> pageable = {1, 2, 3};
  M::copy_from_host(array.data(), pageable.data(), 12);
  pageable = {7, 7, 7};
  CHECK(array.values() == std::vector<std::int32_t>{1, 2, 3});

  void* page_locked = nullptr;
  REQUIRE(cudaMallocHost(&page_locked, 12) == cudaSuccess);
  auto* const values = static_cast<std::int32_t*>(page_locked);
  for (std::int32_t i = 0; i < 3; ++i) values[i] = 4 + i;
  M::copy_from_host(array.data(), values + 1, 8);
  values[1] = values[2] = 7;
  CHECK(array.values() == std::vector<std::int32_t>{5, 6, 3});
  M::copy_to_host(values, array.data(), 12);
  CHECK(values[2] == 3);
  CHECK(cudaFreeHost(page_locked) == cudaSuccess);
}

TEST_CASE("cuda staging: a buffer is written again when the device has read it", "[cuda]") {
  using cuda::Staging;
  std::vector<std::int32_t> values((Staging::buffer_count + 2) * Staging::buffer_bytes / sizeof(std::int32_t) + 5);
  std::iota(values.begin(), values.end(), 1);
  const auto wanted = values;
  const DeviceArray<std::int32_t> large(std::vector<std::int32_t>(values.size())), small(std::vector<std::int32_t>(3));
  Staging staging(queue<Cuda>::current().ordinal());
  staging.copy(large.data(), values.data(), 0);
  staging.copy(small.data(), values.data(), 12);
  staging.copy(large.data(), values.data(), values.size() * sizeof(std::int32_t));  // from the middle of a buffer on
  staging.copy(small.data() + 1, values.data() + 7, 4);
  std::fill(values.begin(), values.end(), -1);
  const bool same = large.values() == wanted;  // nobody wants to read them
  CHECK(same);
  CHECK(small.values() == std::vector<std::int32_t>{1, 8, 3});
}

TEST_CASE("cuda memory: copies keep the order of the queue", "[cuda]") {
  std::vector<std::int32_t> ones(64, 1), twos(64, 2);
  const DeviceArray<std::int32_t> x(ones), y(twos), z(twos);
  auto& gpu = queue<Cuda>::current();
  kernels<Cuda>::cast(gpu, 64, x.data(), y.data());
  memory<Cuda>::copy_from_host(x.data(), twos.data(), 256);
  kernels<Cuda>::cast(gpu, 64, x.data(), z.data());
  CHECK(y.values() == ones);
  CHECK(z.values() == twos);
}

TEST_CASE("cuda queue: all threads have the device's one", "[cuda]") {
  auto& here = queue<Cuda>::current();
  CHECK(here.ordinal() >= 0);
  CHECK(here.multiprocessors() > 0);
  const queue<Cuda>* there = nullptr;
  std::thread([&] {
    there = &queue<Cuda>::current();
    queue<Cuda>::current().synchronize();
  }).join();
  CHECK(there == &here);
}

TEST_CASE("cuda launch: what cannot be launched is said", "[cuda]") {
  CHECK(message_of_launch(0, 64, 256).empty());
  CHECK(message_of_launch(1, 64, 256).empty());
  CHECK(message_of_launch(1, 64, 100 * 1024).empty());  // more shared memory than CUDA grants unasked
  using Catch::Matchers::Contains;
  CHECK_THAT(message_of_launch(1, 64, 1 << 20),
             Contains("asking for 1048576 bytes of shared memory for each block: cudaErrorInvalidValue"));
  CHECK_THAT(message_of_launch(1, 2048, 256), Contains("launching a kernel: cudaErrorInvalid"));
  CHECK_THAT(message_of_launch(std::int64_t{1} << 40, 64, 256), Contains("blocks in one launch"));
}
