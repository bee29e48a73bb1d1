// SPDX-License-Identifier: MIT
// Copying A and B of a matrix product into the order in which its tiles read them, as the type P that tiles multiply.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <plinth/kernels/cpu/gemm_tile.hpp>
#include <plinth/tensor/element.hpp>

namespace plinth::cpu {

/// Steps copied at a time where they do not lie side by side: one cache line, so that a matrix with a large power of
/// two between its rows is not fetched again for every element of a line.
inline constexpr std::int64_t strip_steps = 16;

/// Steps copied at a time where lanes lie side by side, while as many are fetched: few, so that all strips of a row of
/// memory are read soon after each other and the processor goes ahead along it.
inline constexpr std::int64_t steps_together = 4;

/// A vector of Lanes lanes of type T.
template <class T, int Lanes>
using LaneVector = typename Vector<T, Lanes* static_cast<int>(sizeof(T))>::type;

/// The bits of Lanes elements from x on, each in 32 of them.
template <int Lanes>
[[gnu::always_inline]] inline void load_bits(const bfloat16* x, LaneVector<std::uint32_t, Lanes>& to) {
  LaneVector<std::uint16_t, Lanes> bits;
  __builtin_memcpy(&bits, x, sizeof bits);
  to = __builtin_convertvector(bits, LaneVector<std::uint32_t, Lanes>);
}

/// The elements from x on that fill Lanes lanes of P.
template <int Lanes, class P, class T>
[[gnu::always_inline]] inline void load_lanes(const T* x, LaneVector<P, Lanes>& to) {
  if constexpr (std::same_as<T, P> || terms<P> != 1) {
    __builtin_memcpy(&to, x, sizeof to);
  } else if constexpr (std::same_as<T, bfloat16>) {
    LaneVector<std::uint32_t, Lanes> bits;
    load_bits<Lanes>(x, bits);
    bits <<= 16;
    __builtin_memcpy(&to, &bits, sizeof to);
  } else {
    P values[Lanes];
    for (int l = 0; l < Lanes; ++l) values[l] = static_cast<P>(x[l]);
    __builtin_memcpy(&to, values, sizeof to);
  }
}

/// One step of P: the elements x[0], x[x_step], ..., `left` of which exist; the others count as zero.
template <class P, class T>
P one_step(const T* x, std::int64_t x_step, std::int64_t left) {
  if constexpr (terms<P> == 1)
    return static_cast<P>(*x);
  else
    return P{x->bits} | (left > 1 ? P{x[x_step].bits} << 16 : P{0});
}

/// to[l] = the l-th of Lane..., where the lanes of b are numbered after those of a. nvcc expands no packs in clang's.
template <class P, int... Lane, class V>
[[gnu::always_inline]] inline void pick_lanes(const V& a, const V& b, V& to) {
#ifdef __clang__
  to = __builtin_shufflevector(a, b, Lane...);
#else
  using Index = std::conditional_t<sizeof(P) == 8, std::int64_t, std::int32_t>;
  to = __builtin_shuffle(a, b, typename Vector<Index, sizeof(V)>::type{Lane...});
#endif
}

/// Swaps the upper right of each 2 Width by 2 Width block with its lower left; `a` holds a row of the upper half of it,
/// b that of the lower. For Width = 1, 2, 4, ... in turn this transposes a square.
template <int Width, class P, class V, int... Lane>
[[gnu::always_inline]] inline void swap_corners(V& a, V& b, std::integer_sequence<int, Lane...>) {
  constexpr int lanes = sizeof...(Lane);
  V upper;
  pick_lanes<P, (Lane & Width ? lanes + Lane - Width : Lane)...>(a, b, upper);
  pick_lanes<P, (Lane & Width ? lanes + Lane : Lane + Width)...>(a, b, b);
  a = upper;
}

/// packed[s * width + j] = step s of lane j, zero for j from count to width, where step s of P stands for the elements
/// k = s terms, ... (zero from K on) and element k of lane j is x[k * x_step + j * x_lane].
template <class P, class T>
struct PackLanes {
  const T* x;
  std::int64_t x_step, x_lane, count, K, width;
  P* packed;

