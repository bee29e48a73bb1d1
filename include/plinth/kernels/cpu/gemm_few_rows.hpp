// SPDX-License-Identifier: MIT
// The matrix product of few rows with a matrix whose columns lie densely, as the weights of a linear layer do when a
// model writes one token: each element is a sum of products, and B is read once where it stands.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>

#include <plinth/kernels/cpu/gemm_blocks.hpp>
#include <plinth/kernels/cpu/gemm_pack.hpp>
#include <plinth/kernels/cpu/lanes.hpp>

namespace plinth::cpu {

/// Vectors that a load of as many bytes as one of A has yields: the elements of T one by one, or those of bfloat16 at
/// even and at odd places, which are taken apart in one instruction each.
template <class T>
inline constexpr int vectors_of = std::same_as<T, bfloat16> ? 2 : 1;

/// The elements from x on as vectors of A.
template <int Lanes, class A, class T>
[[gnu::always_inline]] inline void load_vectors(const T* x, LaneVector<A, Lanes> (&to)[vectors_of<T>]) {
  if constexpr (vectors_of<T> == 1) {
    load_lanes<Lanes, A>(x, to[0]);
  } else {
    LaneVector<std::uint32_t, Lanes> pairs, odd;
    __builtin_memcpy(&pairs, x, sizeof pairs);
    odd = pairs & 0xffff0000u;
    pairs <<= 16;
    __builtin_memcpy(&to[0], &pairs, sizeof pairs);
    __builtin_memcpy(&to[1], &odd, sizeof odd);
  }
}

/// result[i][j] (+)= the sum over k of a[i][k] b[j][k], in an order that depends on T and the number of k alone.
template <class T>
struct SumsOfProducts {
  using A = accumulator_t<T>;
  static constexpr int together = 4;  // columns, far apart: memory yields more to several streams
  static constexpr int round = vectors_of<T> * lane_count;
  static constexpr std::int64_t ahead = 2048 / sizeof(T);  // elements from those that are read to those that are fetched
  const T *a, *b;
  std::int64_t a_row, b_column, rows, columns, steps;
  A* result;
  std::int64_t result_row;
  bool accumulate;

  template <InstructionSet Set>
  [[gnu::always_inline]] inline void run() const {
    constexpr int rows_at_once = Set == InstructionSet::avx512 && sizeof(A) == 4 ? 4 : 1;  // as the registers allow
    if constexpr (rows_at_once > 1)
      if (rows > 1) return all<Set, rows_at_once>();
    all<Set, 1>();
  }

 private:
  template <InstructionSet Set, int Rows>
  [[gnu::always_inline]] inline void all() const {
    const std::int64_t stream = divide_up(columns, together);  // columns of one
    for (std::int64_t j = 0; j < stream; ++j) {
      const T *x[Rows], *y[together];
      for (int c = 0; c < together; ++c) y[c] = b + std::min(c * stream + j, columns - 1) * b_column;
      for (std::int64_t first = 0; first < rows; first += Rows) {
        A sum[Rows][together] = {};
        for (int i = 0; i < Rows; ++i) x[i] = a + std::min(first + i, rows - 1) * a_row;
        for (std::int64_t k = 0; k < steps; k += terms_together)
          add<Set>(x, y, k, std::min(k + terms_together, steps), sum);
        for (int c = 0; c < together; ++c)
          for (std::int64_t i = first; i < std::min(first + Rows, rows) && c * stream + j < columns; ++i) {
            A& to = result[i * result_row + c * stream + j];
            to = accumulate ? to + sum[i - first][c] : sum[i - first][c];
          }
      }
    }
  }

