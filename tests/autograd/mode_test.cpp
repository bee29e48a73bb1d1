// SPDX-License-Identifier: MIT
// What a thread is doing: NoGradient and TrainingScope nest, end with their scope, and are each thread's own.
#include <plinth/autograd/mode.hpp>

#include <stdexcept>
#include <thread>

#include <plinth/autograd/tape.hpp>

#include "catch.hpp"

using namespace plinth;

TEST_CASE("NoGradient nests and ends with its scope, also by an exception") {
  Tensor<float> x({1}, {1});
  require_gradient(x);
  CHECK(needs_gradient(x));
  {
    const NoGradient outer;
    CHECK_FALSE(needs_gradient(x));
    {
      const NoGradient inner;
      CHECK_FALSE(needs_gradient(x));
    }
    CHECK_FALSE(needs_gradient(x));
  }
  CHECK(needs_gradient(x));
  try {
    const NoGradient lost;
    throw std::runtime_error("");
  } catch (const std::runtime_error&) {
  }
  CHECK(needs_gradient(x));
}

TEST_CASE("NoGradient is a thread's own") {
  Tensor<float> x({1}, {1});
  require_gradient(x);
  const NoGradient here;
  bool there = false;
  std::thread([&] { there = needs_gradient(x); }).join();
  CHECK(there);
  CHECK_FALSE(needs_gradient(x));
}

TEST_CASE("a training scope nests and is a thread's own") {
  CHECK(TrainingScope<Cpu>::current() == nullptr);
  {
    const TrainingScope<Cpu> outer(1, 5);
    CHECK(TrainingScope<Cpu>::current() == &outer);
    {
      const TrainingScope<Cpu> inner(1, 6);
      CHECK(TrainingScope<Cpu>::current() == &inner);
    }
    CHECK(TrainingScope<Cpu>::current() == &outer);
    const void* there = &outer;
    std::thread([&] { there = TrainingScope<Cpu>::current(); }).join();
    CHECK(there == nullptr);
  }
  CHECK(TrainingScope<Cpu>::current() == nullptr);
}

TEST_CASE("a scope's random stream depends on seed, rank, step and micro-step") {
  const auto word = [](std::uint64_t seed, std::int64_t step, std::int64_t micro_step, std::int64_t rank) {
    const TrainingScope<Cpu> scope(seed, step, micro_step, rank);
    return scope.stream(9).word(3, static_cast<std::uint32_t>(scope.clock().item()));
  };
  const auto base = word(1, 2, 3, 0);
  CHECK(word(1, 2, 3, 0) == base);
  CHECK(word(2, 2, 3, 0) != base);
  CHECK(word(1, 3, 3, 0) != base);
  CHECK(word(1, 2, 4, 0) != base);
  CHECK(word(1, 2, 3, 1) != base);
  CHECK(word(1, 0, 1, 0) != word(1, 1, 0, 0));
  CHECK(word(1, 524287, 0, 0) != base);  // large steps are no problem
}