  template <InstructionSet Set>
  [[gnu::always_inline]] inline void run() const {
    constexpr int lanes = GemmTile<Set>::bytes / static_cast<int>(sizeof(P));
    const std::int64_t whole = K / terms<P>;  // steps of which every element exists
    if (count < width) std::fill(packed, packed + divide_up(K, terms<P>) * width, P(0));
    if (x_lane == 1)
      copy<lanes>(whole);
    else if (x_step == 1 && whole >= lanes)
      transpose<lanes>(whole);
    else
      one_by_one(0, whole, 0);
    if (whole < divide_up(K, terms<P>)) one_by_one(whole, whole + 1, 0);
  }

 private:
  /// Steps before `whole`, whose lanes lie side by side, so many at a time; the last ones perhaps twice.
  template <int Lanes>
  [[gnu::always_inline]] inline void copy(std::int64_t whole) const {
    if constexpr (Lanes > 1) {
      if (count < Lanes) return copy<Lanes / 2>(whole);
      for (std::int64_t s = 0; s < whole; ++s)
        for (std::int64_t j = 0; j < count; j += Lanes) copy_lanes<Lanes>(s, std::min(j, count - Lanes));
    } else {
      one_by_one(0, whole, 0);
    }
  }

  template <int Lanes>
  [[gnu::always_inline]] inline void copy_lanes(std::int64_t s, std::int64_t j) const {
    const T* from = x + s * terms<P> * x_step + j;
    for (int term = 0; term < terms<P>; ++term) __builtin_prefetch(from + (steps_together * terms<P> + term) * x_step);
    LaneVector<P, Lanes> to;
    if constexpr (terms<P> == 1) {
      load_lanes<Lanes, P>(from, to);
    } else {
      LaneVector<P, Lanes> second;
      load_bits<Lanes>(from, to);
      load_bits<Lanes>(from + x_step, second);
      to |= second << 16;
    }
    __builtin_memcpy(packed + s * width + j, &to, sizeof to);
  }

  /// Steps before `whole`, which lie side by side, in squares; the last ones perhaps twice.
  template <int Lanes>
  [[gnu::always_inline]] inline void transpose(std::int64_t whole) const {
    const std::int64_t squares = count / Lanes * Lanes;
    // The second and those after it begin with a whole vector of memory, so that no cache line is read twice: the rows
    // of a matrix with a large power of two between them push each other out of the cache. Short rows stay.
    const auto to_vector = static_cast<std::int64_t>(-reinterpret_cast<std::uintptr_t>(x) / sizeof(P) % Lanes);
    const std::int64_t first = to_vector > 0 && whole >= 8 * Lanes ? to_vector : Lanes;
    for (std::int64_t s = 0; s < whole; s += s == 0 ? first : Lanes)
      for (std::int64_t j = 0; j < squares; j += Lanes)
        transpose_square(std::min(s, whole - Lanes), j, std::make_integer_sequence<int, Lanes>{});
    one_by_one(0, whole, squares);
  }

  template <int... Row>
  [[gnu::always_inline]] inline void transpose_square(std::int64_t s, std::int64_t j,
                                                      std::integer_sequence<int, Row...>) const {
    constexpr int lanes = sizeof...(Row);
    LaneVector<P, lanes> rows[lanes];
    const T* from = x + j * x_lane + s * terms<P>;
    constexpr std::int64_t ahead = 4 * 64 / sizeof(T);  // four cache lines
    (__builtin_prefetch(from + Row * x_lane + ahead), ...);
    (load_lanes<lanes, P>(from + Row * x_lane, rows[Row]), ...);
    swap_all_corners<1>(rows, std::make_integer_sequence<int, lanes / 2>{});
    P* to = packed + s * width + j;
    (__builtin_memcpy(to + Row * width, &rows[Row], sizeof rows[Row]), ...);
  }

  template <int Width, class V, int... Pair>
  [[gnu::always_inline]] static inline void swap_all_corners(V* rows, std::integer_sequence<int, Pair...> pairs) {
    constexpr int lanes = 2 * sizeof...(Pair);
    constexpr auto upper = [](int pair) { return pair / Width * 2 * Width + pair % Width; };
    (swap_corners<Width, P>(rows[upper(Pair)], rows[upper(Pair) + Width], std::make_integer_sequence<int, lanes>{}),
     ...);
    if constexpr (2 * Width < lanes) swap_all_corners<2 * Width>(rows, pairs);
  }

