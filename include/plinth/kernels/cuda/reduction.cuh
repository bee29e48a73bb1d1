// SPDX-License-Identifier: MIT
// Sums over one axis, in an order fixed by the shape.
#pragma once

#include <cstddef>
#include <cstdint>

#include <plinth/kernels/cuda/launch.cuh>
#include <plinth/kernels/cuda/team.cuh>
#include <plinth/tensor/element.hpp>

namespace plinth::cuda {

/// y[r] = sum of row r
template <class Team, class T>
__global__ void __launch_bounds__(Team::block) sum_rows(std::int64_t rows, std::int64_t columns, const T* x, T* y) {
  using A = accumulator_t<T>;
  const std::int64_t r = Team::row();
  if (r >= rows) return;
  const T* row = x + r * columns;
  const A sum = reduce_row<Team>(columns, A(0), Sum(), [=](std::int64_t i) { return static_cast<A>(row[i]); });
  if (Team::member() == 0) y[r] = static_cast<T>(sum);
}

inline constexpr int strip_columns = 32, strip_parts = 8;  // of a block of sum_columns

/// y[o, i] = sum over k of x[o, k, i]. Thread `part` of a column adds k = part, part + strip_parts, ...
template <class T>
__global__ void __launch_bounds__(strip_columns* strip_parts)
    sum_columns(std::int64_t n, std::int64_t inner, const T* x, T* y) {
  using A = accumulator_t<T>;
  A* sums = shared_memory<A>();
  const int column = static_cast<int>(threadIdx.x) % strip_columns, part = static_cast<int>(threadIdx.x) / strip_columns;
  const std::int64_t strips = blocks_for(inner, strip_columns), o = blockIdx.x / strips;
  const std::int64_t i = blockIdx.x % strips * strip_columns + column;
  A sum = 0;
  if (i < inner)
    for (std::int64_t k = part; k < n; k += strip_parts) sum += static_cast<A>(x[(o * n + k) * inner + i]);
  sums[threadIdx.x] = sum;
  block_barrier();
  if (part > 0 || i >= inner) return;
  for (int p = 1; p < strip_parts; ++p) sum += sums[p * strip_columns + column];
  y[o * inner + i] = static_cast<T>(sum);
}

struct CudaReduction {
  template <class T>
  static void reduce_sum(queue<Cuda>& queue, std::int64_t outer, std::int64_t n, std::int64_t inner, const T* x, T* y) {
    if (inner == 1 && n <= short_row)
      sum_all_rows<WarpTeam>(queue, outer, n, x, y);
    else if (inner == 1)
      sum_all_rows<BlockTeam>(queue, outer, n, x, y);
    else
      launch(queue, outer * blocks_for(inner, strip_columns), strip_columns * strip_parts,
             strip_columns * strip_parts * sizeof(accumulator_t<T>), sum_columns<T>, n, inner, x, y);
  }

 private:
  template <class Team, class T>
  static void sum_all_rows(queue<Cuda>& queue, std::int64_t rows, std::int64_t columns, const T* x, T* y) {
    launch(queue, blocks_for(rows, Team::rows_per_block), Team::block, Team::shared_values * sizeof(accumulator_t<T>),
           sum_rows<Team, T>, rows, columns, x, y);
  }
};

}  // namespace plinth::cuda
