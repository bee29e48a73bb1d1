// SPDX-License-Identifier: MIT
// The innermost part of the matrix product: a tile of C held in vector registers, one template for every instruction
// set.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include <plinth/tensor/instruction_set.hpp>

namespace plinth::cpu {

/// The tile of an instruction set: `rows` rows of C by two vectors of `bytes` bytes, as many as its registers hold;
/// `low_rows` is the lower tile for the last rows.
template <InstructionSet Set>
struct GemmTile {
  static constexpr int bytes = 16, rows = 4, low_rows = 2;
};
template <>
struct GemmTile<InstructionSet::avx2> {
  static constexpr int bytes = 32, rows = 6, low_rows = 4;
};
template <>
struct GemmTile<InstructionSet::avx512> {
  static constexpr int bytes = 64, rows = 14, low_rows = 8;
};

/// Rows and columns of the tile over T for a set chosen at run time.
struct TileSize {
  std::int64_t rows, low_rows, columns;
};
template <class T>
TileSize tile_size(InstructionSet set) {
  const auto of = [](auto tile) { return TileSize{tile.rows, tile.low_rows, 2 * tile.bytes / std::int64_t{sizeof(T)}}; };
  if (set == InstructionSet::avx512) return of(GemmTile<InstructionSet::avx512>{});
  if (set == InstructionSet::avx2) return of(GemmTile<InstructionSet::avx2>{});
  return of(GemmTile<InstructionSet::baseline>{});
}

inline std::int64_t divide_up(std::int64_t n, std::int64_t by) { return (n + by - 1) / by; }
inline std::int64_t round_up(std::int64_t n, std::int64_t to) { return divide_up(n, to) * to; }

/// Tiles one below the other that cover `rows` rows with the fewest to spare: first full ones, then low ones.
struct RowTiling {
  std::int64_t rows = 0, full = 0, covered = 0;  // rows; of them in full tiles; in all tiles

  RowTiling() = default;
  RowTiling(std::int64_t rows_, const TileSize& tile) : rows(rows_), height_(tile.rows), low_height_(tile.low_rows) {
    covered = full = round_up(rows, height_);
    for (std::int64_t low = low_height_; low <= 3 * low_height_; low += low_height_) {
      const std::int64_t high = round_up(std::max<std::int64_t>(rows - low, 0), height_);
      if (high + low < covered) full = high, covered = high + low;
    }
  }
  /// The height of the tile that starts at row i.
  std::int64_t height(std::int64_t i) const { return i < full ? height_ : low_height_; }
  /// The first row of the first tile that starts at row i or below.
  std::int64_t start(std::int64_t i) const {
    const std::int64_t row = i <= full ? round_up(i, height_) : full + round_up(i - full, low_height_);
    return std::min(row, rows);
  }
  /// The rows in tiles that lie inside.
  std::int64_t inside() const {
    return covered == rows ? rows : covered - (covered > full ? low_height_ : height_);
  }

