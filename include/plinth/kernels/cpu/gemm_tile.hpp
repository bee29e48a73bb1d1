// SPDX-License-Identifier: MIT
// The innermost part of the matrix product: a tile of C held in vector registers, one template for every instruction
// set.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <utility>

#include <plinth/kernels/cpu/lanes.hpp>
#include <plinth/tensor/element.hpp>
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
  const auto of = [](auto tile) {
    return TileSize{tile.rows, tile.low_rows, 2 * tile.bytes / std::int64_t{sizeof(T)}};
  };
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
  std::int64_t inside() const { return covered == rows ? rows : covered - (covered > full ? low_height_ : height_); }

 private:
  std::int64_t height_ = 1, low_height_ = 1;
};

/// Two bfloat16 that follow each other along k, the first in the low half: what AVX512_BF16 multiplies in one lane.
using bfloat16_pair = std::uint32_t;

/// How many products a lane of P adds in a step of a tile: so many elements of k make one step.
template <class P>
inline constexpr int terms = std::same_as<P, bfloat16_pair> ? 2 : 1;

/// Whether tiles of P are compiled for a set.
template <InstructionSet Set, class P>
inline constexpr bool multiplies = Set == InstructionSet::avx512 || !std::same_as<P, bfloat16_pair>;

/// Rows of memory that are to be in the L2 cache soon.
struct Ahead {
  const char* first = nullptr;
  std::int64_t rows = 0, row = 0, bytes = 0;  // how many, from one to the next, and of each

  /// The share of [begin, end) of `all`.
  Ahead part(std::int64_t begin, std::int64_t end, std::int64_t all) const {
    const std::int64_t start = rows * begin / all;
    return {first + start * row, rows * end / all - start, row, bytes};
  }
  /// Cache lines of all of them.
  std::int64_t lines() const { return rows * divide_up(bytes, 64); }
  /// Fetches `count` lines from line `at` of the first row on, which both move on; at most all that are left.
  [[gnu::always_inline]] inline void fetch(std::int64_t count, std::int64_t& at) {
    for (; count > 0 && rows > 0; --count) {
      __builtin_prefetch(first + at, 0, 2);
      at += 64;
      if (at < bytes) continue;
      at = 0;
      first += row;
      --rows;
    }
  }
};

/// What a tile multiplies. A(i, k) is i a_row + k a_step bytes behind a: of a distance in elements g++ takes it that it
/// may be 1, and writes the loop a second time for that. Row k of B is the k-th of two vectors from b on. P is the type
/// that is summed in, or bfloat16_pair.
template <class P>
struct TileOperands {
  const P* a;
  std::int64_t a_row, a_step;
  const P* b;
  std::int64_t K;
  accumulator_t<P>* c;
  std::int64_t c_row;
  bool accumulate;
  Ahead ahead = {};                          // fetched meanwhile, by each panel
  const char* goal = nullptr;                // where C goes in the end, to be in the cache by then; null: it is there
  std::int64_t goal_row = 0, goal_last = 0;  // bytes from row to row, and to the last one of a row

  template <class C>
  void set_goal(const C* first, std::int64_t row, std::int64_t columns) {
    constexpr std::int64_t size = sizeof(C);
    goal = reinterpret_cast<const char*>(first);
    goal_row = row * size;
    goal_last = columns * size - 1;
  }
};

/// sum += left right in every lane; vectors by reference, since they do not cross a call.
template <class T, class V>
[[gnu::always_inline]] inline void multiply_add(T left, const V& right, V& sum) {
  sum += left * right;
}
#if defined(__x86_64__) && defined(__GNUC__)
/// sum += left right for the second of each pair, then for the first: two fused multiply-adds, rounded to nearest even
/// whatever the processor is set to, with subnormal operands and sums taken for zeros. Written as the instruction
/// itself: <immintrin.h>, which names it, takes a third as long to compile as all of plinth. Not always_inline:
/// compilers refuse that where the caller's own target lacks an instruction, although it ends up inside a function that
/// has it.
[[gnu::target("avx512f,avx512bf16")]] inline void multiply_add(bfloat16_pair left,
                                                               const Vector<bfloat16_pair, 64>::type& right,
                                                               Vector<float, 64>::type& sum) {
  const Vector<bfloat16_pair, 64>::type all = left - Vector<bfloat16_pair, 64>::type{};
  asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(all), "v"(right));
}
#endif

