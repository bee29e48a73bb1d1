// SPDX-License-Identifier: MIT
// Several devices, and a device whose memory is full.
#include <emulator.hpp>

#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "kernels/cuda/device_array.hpp"

#include <plinth/generate/generate.hpp>
#include <plinth/ops/arithmetic.hpp>
#include <plinth/ops/gather.hpp>
#include <plinth/ops/matmul.hpp>

using namespace plinth;
using Catch::Matchers::Contains;

namespace {

/// While it lives there are so many devices; then the thread computes on the first one again.
struct Devices {
  explicit Devices(int count) { emulator::set_device_count(count); }
  ~Devices() {
    cuda::use_device(0);
    emulator::set_device_count(1);
  }
};

/// While it lives the device has no more free memory than this.
struct FreeMemory {
  explicit FreeMemory(std::size_t bytes) {
    memory<Cuda>::trim();
    emulator::set_free_memory(bytes);
  }
  ~FreeMemory() { emulator::set_free_memory(std::size_t{1} << 30); }
};

/// Of a token follows the one with the largest number in its row of the table.
struct Bigrams {
  using element = float;
  using device = Cuda;
  struct {
    std::int64_t vocabulary = 3, context = 8;
  } config;
  Tensor<float, Cuda> table{{3, 3}, {0, 2, 0, 0, 0, 2, 2, 0, 0}};

  Tensor<float, Cuda> hidden_states(const Tensor<std::int32_t, Cuda>& tokens, const Tensor<std::int32_t, Cuda>&,
                                    KeyValueCache<float, Cuda>* cache) const {
    const auto rows = gather_rows(table, tokens);  // (1, T, 3)
    const auto as_heads = reshape(rows, {1, 1, tokens.size(1), 3});
    cache->append(0, {as_heads, as_heads});
    cache->advance(tokens.size(1));
    return rows;
  }
  Tensor<float, Cuda> logits(const Tensor<float, Cuda>& hidden) const { return hidden; }
};

Tensor<float, Cuda> ones(std::int64_t count) { return full<float, Cuda>({count}, 1); }

}  // namespace

TEST_CASE("cuda memory: a full device is an error, and whoever lets go can go on") {
  const FreeMemory little(1 << 20);
  const auto kept = ones(1 << 16);  // a quarter
  std::optional<Tensor<float, Cuda>> half = ones(1 << 17);
  const auto before = memory<Cuda>::use().current;
  CHECK_THROWS_AS(ones(1 << 17), MemoryError);
  CHECK_THROWS_WITH(ones(1 << 17), Contains("memory of cuda device 0: there are no 524288 bytes left beside the " +
                                            std::to_string(before) + " in use; take a smaller batch"));
  CHECK(memory<Cuda>::use().current == before);
  CHECK((kept + kept).to_vector() == std::vector<float>(1 << 16, 2.0f));  // what fits still does

  half.reset();
  CHECK(ones(3 << 15).to_vector().back() == 1);  // another size than the pool keeps
  CHECK(ones(1 << 17).to_vector().back() == 1);
  const auto blocks = emulator::blocks_of_memory();
  memory<Cuda>::trim();
  CHECK(emulator::blocks_of_memory() < blocks);
  CHECK(kept.to_vector().back() == 1);
}

TEST_CASE("cuda devices: each has its memory, stream and library") {
  const Devices two(2);
  CHECK(cuda::device_count() == 2);
  const auto first = queue<Cuda>::current().stream();
  const Tensor<float, Cuda> x({64, 64}, std::vector<float>(64 * 64, 1)), small({1}, {3});
  const auto used = memory<Cuda>::use().current;

  cuda::use_device(1);
  CHECK(queue<Cuda>::current().ordinal() == 1);
  CHECK(queue<Cuda>::current().stream() != first);
  CHECK(memory<Cuda>::use().current == 0);
  {
    const auto y = full<float, Cuda>({64, 64}, 2);
    CHECK(memory<Cuda>::use().current == 64 * 64 * 4);
    CHECK(matmul(y, y).to_vector() == std::vector<float>(64 * 64, 256));
    memory<Cuda>::set_budget(64 * 64 * 4);
    CHECK_THROWS_WITH(ones(1), Contains("memory of cuda device 1"));
    memory<Cuda>::set_budget(std::numeric_limits<std::size_t>::max());
    cuda::use_device(0);
    CHECK(memory<Cuda>::use().current == used);
    CHECK(matmul(x, x).to_vector() == std::vector<float>(64 * 64, 64));
  }  // the memory of device 1 goes back to its pool, whatever device is current
  CHECK(memory<Cuda>::use().current == used);
  cuda::use_device(1);
  CHECK(memory<Cuda>::use().current == 0);

  auto changed = small;
  cuda::use_device(0);
  changed = changed + changed;
  cuda::use_device(1);
  CHECK(changed.to_vector() == std::vector<float>{6});  // behind what device 0 has queued
  int other = 1;
  std::thread([&] { other = queue<Cuda>::current().ordinal(); }).join();
  CHECK(other == 0);  // the choice is the thread's
}

TEST_CASE("cuda devices: one that is not there is an error that says how many there are") {
  const Devices two(2);
  for (const int ordinal : {-1, 2}) {
    CHECK_THROWS_AS(cuda::use_device(ordinal), DeviceError);
    CHECK_THROWS_WITH(cuda::use_device(ordinal),
                      "cuda: there is no device " + std::to_string(ordinal) + "; this process sees 2, numbered from 0");
  }
  CHECK(queue<Cuda>::current().ordinal() == 0);
}

TEST_CASE("cuda devices: one without memory pools of the driver has Plinth's alone") {
  const Devices three(3);
  emulator::set_memory_pools(false);
  cuda::use_device(2);
  {
    const FreeMemory little(1 << 20);
    CHECK((ones(1 << 16) * 2.0).to_vector().back() == 2);
    CHECK(ones(3 << 15).to_vector().back() == 1);
    CHECK_THROWS_AS(ones(1 << 19), MemoryError);
    CHECK(ones(1 << 17).to_vector().back() == 1);  // what the pool keeps is in the way, and goes
  }
  const auto blocks = emulator::blocks_of_memory();
  memory<Cuda>::trim();
  CHECK(emulator::blocks_of_memory() < blocks);
  emulator::set_memory_pools(true);
}

TEST_CASE("cuda: generate queues each token but the first with one launch of a graph") {
  const auto before = emulator::graph_launches();
  CHECK(generate(Bigrams(), {0}, {.length = 7, .sampling = {.temperature = 0}}) ==
        std::vector<std::int32_t>{0, 1, 2, 0, 1, 2, 0, 1});
  CHECK(emulator::graph_launches() == before + 6);
}