 private:
  std::int64_t height_ = 1, low_height_ = 1;
};

/// GCC's vector type of `Bytes` bytes. Its values never cross a function call: their ABI depends on the set.
template <class T, int Bytes>
struct Vector {
  typedef T type __attribute__((vector_size(Bytes)));
};

/// What a tile multiplies. A(i, k) = a[i * a_row + k * a_step]; row k of B is at b + k * b_step.
template <class T>
struct TileOperands {
  const T* a;
  std::int64_t a_row, a_step;
  const T* b;
  std::int64_t b_step, K;
  T* c;
  std::int64_t c_row;
  bool accumulate;
};

/// c = sum (+ c) for one vector; by reference, since it does not cross a call.
template <class T, class V>
[[gnu::always_inline]] inline void store(const V& sum, bool accumulate, T* c) {
  V value = {};
  if (accumulate) __builtin_memcpy(&value, c, sizeof value);
  value += sum;
  __builtin_memcpy(c, &value, sizeof value);
}

/// C = A B (+ C) for a tile of sizeof...(I) rows and `Vectors` vectors. Every element of C is one chain of fused
/// multiply-adds over k = 0, 1, ..., whatever the tile: its bits do not depend on where the tiles begin.
template <class T, int Bytes, int Vectors, int... I>
[[gnu::always_inline]] inline void multiply_tile(const TileOperands<T>& g, std::integer_sequence<int, I...>) {
  using V = typename Vector<T, Bytes>::type;
  constexpr int lanes = Bytes / static_cast<int>(sizeof(T)), rows = sizeof...(I);
  constexpr std::int64_t prefetch_steps = 48;  // C arrives just before it is needed: earlier, A and B evict it
  V sum[Vectors][rows] = {};
  const std::int64_t a_row = g.a_row;
  const T* a[] = {g.a + I / 3 * 3 * a_row...};  // every third is used: x86 addresses reach two more rows from each
  const T* b = g.b;
  std::int64_t k = 0, stop = std::max<std::int64_t>(g.K - prefetch_steps, 0);
  for (;;) {
    for (; k < stop; ++k) {
      V right, next;
      __builtin_memcpy(&right, b, sizeof right);
      if constexpr (Vectors == 2) {
        __builtin_memcpy(&next, b + lanes, sizeof next);
        T left;
        ((left = a[I / 3 * 3][I % 3 * a_row], sum[0][I] += left * right, sum[1][I] += left * next), ...);
      } else {
        ((sum[0][I] += a[I / 3 * 3][I % 3 * a_row] * right), ...);
      }
      ((a[I] += I % 3 ? 0 : g.a_step), ...);
      b += g.b_step;
    }
    if (stop == g.K) break;
    stop = g.K;
    (__builtin_prefetch(g.c + I * g.c_row, 1), ...);
    (__builtin_prefetch(g.c + I * g.c_row + Vectors * lanes - 1, 1), ...);
  }
  (store(sum[0][I], g.accumulate, g.c + I * g.c_row), ...);
  if constexpr (Vectors == 2) (store(sum[1][I], g.accumulate, g.c + I * g.c_row + lanes), ...);
}

/// C = A B (+ C) for some tiles one below the other by one panel of B, at most two vectors wide.
template <class T>
struct PanelProduct {
  TileOperands<T> operands;  // of the first tile; a_step 0 stands for the tile's height
  std::int64_t a_lead;       // times i: from A's first row to row i where a tile starts there
  std::int64_t full, rows;   // rows before `full` are in full tiles; A must be readable up to whole tiles
  std::int64_t columns;      // B must be readable up to whole vectors

  template <InstructionSet Set>
  [[gnu::always_inline]] inline void run() const {
    using Tile = GemmTile<Set>;
    constexpr int lanes = Tile::bytes / static_cast<int>(sizeof(T));
    const int width = columns > lanes ? 2 * lanes : lanes;
    TileOperands<T> g = operands;
    T edge[Tile::rows * 2 * lanes];  // where a tile that overlaps the border of C goes first
    for (std::int64_t i = 0, height; i < rows; i += height) {
      height = i < full ? Tile::rows : Tile::low_rows;
      const bool inside = rows - i >= height && columns == width;
      T* c = operands.c + i * operands.c_row;
      g.a = operands.a + i * a_lead;
      g.a_step = operands.a_step ? operands.a_step : height;
      g.c = inside ? c : edge;
      g.c_row = inside ? operands.c_row : 2 * lanes;
      g.accumulate = inside && operands.accumulate;
      multiply<Set>(g, i < full, width > lanes);
      if (!inside) copy_edge(edge, 2 * lanes, std::min(rows - i, height), c);
    }
  }

 private:
  template <InstructionSet Set>
  [[gnu::always_inline]] static inline void multiply(const TileOperands<T>& g, bool full, bool wide) {
    using Tile = GemmTile<Set>;
    constexpr int bytes = Tile::bytes;
    constexpr std::make_integer_sequence<int, Tile::rows> all{};
    constexpr std::make_integer_sequence<int, Tile::low_rows> low{};
    if (full)
      wide ? multiply_tile<T, bytes, 2>(g, all) : multiply_tile<T, bytes, 1>(g, all);
    else
      wide ? multiply_tile<T, bytes, 2>(g, low) : multiply_tile<T, bytes, 1>(g, low);
  }

  void copy_edge(const T* edge, std::int64_t edge_row, std::int64_t height, T* c) const {
    for (std::int64_t i = 0; i < height; ++i)
      for (std::int64_t j = 0; j < columns; ++j) {
        T& to = c[i * operands.c_row + j];
        to = (operands.accumulate ? to : T(0)) + edge[i * edge_row + j];
      }
  }
};

}  // namespace plinth::cpu
