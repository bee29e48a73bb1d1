// SPDX-License-Identifier: MIT
// Rows of a table: gathering them by index, adding gradients back, and turning them by their position (RoPE).
#pragma once

#include <algorithm>
#include <cstdint>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cpu/elementwise.hpp>
#include <plinth/tensor/error.hpp>

namespace plinth::cpu {

struct CpuRows {
  /// Throws ArgumentError for an index outside the table.
  template <class T>
  static void gather_rows(queue<Cpu>& queue, std::int64_t n, std::int64_t table_rows, std::int64_t columns,
                          const T* table, const std::int32_t* ids, T* y) {
    check("gather_rows", n, table_rows, ids);
    over_rows(queue, n, columns, [=](std::int64_t r) {
      const T* from = table + ids[r] * columns;
      independently(0, columns, [=](std::int64_t i) { y[r * columns + i] = from[i]; });
    });
  }

  /// Threads share the columns, so each sum runs over the rows in order.
  template <class T>
  static void scatter_add_rows(queue<Cpu>& queue, std::int64_t n, std::int64_t table_rows, std::int64_t columns,
                               const std::int32_t* ids, const T* dy, T* dtable) {
    using A = accumulator_t<T>;
    check("scatter_add_rows", n, table_rows, ids);
    constexpr std::int64_t strip = 64;
    queue.parallel((columns + strip - 1) / strip, [=](std::int64_t block) {
      const std::int64_t first = block * strip, end = std::min(first + strip, columns);
      for (std::int64_t r = 0; r < n; ++r) {
        const T* from = dy + r * columns;
        T* to = dtable + ids[r] * columns;
        independently(first, end,
                      [=](std::int64_t i) { to[i] = static_cast<T>(static_cast<A>(to[i]) + static_cast<A>(from[i])); });
      }
    });
  }

  /// Throws ArgumentError for a place outside the capacity.
  template <class T>
  static void append_rows(queue<Cpu>& queue, const AppendShape& s, const std::int32_t* rows, const T* x, T* y) {
    for (std::int64_t b = 0; b < s.batch; ++b)
      detail::require<ArgumentError>(rows[3 * b] >= 0 && rows[3 * b] + s.time <= s.capacity, "append_rows: ", s.time,
                                     " places from ", rows[3 * b], " on of ", s.capacity);
    over_rows(queue, s.batch * s.heads, s.time * s.head_size, [&](std::int64_t row) {
      const std::int64_t b = row / s.heads, h = row % s.heads;
      for (std::int64_t t = 0; t < s.time; ++t) {
        const T* from = x + b * s.x.batch + h * s.x.head + t * s.x.time;
        T* to = y + b * s.y.batch + h * s.y.head + (rows[3 * b] + t) * s.y.time;
        independently(0, s.head_size, [=](std::int64_t i) { to[i] = from[i]; });
      }
    });
  }

  /// Throws ArgumentError for a position outside the table.
  template <class T>
  static void rotate(queue<Cpu>& queue, const RotaryShape& shape, const T* x, const std::int32_t* positions,
                     const accumulator_t<T>* table, T* y) {
    using A = accumulator_t<T>;
    check("rotate", shape.batch * shape.time, shape.table_rows, positions);
    const std::int64_t pairs = shape.rotated / 2;
    const std::int64_t step = shape.interleaved ? 2 : 1, other = shape.interleaved ? 1 : pairs;
    over_rows(queue, shape.batch * shape.time, shape.heads * shape.head_size, [&](std::int64_t row) {
      const std::int64_t b = row / shape.time, t = row % shape.time;
      const A *cosine = table + positions[row] * shape.rotated, *sine = cosine + pairs;
      const A sign = shape.inverse ? A(-1) : A(1);
      for (std::int64_t h = 0; h < shape.heads; ++h) {
        const T* from = x + b * shape.x.batch + h * shape.x.head + t * shape.x.time;
        T* to = y + b * shape.y.batch + h * shape.y.head + t * shape.y.time;
        independently(0, pairs, [=](std::int64_t i) {
          const A x1 = static_cast<A>(from[i * step]), x2 = static_cast<A>(from[i * step + other]);
          const A c = cosine[i], s = sine[i] * sign;
          to[i * step] = static_cast<T>(x1 * c - x2 * s);
          to[i * step + other] = static_cast<T>(x1 * s + x2 * c);
        });
        independently(shape.rotated, shape.head_size, [=](std::int64_t i) { to[i] = from[i]; });
      }
    });
  }

 private:
  static void check(const char* kernel, std::int64_t n, std::int64_t rows, const std::int32_t* ids) {
    for (std::int64_t i = 0; i < n; ++i)
      detail::require<ArgumentError>(ids[i] >= 0 && ids[i] < rows, kernel, ": index ", ids[i], " at position ", i,
                                     " is outside [0, ", rows, ")");
  }
};

}  // namespace plinth::cpu
