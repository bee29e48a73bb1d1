// SPDX-License-Identifier: MIT
// Sums over an axis and the squared norm, against sums in double.
#include <plinth/kernels/cpu.hpp>

#include <vector>

#include "catch.hpp"
#include "kernels/numbers.hpp"
#include "kernels/pieces.hpp"
#include "kernels/plain_backend.hpp"

using namespace plinth;

namespace {

struct Sizes {
  std::int64_t outer, n, inner;
};
const std::vector<Sizes> all_sizes = {{1, 1, 1},   {1, 0, 3},   {0, 5, 4},    {3, 5, 0},     {3, 16, 1},   {5, 17, 1},
                                      {2, 1000, 1}, {1, 9001, 1}, {700, 31, 1}, {3, 5, 7},     {1, 300, 64}, {1, 257, 63},
                                      {4, 33, 65},  {2, 8, 130},  {1, 2000, 10}, {17, 3, 1025}};

template <class D, class T>
std::vector<T> sums(const Sizes& s) {
  const auto x = numbers::normal<T>(s.outer * s.n * s.inner, 1, 1, 0.5);
  std::vector<T> y(static_cast<std::size_t>(s.outer * s.inner), T(99));
  kernels<D>::reduce_sum(queue<D>::current(), s.outer, s.n, s.inner, x.data(), y.data());
  return y;
}

/// What squared_norm makes of 1 and n numbers, as a list of so many arrays.
double squared_norm(std::int64_t n, std::int64_t list) {
  const auto x = numbers::normal<float>(n, 2);
  float sum = 1;
  kernels<Cpu>::squared_norm(queue<Cpu>::current(), list, pieces(DenseArray<float>{n, x.data()}, list).data(), &sum);
  return static_cast<double>(sum);
}

}  // namespace

TEST_CASE("reduce_sum adds along one axis of any shape") {
  for (const Sizes& s : all_sizes) {
    INFO("(" << s.outer << ", " << s.n << ", " << s.inner << ")");
    CHECK(numbers::distance(sums<Cpu, float>(s), sums<Plain, float>(s)) < 1e-6);
    CHECK(numbers::distance(sums<Cpu, double>(s), sums<Plain, double>(s)) < 1e-14);
    CHECK(numbers::distance(sums<Cpu, bfloat16>(s), sums<Plain, bfloat16>(s)) < 8e-3);
  }
}

TEST_CASE("squared_norm adds to what is there") {
  for (const std::int64_t n : {0, 1, 16, 33, 8192, 8193, 50001}) {
    double expected = 1;
    for (const float x : numbers::normal<float>(n, 2)) expected += static_cast<double>(x) * static_cast<double>(x);
    for (const std::int64_t list : {1, 2, 100}) CHECK(squared_norm(n, list) == Approx(expected).epsilon(1e-6));
  }
  CHECK(squared_norm(9, 0) == 1);
}

TEST_CASE("long sums keep the precision of float") {
  // Added one after the other, these are wrong by 3.4e-6; PyTorch's sum by 6e-8.
  CHECK(numbers::distance(sums<Cpu, float>({1, 65536, 64}), sums<Plain, float>({1, 65536, 64})) < 5e-7);
  CHECK(numbers::distance(sums<Cpu, float>({3, 400000, 1}), sums<Plain, float>({3, 400000, 1})) < 5e-7);
  // Ones added one after the other end at 2^24.
  constexpr std::int64_t n = (1 << 24) + (1 << 22);
  const std::vector<float> ones(static_cast<std::size_t>(n), 1.0f);
  const DenseArray<float> all{n, ones.data()};
  float norm = 0;
  kernels<Cpu>::squared_norm(queue<Cpu>::current(), 1, &all, &norm);
  CHECK(norm == static_cast<float>(n));
}

TEST_CASE("bits of sums depend on values alone") {
  for (const Sizes& s : {Sizes{1, 20011, 1}, Sizes{700, 31, 1}, Sizes{1, 2000, 130}, Sizes{3, 33, 65}})
    CHECK(numbers::bits_depend_on_values_alone([&](std::size_t offset) {
      numbers::Placed<float> x(numbers::normal<float>(s.outer * s.n * s.inner, 1), offset);
      numbers::Placed<float> y(std::vector<float>(static_cast<std::size_t>(s.outer * s.inner + 1)), 3 * offset);
      auto& q = queue<Cpu>::current();
      kernels<Cpu>::reduce_sum(q, s.outer, s.n, s.inner, x.data(), y.data());
      const DenseArray<float> all{s.outer * s.n * s.inner, x.data()};
      kernels<Cpu>::squared_norm(q, 7, pieces(all, 7).data(), y.data() + s.outer * s.inner);
      return y.values();
    }));
}