  /// Steps [begin, end) of the lanes from `first` on.
  void one_by_one(std::int64_t begin, std::int64_t end, std::int64_t first) const {
    for (; begin < end; begin += strip_steps)
      for (std::int64_t j = first; j < count; ++j)
        for (std::int64_t s = begin; s < std::min(begin + strip_steps, end); ++s)
          packed[s * width + j] = one_step<P>(x + s * terms<P> * x_step + j * x_lane, x_step, K - s * terms<P>);
  }
};

/// Strips of lanes, of the heights that `tiling` gives them: packed[strip][step][height]; elements as in PackLanes.
template <class P, class T>
struct PackStrips {
  const T* x;
  std::int64_t x_step, x_lane;
  RowTiling tiling;
  std::int64_t K;
  P* packed;

  template <InstructionSet Set>
  [[gnu::always_inline]] inline void run() const {
    const std::int64_t steps = divide_up(K, terms<P>);
    // In a matrix with long rows a strip has few elements to a page.
    const std::int64_t together = x_lane == 1 ? steps_together : steps;
    for (std::int64_t s = 0; s < steps; s += together)
      for (std::int64_t i = 0, height; i < tiling.rows; i += height) {
        height = tiling.height(i);
        const std::int64_t k = s * terms<P>;
        PackLanes<P, T>{x + k * x_step + i * x_lane,
                        x_step,
                        x_lane,
                        std::min(height, tiling.rows - i),
                        std::min(together * terms<P>, K - k),
                        height,
                        packed + i * steps + s * height}
            .template run<Set>();
      }
  }
};

/// packed[i * packed_row + s] = step s of row i, where step s of P stands for the elements k = s terms, ... (zero from
/// K on) and element k of row i is x[i * x_row + k].
template <class P, class T>
struct PackRows {
  const T* x;
  std::int64_t x_row, rows, K, packed_row;
  P* packed;

  template <InstructionSet Set>
  [[gnu::always_inline]] inline void run() const {
    constexpr int lanes = GemmTile<Set>::bytes / static_cast<int>(sizeof(P));
    for (std::int64_t i = 0; i < rows; ++i) {
      const T* from = x + i * x_row;
      P* to = packed + i * packed_row;
      std::int64_t s = 0;
      for (; s < K / terms<P> / lanes * lanes; s += lanes) {
        typename Vector<P, GemmTile<Set>::bytes>::type values;
        __builtin_prefetch(from + x_row + s * terms<P>);
        load_lanes<lanes, P>(from + s * terms<P>, values);
        __builtin_memcpy(to + s, &values, sizeof values);
      }
      for (; s < divide_up(K, terms<P>); ++s) to[s] = one_step<P>(from + s * terms<P>, 1, K - s * terms<P>);
    }
  }
};

/// Columns of B in panels, zero past the last column: packed[panel][step][width].
template <class P, class T>
void pack_columns(InstructionSet set, const T* b, std::int64_t b_row, std::int64_t b_column, std::int64_t columns,
                  std::int64_t K, std::int64_t width, P* packed) {
  run_job(set, PackStrips<P, T>{b, b_row, b_column, RowTiling(columns, {width, width, width}), K, packed});
}

/// A block of A, tile under tile, zero past the last row. Where k is contiguous in A a row stays a row, packed_row
/// apart; otherwise the rows of a tile lie side by side: packed[tile][step][tile rows].
template <class P, class T>
void pack_rows(InstructionSet set, const T* a, std::int64_t a_row, std::int64_t a_column, const RowTiling& tiling,
               std::int64_t K, std::int64_t packed_row, P* packed) {
  if (a_column != 1) return run_job(set, PackStrips<P, T>{a, a_column, a_row, tiling, K, packed});
  run_job(set, PackRows<P, T>{a, a_row, tiling.rows, K, packed_row, packed});
  std::fill(packed + tiling.rows * packed_row, packed + tiling.covered * packed_row, P(0));
}

}  // namespace plinth::cpu
