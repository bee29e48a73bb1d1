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
[[gnu::always_inline]] inline void transpose_4x4(const float* from, std::int64_t from_row, float* to,
                                                 std::int64_t to_row) {
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

/// packed[k * Width + j] = x[k * x_step + j * x_lane] for j < count <= Width, zero for the other j.
template <int Width, class T>
[[gnu::always_inline]] inline void pack_lanes(const T* x, std::int64_t x_step, std::int64_t x_lane, std::int64_t count,
                                              std::int64_t steps, accumulator_t<T>* packed) {
  using A = accumulator_t<T>;
  if (count == Width && x_lane == 1) {
    for (std::int64_t k = 0; k < steps; ++k)
      for (int j = 0; j < Width; ++j) packed[k * Width + j] = static_cast<A>(x[k * x_step + j]);
    return;
  }
  if (count < Width) std::fill(packed, packed + steps * Width, A(0));
  std::int64_t first = 0;
  if constexpr (std::same_as<T, float> && Width % 4 == 0)
    if (count == Width && x_step == 1)
      for (; first + 4 <= steps; first += 4)
        for (int j = 0; j < Width; j += 4) transpose_4x4(x + j * x_lane + first, x_lane, packed + first * Width + j, Width);
  for (std::int64_t j = 0; j < count; ++j)
    for (std::int64_t k = first; k < steps; ++k) packed[k * Width + j] = static_cast<A>(x[k * x_step + j * x_lane]);
}

/// One panel of B: packed[k][tile columns] = B(k, j), zero past the last column.
template <class T>
struct PackColumns {
  const T* b;
  std::int64_t row, column;  // strides
  std::int64_t K, columns;
  accumulator_t<T>* packed;

  template <InstructionSet Set>
  [[gnu::always_inline]] inline void run() const {
    constexpr int width = 2 * GemmTile<Set>::bytes / static_cast<int>(sizeof(accumulator_t<T>));
    for (std::int64_t k = 0; k < K; k += pack_steps)
      pack_lanes<width>(b + k * row, row, column, columns, std::min(pack_steps, K - k), packed + k * width);
  }
};

/// A block of A, tile under tile, zero past the last row. Where k is contiguous in A a row stays a row, packed_row apart;
/// otherwise the rows of a tile lie side by side: packed[tile][k][tile rows].
template <class T>
struct PackRows {
  const T* a;
  std::int64_t row, column;  // strides
  std::int64_t rows, K, packed_row;
  accumulator_t<T>* packed;

  template <InstructionSet Set>
  [[gnu::always_inline]] inline void run() const {
    using A = accumulator_t<T>;
    using Tile = GemmTile<Set>;
    const RowTiling tiling(rows, Tile::rows, Tile::low_rows);
    if (column == 1) {
      for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t k = 0; k < K; ++k) packed[i * packed_row + k] = static_cast<A>(a[i * row + k]);
      std::fill(packed + rows * packed_row, packed + tiling.covered * packed_row, A(0));
      return;
    }
    for (std::int64_t k = 0; k < K; k += pack_steps) {
      const std::int64_t steps = std::min(pack_steps, K - k);
      for (std::int64_t i = 0; i < tiling.full; i += Tile::rows) pack_tile<Tile::rows>(i, k, steps);
      for (std::int64_t i = tiling.full; i < rows; i += Tile::low_rows) pack_tile<Tile::low_rows>(i, k, steps);
    }
  }

 private:
  template <int Height>
  [[gnu::always_inline]] inline void pack_tile(std::int64_t i, std::int64_t k, std::int64_t steps) const {
    pack_lanes<Height>(a + i * row + k * column, column, row, std::min<std::int64_t>(Height, rows - i), steps,
                       packed + i * K + k * Height);
  }
};

}  // namespace plinth::cpu