  /// sum[i][c] += the sum over k in [begin, end) of x[i][k] y[c][k]
  template <InstructionSet Set, int Rows>
  [[gnu::always_inline]] static inline void add(const T* const (&x)[Rows], const T* const* y, std::int64_t begin,
                                                std::int64_t end, A (&sum)[Rows][together]) {
    constexpr int lanes = GemmTile<Set>::bytes / static_cast<int>(sizeof(A)), parts = lane_count / lanes;
    constexpr int vectors = vectors_of<T>;
    using V = LaneVector<A, lanes>;
    V total[Rows][together][parts] = {};
    const T *left[Rows], *right[together];
    for (int i = 0; i < Rows; ++i) left[i] = x[i] + begin;
    for (int c = 0; c < together; ++c) right[c] = y[c] + begin;
    LaneCopy<T, round> copies[Rows + together];
    // Whole rounds of lanes, then the last, incomplete one by the same code on copies.
    for (std::int64_t k = begin, rounds; k < end; k += rounds * round) {
      rounds = std::max<std::int64_t>((end - k) / round, 1);
      if (end - k < round) {
        for (int i = 0; i < Rows; ++i) left[i] = copies[i].filled(left[i], end - k);
        for (int c = 0; c < together; ++c) right[c] = copies[Rows + c].filled(right[c], end - k);
      }
      for (std::int64_t place = 0; place < rounds * round; place += round)
        for (int part = 0; part < parts; ++part) {
          const std::int64_t at = place + part * lanes * vectors;
          V one[Rows][vectors], other[vectors];
          for (int i = 0; i < Rows; ++i) load_vectors<lanes, A>(left[i] + at, one[i]);
          for (int c = 0; c < together; ++c) {
            __builtin_prefetch(right[c] + at + ahead);
            load_vectors<lanes, A>(right[c] + at, other);
            for (int i = 0; i < Rows; ++i)
              for (int v = 0; v < vectors; ++v) total[i][c][part] += one[i][v] * other[v];
          }
        }
      for (int i = 0; i < Rows; ++i) left[i] += rounds * round;
      for (int c = 0; c < together; ++c) right[c] += rounds * round;
    }
    for (int i = 0; i < Rows; ++i)
      for (int c = 0; c < together; ++c) {
        A lane[lane_count];
        __builtin_memcpy(lane, total[i][c], sizeof lane);
        sum[i][c] += combine_lanes(lane, add_lanes);
      }
  }
};

/// Runs a GemmProblem that it takes.
template <class T>
class FewRowsGemm {
  using A = accumulator_t<T>;
  static constexpr bool in_place = std::same_as<T, A>;
  static constexpr std::int64_t most_rows = std::same_as<T, half> ? 2 : 4;  // then packing B pays; reading half takes long
  static constexpr std::int64_t most_columns = 32;               // of a tile of any instruction set
  static constexpr std::int64_t least_shared_work = 512 * 1024;  // multiply-adds, some tens of microseconds

 public:
  static bool takes(const GemmShape& s) { return s.batch == 1 && s.M <= most_rows && s.a.column == 1 && s.b.row == 1; }

  static void run(queue<Cpu>& queue, InstructionSet set, const GemmProblem<T>& problem) {
    const GemmShape& s = problem.shape;
    const std::int64_t width = tile_size<A>(set).columns, panels = divide_up(s.N, width);
    const auto body = [&](int, std::int64_t begin, std::int64_t end) {
      for (std::int64_t j = begin * width; j < std::min(end * width, s.N); j += width)
        multiply(set, problem, j, std::min(width, s.N - j));
    };
    if (s.M * s.N * s.K >= least_shared_work)
      queue.each_thread(panels, body);
    else
      body(0, 0, panels);
  }

 private:
  static void multiply(InstructionSet set, const GemmProblem<T>& problem, std::int64_t j, std::int64_t columns) {
    const GemmShape& s = problem.shape;
    A sums[most_rows * most_columns], *result = sums;
    std::int64_t row = most_columns;
    if constexpr (in_place) {
      result = problem.c + j;
      row = s.c.row;
    }
    run_job(set, SumsOfProducts<T>{problem.a, problem.b + j * s.b.column, s.a.row, s.b.column, s.M, columns, s.K,
                                   result, row, in_place && problem.accumulate});
    if (!problem.finish || s.M == 0) return;
    problem.finish(set, problem.formula,
                   {result, row, s.c.row, s.M, columns, problem.c + j, problem.bias ? problem.bias + j : nullptr,
                    problem.pre_activation ? problem.pre_activation + j : nullptr, !in_place && problem.accumulate});
  }
};

}  // namespace plinth::cpu
