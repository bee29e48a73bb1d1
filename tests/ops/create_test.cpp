// SPDX-License-Identifier: MIT
// New tensors: their memory is asked for before the program takes any, and a device that keeps no values costs none.
#include <plinth/ops/create.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>

#include <plinth/kernels/meta.hpp>
#include <plinth/position/rope.hpp>
#include <plinth/position/sinusoidal.hpp>

#include "catch.hpp"

using namespace plinth;

namespace {

constexpr std::int64_t many = std::int64_t{1} << 34;  // rows of 2^14 numbers: more bytes than any machine has addresses

template <class D>
Tensor<float, D> normal() {
  return random_normal<float, D>({many, 1 << 14}, 1, {1, RandomPurpose::initialise, 0});
}

template <class D>
RotaryTable<float, D> rotary() {
  return {many, 1 << 14, 1e4, RotaryLayout::half_split};
}

}  // namespace

TEST_CASE("a tensor beyond the budget is refused before the program takes as much itself") {
  memory<Cpu>::set_budget(memory<Cpu>::use().current + (1 << 20));
  CHECK_THROWS_AS(normal<Cpu>(), MemoryError);
  CHECK_THROWS_AS(rotary<Cpu>(), MemoryError);
  CHECK_THROWS_AS(SinusoidalTable<float>(many, 1 << 14), MemoryError);
  memory<Cpu>::set_budget(std::numeric_limits<std::size_t>::max());
}

TEST_CASE("no values are computed for a device that keeps none") {
  const std::size_t before = memory<Meta>::use().current;
  {
    const auto x = normal<Meta>();
    const auto table = rotary<Meta>();
    const SinusoidalTable<float, Meta> waves(many, 1 << 14);
    CHECK(memory<Meta>::use().current - before == 3 * (std::size_t{1} << 50));
  }
  CHECK(memory<Meta>::use().current == before);
}
