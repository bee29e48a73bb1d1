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

/// result[i][j] (+)= the sum over k of a[i][k] b[j][k], in the order of lane_sum.
template <class T>
struct SumsOfProducts {
  using A = accumulator_t<T>;
  static constexpr int together = 4;  // columns, the last ones repeated: memory yields more to several streams
  const T *a, *b;
  std::int64_t a_row, b_column, rows, columns, steps;
  A* result;
  std::int64_t result_row;
  bool accumulate;

  template <InstructionSet Set>
  [[gnu::always_inline]] inline void run() const {
    for (std::int64_t j = 0; j < columns; j += together) {
      const std::int64_t count = std::min<std::int64_t>(together, columns - j);
      const T* y[together];
      for (int c = 0; c < together; ++c) y[c] = b + (j + std::min<std::int64_t>(c, count - 1)) * b_column;
      for (std::int64_t i = 0; i < rows; ++i) {
        A sum[together] = {}, *to = result + i * result_row + j;
        for (std::int64_t k = 0; k < steps; k += terms_together)
          add<Set>(a + i * a_row, y, k, std::min(k + terms_together, steps), sum);
        for (int c = 0; c < count; ++c) to[c] = accumulate ? to[c] + sum[c] : sum[c];
      }
    }
  }

 private:
  /// sum[c] += the sum over k in [begin, end) of x[k] y[c][k]
  template <InstructionSet Set>
  [[gnu::always_inline]] static inline void add(const T* x, const T* const* y, std::int64_t begin, std::int64_t end,
                                                A* sum) {
    constexpr int lanes = GemmTile<Set>::bytes / static_cast<int>(sizeof(A)), parts = lane_count / lanes;
    using V = LaneVector<A, lanes>;
    V total[together][parts] = {};
    const T *left = x + begin, *right[together];
    for (int c = 0; c < together; ++c) right[c] = y[c] + begin;
    LaneCopy<T> copies[1 + together];
    // Whole rounds of lanes, then the last, incomplete one by the same code on copies.
    for (std::int64_t k = begin, rounds; k < end; k += rounds * lane_count) {
      rounds = std::max<std::int64_t>((end - k) / lane_count, 1);
      if (end - k < lane_count) {
        left = copies[together].filled(left, end - k);
        for (int c = 0; c < together; ++c) right[c] = copies[c].filled(right[c], end - k);
      }
      for (std::int64_t i = 0; i < rounds * lane_count; i += lane_count)
        for (int part = 0; part < parts; ++part) {
          V one, other;
          load_lanes<lanes, A>(left + i + part * lanes, one);
          for (int c = 0; c < together; ++c) {
            load_lanes<lanes, A>(right[c] + i + part * lanes, other);
            total[c][part] += one * other;
          }
        }
      left += rounds * lane_count;
      for (int c = 0; c < together; ++c) right[c] += rounds * lane_count;
    }
    for (int c = 0; c < together; ++c) {
      A lane[lane_count];
      __builtin_memcpy(lane, total[c], sizeof lane);
      sum[c] += combine_lanes(lane, add_lanes);
    }
  }
};

/// Runs a GemmProblem that it takes.
template <class T>
class FewRowsGemm {
  using A = accumulator_t<T>;
  static constexpr bool in_place = std::same_as<T, A>;
  static constexpr std::int64_t most_rows = 2;                   // packing B pays from 4 on
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
