// SPDX-License-Identifier: MIT
// Copying A and B of a matrix product into the order in which its tiles read them, as the type they are summed in.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>

#include <plinth/kernels/cpu/gemm_tile.hpp>
#include <plinth/tensor/element.hpp>

namespace plinth::cpu {

/// Steps of k copied at a time: one cache line of floats, so that a matrix with a large power of two between its rows
/// is not fetched again for every element of a line.
inline constexpr std::int64_t pack_steps = 16;

/// A 4x4 block of floats turned by its diagonal.
inline void transpose_4x4(const float* from, std::int64_t from_row, float* to, std::int64_t to_row) {
  using V = Vector<float, 16>::type;
  V a, b, c, d;
  __builtin_memcpy(&a, from, sizeof a);
  __builtin_memcpy(&b, from + from_row, sizeof b);
  __builtin_memcpy(&c, from + 2 * from_row, sizeof c);
  __builtin_memcpy(&d, from + 3 * from_row, sizeof d);
  const V ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const V cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  a = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
  b = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
  c = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
  d = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
  __builtin_memcpy(to, &a, sizeof a);
  __builtin_memcpy(to + to_row, &b, sizeof b);
  __builtin_memcpy(to + 2 * to_row, &c, sizeof c);
  __builtin_memcpy(to + 3 * to_row, &d, sizeof d);
}

/// to = from for `count` elements; a loop, since most rows are shorter than a call of memcpy is worth.
template <class T>
void copy_line(const T* from, std::int64_t count, accumulator_t<T>* to) {
  std::int64_t j = 0;
  if constexpr (std::same_as<T, accumulator_t<T>>)
    for (; j + 4 <= count; j += 4) __builtin_memcpy(to + j, from + j, 4 * sizeof(T));
  for (; j < count; ++j) to[j] = static_cast<accumulator_t<T>>(from[j]);
}

/// packed[k * width + j] = x[k * x_step + j * x_lane] for k < steps and j < count, zero for j from count to width.
template <class T>
void pack_lanes(const T* x, std::int64_t x_step, std::int64_t x_lane, std::int64_t count, std::int64_t steps,
                std::int64_t width, accumulator_t<T>* packed) {
  if (x_lane == 1 && count == width) {
    for (std::int64_t k = 0; k < steps; ++k) copy_line(x + k * x_step, width, packed + k * width);
    return;
  }
  if (count < width) std::fill(packed, packed + steps * width, accumulator_t<T>(0));
  std::int64_t turned = 0;
  if constexpr (std::same_as<T, float>)
    if (x_step == 1 && count == width && width % 4 == 0)
      for (; turned + 4 <= steps; turned += 4)
        for (std::int64_t j = 0; j < width; j += 4)
          transpose_4x4(x + j * x_lane + turned, x_lane, packed + turned * width + j, width);
  for (std::int64_t j = 0; j < count; ++j)
    for (std::int64_t k = turned; k < steps; ++k)
      packed[k * width + j] = static_cast<accumulator_t<T>>(x[k * x_step + j * x_lane]);
}

/// One panel of B: packed[k][width] = B(k, j), zero past the last column.
template <class T>
void pack_columns(const T* b, std::int64_t b_row, std::int64_t b_column, std::int64_t columns, std::int64_t K,
                  std::int64_t width, accumulator_t<T>* packed) {
  for (std::int64_t k = 0; k < K; k += pack_steps)
    pack_lanes(b + k * b_row, b_row, b_column, columns, std::min(pack_steps, K - k), width, packed + k * width);
}

/// A block of A, tile under tile, zero past the last row. Where k is contiguous in A a row stays a row, packed_row apart;
/// otherwise the rows of a tile lie side by side: packed[tile][k][tile rows].
template <class T>
void pack_rows(const T* a, std::int64_t a_row, std::int64_t a_column, const RowTiling& tiling, std::int64_t K,
               std::int64_t packed_row, accumulator_t<T>* packed) {
  if (a_column == 1) {
    for (std::int64_t i = 0; i < tiling.rows; ++i) copy_line(a + i * a_row, K, packed + i * packed_row);
    std::fill(packed + tiling.rows * packed_row, packed + tiling.covered * packed_row, accumulator_t<T>(0));
    return;
  }
  for (std::int64_t k = 0; k < K; k += pack_steps)
    for (std::int64_t i = 0; i < tiling.rows;) {
      const std::int64_t height = tiling.height(i);
      pack_lanes(a + i * a_row + k * a_column, a_column, a_row, std::min(height, tiling.rows - i),
                 std::min(pack_steps, K - k), height, packed + i * K + k * height);
      i += height;
    }
}

}  // namespace plinth::cpu
