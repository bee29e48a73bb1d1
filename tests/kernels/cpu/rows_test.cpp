// SPDX-License-Identifier: MIT
// Gathering rows, adding them back, and turning them by their position.
#include <plinth/kernels/cpu.hpp>

#include <cmath>
#include <vector>

#include "catch.hpp"
#include "kernels/numbers.hpp"
#include "kernels/plain_backend.hpp"

using namespace plinth;

namespace {

constexpr std::int32_t table_rows = 11;
const std::vector<std::int64_t> row_counts = {0, 1, 7, 500}, column_counts = {0, 1, 16, 63, 64, 65, 200};

template <class D, class T>
std::vector<T> gathered(std::int64_t n, std::int64_t columns) {
  const auto table = numbers::normal<T>(table_rows * columns, 1);
  const auto ids = numbers::below(table_rows, n, 2);
  std::vector<T> y(static_cast<std::size_t>(n * columns));
  kernels<D>::gather_rows(queue<D>::current(), n, table_rows, columns, table.data(), ids.data(), y.data());
  return y;
}

/// What was in the table and the rows added to it.
template <class D, class T>
std::vector<T> scattered(std::int64_t n, std::int64_t columns) {
  auto table = numbers::normal<T>(table_rows * columns, 1);
  const auto ids = numbers::below(table_rows, n, 2);
  const auto dy = numbers::normal<T>(n * columns, 3);
  kernels<D>::scatter_add_rows(queue<D>::current(), n, table_rows, columns, ids.data(), dy.data(), table.data());
  return table;
}

/// (B, H, T, D) over memory in the order (B, T, H, D) or (B, H, T, D).
HeadLayout layout(const RotaryShape& s, bool time_first) {
  return time_first ? HeadLayout{s.time * s.heads * s.head_size, s.head_size, s.heads * s.head_size}
                    : HeadLayout{s.heads * s.time * s.head_size, s.time * s.head_size, s.head_size};
}

/// x turned by `shape`, or turned and turned back.
template <class D, class T>
std::vector<T> rotated(RotaryShape shape, const std::vector<std::int32_t>& positions, bool and_back = false) {
  using A = accumulator_t<T>;
  auto x = numbers::normal<T>(shape.batch * shape.heads * shape.time * shape.head_size, 1);
  std::vector<A> table;
  for (std::int64_t p = 0; p < shape.table_rows; ++p)
    for (std::int64_t i = 0; i < shape.rotated; ++i) {
      const double angle = static_cast<double>(p) / static_cast<double>(1 + i % (shape.rotated / 2));
      table.push_back(static_cast<A>(i < shape.rotated / 2 ? std::cos(angle) : std::sin(angle)));
    }
  std::vector<T> y(x.size());
  auto& q = queue<D>::current();
  kernels<D>::rotate(q, shape, x.data(), positions.data(), table.data(), y.data());
  if (!and_back) return y;
  std::swap(shape.x, shape.y);
  shape.inverse = true;
  kernels<D>::rotate(q, shape, y.data(), positions.data(), table.data(), x.data());
  return x;
}

}  // namespace

TEST_CASE("gathering and scattering rows of any size") {
  for (const std::int64_t n : row_counts)
    for (const std::int64_t columns : column_counts) {
      INFO(n << " rows of " << columns);
      CHECK(gathered<Cpu, float>(n, columns) == gathered<Plain, float>(n, columns));
      CHECK(scattered<Cpu, float>(n, columns) == scattered<Plain, float>(n, columns));
      CHECK(scattered<Cpu, double>(n, columns) == scattered<Plain, double>(n, columns));
    }
}

