// SPDX-License-Identifier: MIT
// The memory pool: counting, budget, reuse, and several threads at once.
#include <plinth/tensor/memory.hpp>

#include <algorithm>
#include <cstdint>
#include <new>
#include <set>
#include <thread>
#include <vector>

#include <plinth/tensor/tensor.hpp>

#include "catch.hpp"

using namespace plinth;

namespace {

/// A source that can be told to have nothing left, and counts its blocks.
struct SmallMachine {
  static constexpr const char* name = "small machine";
  static inline int left = 0, blocks = 0;
  static void* allocate(std::size_t bytes) {
    if (left == 0) return nullptr;
    --left;
    ++blocks;
    return ::operator new(bytes, std::align_val_t(64), std::nothrow);
  }
  static void release(void* block) {
    ++left;
    --blocks;
    ::operator delete(block, std::align_val_t(64));
  }
};

constexpr std::size_t no_budget = std::numeric_limits<std::size_t>::max();

}  // namespace

TEST_CASE("an allocation can be made to fail") {
  memory<Cpu>::fail_after(2);
  const Tensor<float> first({3}), second({3});
  CHECK_THROWS_AS(Tensor<float>({3}), MemoryError);
  CHECK_NOTHROW(Tensor<float>({3}));  // once
  memory<Cpu>::fail_after(0);
  memory<Cpu>::fail_after(-1);
  CHECK_NOTHROW(Tensor<float>({3}));
}

TEST_CASE("the pool counts current and peak bytes of tensors") {
  const std::size_t before = memory<Cpu>::use().current;
  memory<Cpu>::reset_peak();
  CHECK(memory<Cpu>::use().peak == before);
  {
    const Tensor<float> x({1024, 1024});
    const Tensor<float> same = x;
    CHECK(memory<Cpu>::use().current == before + 4 * 1024 * 1024);
    { const Tensor<double> y({1024, 1024}); }
    CHECK(memory<Cpu>::use().current == before + 4 * 1024 * 1024);
    CHECK(memory<Cpu>::use().peak == before + 12 * 1024 * 1024);
  }
  CHECK(memory<Cpu>::use().current == before);
  memory<Cpu>::reset_peak();
  CHECK(memory<Cpu>::use().peak == before);
}

TEST_CASE("small, empty and user-owned tensors leave nothing behind") {
  const std::size_t before = memory<Cpu>::use().current;
  float value = 1;
  for (int i = 0; i < 100; ++i) {
    const Tensor<float> empty({0, 5}), one({1}), odd({1001});
    const auto view = Tensor<float>::view_of(&value, {1}, {1});
    CHECK(reinterpret_cast<std::uintptr_t>(odd.data()) % 64 == 0);
  }
  CHECK(memory<Cpu>::use().current == before);
}

TEST_CASE("a budget turns too much into an exception") {
  const std::size_t before = memory<Cpu>::use().current;
  memory<Cpu>::set_budget(before + (1 << 20));
  CHECK_NOTHROW(Tensor<float>({1 << 18}));
  CHECK_THROWS_AS(Tensor<float>({(1 << 18) + 1}), MemoryError);
  CHECK_THROWS_AS(Tensor<float>({std::int64_t{1} << 40}), MemoryError);
  const std::string text = "cpu memory: 2097152 bytes asked for, " + std::to_string(before) + " in use, budget " +
                           std::to_string(before + (1 << 20));
  CHECK_THROWS_WITH(Tensor<float>({1 << 19}), text);
  memory<Cpu>::set_budget(before > 0 ? before - 1 : 0);  // below what is in use
  CHECK_THROWS_AS(Tensor<float>({1}), MemoryError);
  memory<Cpu>::set_budget(no_budget);
  CHECK_NOTHROW(Tensor<float>({1 << 19}));
  CHECK(memory<Cpu>::use().current == before);
}

TEST_CASE("a pool hands released blocks out again and gives them back when asked") {
  detail::Pool<SmallMachine> pool;
  SmallMachine::left = 2;
  void* const first = pool.allocate(1000);
  void* const second = pool.allocate(5000);
  CHECK(SmallMachine::blocks == 2);
  CHECK(pool.use().current == 1024 + 5120);
  pool.release(first, 1000);
  CHECK(pool.allocate(1010) == first);  // the same size when rounded
  pool.release(first, 1010);
  pool.release(second, 5000);
  CHECK(pool.use().current == 0);
  CHECK(pool.use().peak == 1024 + 5120);
  CHECK(SmallMachine::blocks == 2);

  void* const other = pool.allocate(100000);  // the machine has nothing left but what the pool keeps
  CHECK(SmallMachine::blocks == 1);
  pool.release(other, 100000);
  pool.trim();
  CHECK(SmallMachine::blocks == 0);

  SmallMachine::left = 0;
  CHECK_THROWS_WITH(pool.allocate(64), Catch::Matchers::StartsWith("small machine: there are no 64 bytes left beside the 0 in use; "));
  CHECK_THROWS_AS(pool.allocate(no_budget), MemoryError);
  CHECK(pool.use().current == 0);
}

TEST_CASE("threads allocate at once without sharing a block") {
  const std::size_t before = memory<Cpu>::use().current;
  bool undisturbed[4] = {};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t, &undisturbed] {
      bool good = true;
      for (int round = 0; round < 500; ++round) {
        std::vector<Tensor<std::int32_t>> tensors;
        for (int i = 0; i < 8; ++i) {
          const std::vector<std::int32_t> values(static_cast<std::size_t>(64 * (1 + (round + i) % 5)), t);
          tensors.emplace_back(Shape{static_cast<std::int64_t>(values.size())}, values);
        }
        for (const auto& x : tensors)
          for (const std::int32_t value : x.to_vector()) good = good && value == t;
      }
      undisturbed[t] = good;
    });
  for (auto& thread : threads) thread.join();
  for (const bool good : undisturbed) CHECK(good);
  CHECK(memory<Cpu>::use().current == before);
}

TEST_CASE("blocks of sizes that grow do not pile up") {
  SmallMachine::left = 1000000;
  {
    detail::Pool<SmallMachine> pool;
    for (std::size_t bytes = 1000; bytes < 400000; bytes += 1000) {
      pool.release(pool.allocate(bytes), bytes);
      CHECK(SmallMachine::blocks < 60);  // of the some 140 classes passed
    }
    pool.set_budget(500000);
    pool.release(pool.allocate(450000), 450000);
    CHECK(SmallMachine::blocks <= 2);  // kept blocks made room
  }
  CHECK(SmallMachine::blocks == 0);
}
