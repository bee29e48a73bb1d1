// SPDX-License-Identifier: MIT
// The dropout kernel: the mask of the contract, its share of zeros, the same for any number of threads.
#include <plinth/kernels/cpu.hpp>

#include <vector>

#include "catch.hpp"
#include "kernels/numbers.hpp"
#include "kernels/plain_backend.hpp"

using namespace plinth;

namespace {

const RandomStream stream{11, RandomPurpose::dropout, 5};

template <class D, class T>
std::vector<T> dropped(std::vector<T> x, double probability, std::int32_t step = 3, RandomStream from = stream) {
  const auto n = static_cast<std::int64_t>(x.size());
  kernels<D>::dropout(queue<D>::current(), n, probability, from, &step, x.data(), x.data());  // in place
  return x;
}

std::int64_t zeros(const std::vector<float>& x) {
  std::int64_t count = 0;
  for (const float value : x) count += value == 0.0f;
  return count;
}

}  // namespace

TEST_CASE("dropout of any size and probability") {
  for (const std::int64_t n : {0, 1, 2, 3, 4, 5, 31, 8191, 8192, 8193, 20011})
    for (const double probability : {0.0, 0.1, 0.5, 0.9}) {
      INFO(n << " elements, probability " << probability);
      const auto x = numbers::normal<float>(n, 1);
      CHECK(dropped<Cpu>(x, probability) == dropped<Plain>(x, probability));
      const auto halves = numbers::normal<half>(n, 1);
      CHECK(numbers::distance(dropped<Cpu>(halves, probability), dropped<Plain>(halves, probability)) == 0);
    }
}

TEST_CASE("dropout keeps the mean and zeroes the share it was told") {
  constexpr int n = 100000;
  const std::vector<float> ones(n, 1.0f);
  CHECK(dropped<Cpu>(ones, 0.0) == ones);
  CHECK(dropped<Cpu>(ones, 1.0) == std::vector<float>(n, 0.0f));
  for (const double probability : {0.1, 0.5, 0.8}) {
    const auto y = dropped<Cpu>(ones, probability);
    const double error = std::sqrt(probability * (1 - probability) / n);
    CHECK(std::fabs(static_cast<double>(zeros(y)) / n - probability) < 5 * error);
    for (const float value : y)
      if (value != 0.0f && value != static_cast<float>(1 / (1 - probability))) FAIL_CHECK("kept as " << value);
  }
}

TEST_CASE("masks change with step and site and with nothing else") {
  const std::vector<float> ones(1000, 1.0f);
  const auto mask = dropped<Cpu>(ones, 0.5);
  CHECK(dropped<Cpu>(ones, 0.5) == mask);
  CHECK(dropped<Cpu>(ones, 0.5, 4) != mask);
  CHECK(dropped<Cpu>(ones, 0.5, 3, {11, RandomPurpose::dropout, 6}) != mask);
  CHECK(dropped<Cpu>(ones, 0.5, 3, {12, RandomPurpose::dropout, 5}) != mask);
}

TEST_CASE("bits of dropout depend on values alone") {
  const auto x = numbers::normal<float>(30011, 1);
  CHECK(numbers::bits_depend_on_values_alone([&](std::size_t offset) {
    numbers::Placed<float> from(x, offset), to(x, 3 * offset);
    const std::int32_t step = 9;
    kernels<Cpu>::dropout(queue<Cpu>::current(), 30011, 0.3, stream, &step, from.data(), to.data());
    return to.values();
  }));
}