TEST_CASE("rows outside the table are refused before anything is written") {
  auto& q = queue<Cpu>::current();
  std::vector<float> table(6, 1.0f), y(4, 9.0f);
  const std::vector<std::int32_t> too_large = {0, 3}, negative = {1, -1};
  CHECK_THROWS_WITH(kernels<Cpu>::gather_rows(q, 2, 3, 2, table.data(), too_large.data(), y.data()),
                    "gather_rows: index 3 at position 1 is outside [0, 3)");
  CHECK_THROWS_AS(kernels<Cpu>::gather_rows(q, 2, 3, 2, table.data(), negative.data(), y.data()), ArgumentError);
  CHECK(y == std::vector<float>(4, 9.0f));
  CHECK_THROWS_AS(kernels<Cpu>::scatter_add_rows(q, 2, 3, 2, negative.data(), y.data(), table.data()), ArgumentError);
  CHECK(table == std::vector<float>(6, 1.0f));
  const AppendShape two{.batch = 1, .heads = 1, .time = 2, .head_size = 2, .capacity = 3, .x = {4, 4, 2}, .y = {6, 6, 2}};
  for (const std::int32_t place : {-1, 2}) {
    const std::int32_t row[3] = {place, 0, 3};
    CHECK_THROWS_AS(kernels<Cpu>::append_rows(q, two, row, y.data(), table.data()), ArgumentError);
  }
  CHECK(table == std::vector<float>(6, 1.0f));
}

TEST_CASE("rotation in both pairings, both memory orders and of part of a head") {
  for (const std::int64_t rotated_size : {2, 6, 34})
    for (const bool interleaved : {false, true})
      for (const int order : {0, 1, 2, 3}) {
        RotaryShape s{.batch = 2, .heads = 3, .time = 5, .head_size = 34, .rotated = rotated_size, .table_rows = 9,
                      .x = {}, .y = {}, .interleaved = interleaved, .inverse = false};
        s.x = layout(s, order & 1);
        s.y = layout(s, order & 2);
        const auto positions = numbers::below(9, 10, 5);
        INFO("rotated " << rotated_size << ", interleaved " << interleaved << ", order " << order);
        const auto y = rotated<Cpu, float>(s, positions);
        CHECK(numbers::distance(y, rotated<Plain, float>(s, positions)) < 1e-7);
        CHECK(numbers::distance(rotated<Cpu, double>(s, positions), rotated<Plain, double>(s, positions)) < 1e-15);
        const auto x = numbers::normal<double>(2 * 3 * 5 * 34, 1);
        CHECK(numbers::distance(rotated<Cpu, double>(s, positions, true), x) < 1e-14);
      }
}

TEST_CASE("a rotation by hand") {
  // One pair at position 1, angle pi / 2: (3, 4) -> (-4, 3); the third and fourth channel stay.
  const RotaryShape s{.batch = 1, .heads = 1, .time = 1, .head_size = 4, .rotated = 2, .table_rows = 2, .x = {4, 4, 4},
                      .y = {4, 4, 4}, .interleaved = false, .inverse = false};
  const std::vector<double> table = {1, 0, 0, 1}, x = {3, 4, 5, 6};
  const std::int32_t position = 1;
  std::vector<double> y(4);
  kernels<Cpu>::rotate(queue<Cpu>::current(), s, x.data(), &position, table.data(), y.data());
  CHECK(y == std::vector<double>{-4, 3, 5, 6});
  const std::int32_t beyond = 2;
  CHECK_THROWS_AS(kernels<Cpu>::rotate(queue<Cpu>::current(), s, x.data(), &beyond, table.data(), y.data()), ArgumentError);
}

TEST_CASE("bits of added rows depend on values alone") {
  const auto ids = numbers::below(table_rows, 500, 2);
  CHECK(numbers::bits_depend_on_values_alone([&](std::size_t offset) {
    numbers::Placed<float> dy(numbers::normal<float>(500 * 200, 1), offset);
    numbers::Placed<float> table(std::vector<float>(table_rows * 200), 3 * offset);
    kernels<Cpu>::scatter_add_rows(queue<Cpu>::current(), 500, table_rows, 200, ids.data(), dy.data(), table.data());
    return table.values();
  }));
}