/// Steps of a tile between the fetches of what it is told to have ready.
inline constexpr std::int64_t between_fetches = 64;

/// c = sum (+ c) for one vector; by reference, since it does not cross a call.
template <class T, class V>
[[gnu::always_inline]] inline void store(const V& sum, bool accumulate, T* c) {
  V value = {};
  if (accumulate) __builtin_memcpy(&value, c, sizeof value);
  value += sum;
  __builtin_memcpy(c, &value, sizeof value);
}

/// sum += A B for so many steps of a tile of sizeof...(I) rows and `Vectors` vectors; a and b move on by them.
template <class P, int Vectors, class V, int... I>
[[gnu::always_inline]] inline void add_products(const TileOperands<P>& g, std::int64_t steps, const char** a,
                                                const P*& b, V (&sum)[Vectors][sizeof...(I)],
                                                std::integer_sequence<int, I...>) {
  constexpr std::int64_t lanes = sizeof(V) / sizeof(P);
  const std::int64_t a_row = g.a_row;
  for (std::int64_t k = 0; k < steps; ++k) {
    typename Vector<P, sizeof(V)>::type right, next;
    P left;
    __builtin_memcpy(&right, b, sizeof right);
    if constexpr (Vectors == 2) {
      __builtin_memcpy(&next, b + lanes, sizeof next);
      ((__builtin_memcpy(&left, a[I / 3 * 3] + I % 3 * a_row, sizeof left), multiply_add(left, right, sum[0][I]),
        multiply_add(left, next, sum[1][I])),
       ...);
    } else {
      ((__builtin_memcpy(&left, a[I / 3 * 3] + I % 3 * a_row, sizeof left), multiply_add(left, right, sum[0][I])), ...);
    }
    ((a[I] += I % 3 ? 0 : g.a_step), ...);
    b += 2 * lanes;
  }
}

/// C = A B (+ C) for a tile of sizeof...(I) rows and `Vectors` vectors. Every element of C is one chain of fused
/// multiply-adds over the steps in order, the second of a pair before the first, whatever the tile: its bits do not
/// depend on where the tiles begin.
template <class P, int Bytes, int Vectors, int... I>
[[gnu::always_inline]] inline void multiply_tile(const TileOperands<P>& g, std::integer_sequence<int, I...> rows) {
  constexpr int lanes = Bytes / static_cast<int>(sizeof(P));
  typename Vector<accumulator_t<P>, Bytes>::type sum[Vectors][sizeof...(I)] = {};
  // Every third is used: x86 addresses reach two more rows from each.
  const char* a[] = {reinterpret_cast<const char*>(g.a) + I / 3 * 3 * g.a_row...};
  const P* b = g.b;
  // C arrives just before it is needed: earlier, A and B evict it.
  const std::int64_t last = g.goal ? std::min<std::int64_t>(g.K, 48) : 0;
  Ahead ahead = g.ahead;
  std::int64_t byte = 0;
  const std::int64_t fetched = ahead.rows > 0 ? divide_up(ahead.lines() * between_fetches, g.K - last + 1) : 0;
  const std::int64_t together = fetched > 0 ? between_fetches : g.K;
  for (std::int64_t left = g.K - last; left > 0; left -= together) {
    add_products<P, Vectors>(g, std::min(left, together), a, b, sum, rows);
    if (fetched > 0) ahead.fetch(fetched, byte);
  }
  if (g.goal) {
    (__builtin_prefetch(g.goal + I * g.goal_row, 1), ...);
    (__builtin_prefetch(g.goal + I * g.goal_row + g.goal_last, 1), ...);
    add_products<P, Vectors>(g, last, a, b, sum, rows);
  }
  (store(sum[0][I], g.accumulate, g.c + I * g.c_row), ...);
  if constexpr (Vectors == 2) (store(sum[1][I], g.accumulate, g.c + I * g.c_row + lanes), ...);
}

/// C = A B (+ C) for some tiles one below the other by some panels of B.
template <class P>
struct PanelProduct {
  using A = accumulator_t<P>;
  TileOperands<P> operands;  // of the first tile; a_step 0 stands for the tile's height
  std::int64_t a_lead;       // times i: from A's first row to row i where a tile starts there
  std::int64_t full, rows;   // rows before `full` are in full tiles; A must be readable up to whole tiles
  std::int64_t columns;      // B must be readable up to whole vectors
  std::int64_t panel;        // elements from one panel of two vectors to the next, whose goal is C; 0: there is one

  template <InstructionSet Set>
  [[gnu::always_inline]] inline void run() const {
    if constexpr (multiplies<Set, P>) multiply<Set>();
  }

 private:
  template <InstructionSet Set>
  [[gnu::always_inline]] inline void multiply() const {
    using Tile = GemmTile<Set>;
    constexpr int lanes = Tile::bytes / static_cast<int>(sizeof(P));
    TileOperands<P> g = operands;
    A edge[Tile::rows * 2 * lanes];  // where a tile that overlaps the border of C goes first
    for (std::int64_t i = 0, height; i < rows; i += height) {
      height = i < full ? Tile::rows : Tile::low_rows;
      g.a = operands.a + i * a_lead;
      g.a_step = operands.a_step ? operands.a_step : height * std::int64_t{sizeof(P)};
      if (operands.ahead.rows > 0) g.ahead = operands.ahead.part(i, std::min(i + height, rows), rows);
      g.b = operands.b;
      for (std::int64_t j = 0; j < columns; j += 2 * lanes, g.b += panel) {
        const std::int64_t width = std::min<std::int64_t>(columns - j, 2 * lanes);
        const bool inside = rows - i >= height && width % lanes == 0;
        A* c = operands.c + i * operands.c_row + j;
        if (operands.goal) g.goal = operands.goal + i * g.goal_row + j * std::int64_t{sizeof(A)};
        g.c = inside ? c : edge;
        g.c_row = inside ? operands.c_row : 2 * lanes;
        g.accumulate = inside && operands.accumulate;
        multiply_one<Set>(g, height == Tile::rows, width > lanes);
        if (!inside) copy_edge(edge, 2 * lanes, std::min(rows - i, height), width, c);
      }
    }
  }

  template <InstructionSet Set>
  [[gnu::always_inline]] static inline void multiply_one(const TileOperands<P>& g, bool full, bool wide) {
    using Tile = GemmTile<Set>;
    constexpr int bytes = Tile::bytes;
    constexpr std::make_integer_sequence<int, Tile::rows> all{};
    constexpr std::make_integer_sequence<int, Tile::low_rows> low{};
    if (full)
      wide ? multiply_tile<P, bytes, 2>(g, all) : multiply_tile<P, bytes, 1>(g, all);
    else
      wide ? multiply_tile<P, bytes, 2>(g, low) : multiply_tile<P, bytes, 1>(g, low);
  }

  void copy_edge(const A* edge, std::int64_t edge_row, std::int64_t height, std::int64_t width, A* c) const {
    for (std::int64_t i = 0; i < height; ++i)
      for (std::int64_t j = 0; j < width; ++j) {
        A& to = c[i * operands.c_row + j];
        to = (operands.accumulate ? to : A(0)) + edge[i * edge_row + j];
      }
  }
};

}  // namespace plinth::cpu
