// SPDX-License-Identifier: MIT
// Sums over one axis, in an order fixed by the shape.
#pragma once

#include <cstddef>
#include <cstdint>

#include <plinth/kernels/cuda/elementwise.cuh>
#include <plinth/kernels/cuda/launch.cuh>
#include <plinth/kernels/cuda/scratch.cuh>
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

inline constexpr std::int64_t rows_together = 256;  // of a block of sum_terms

/// partial[b, v, i] = the sum over the rows r of block b of the v-th value that terms(r, i, values) adds, of Terms::count.
template <class A, class Terms>
__global__ void __launch_bounds__(strip_columns* strip_parts)
    sum_terms(std::int64_t rows, std::int64_t columns, Terms terms, A* partial) {
  A* sums = shared_memory<A>();
  const int column = static_cast<int>(threadIdx.x) % strip_columns, part = static_cast<int>(threadIdx.x) / strip_columns;
  const std::int64_t strips = blocks_for(columns, strip_columns), b = blockIdx.x / strips;
  const std::int64_t i = blockIdx.x % strips * strip_columns + column;
  const std::int64_t end = rows < (b + 1) * rows_together ? rows : (b + 1) * rows_together;
  A values[Terms::count] = {};
  if (i < columns)
    for (std::int64_t r = b * rows_together + part; r < end; r += strip_parts) terms(r, i, values);
  for (int v = 0; v < Terms::count; ++v) sums[v * strip_columns * strip_parts + static_cast<int>(threadIdx.x)] = values[v];
  block_barrier();
  if (part > 0 || i >= columns) return;
  for (int v = 0; v < Terms::count; ++v) {
    A sum = values[v];
    for (int p = 1; p < strip_parts; ++p) sum += sums[(v * strip_parts + p) * strip_columns + column];
    partial[(b * Terms::count + v) * columns + i] = sum;
  }
}

/// y[v][i] = the sum over blocks of partial[b, v, i]; a null y is left out.
template <class T, int Count>
struct SumPartials {
  std::int64_t blocks, columns;
  const accumulator_t<T>* partial;
  T* y[Count];

  __device__ void operator()(std::int64_t at) const {
    const std::int64_t v = at / columns, i = at % columns;
    if (!y[v]) return;
    accumulator_t<T> sum = 0;
    for (std::int64_t b = 0; b < blocks; ++b) sum += partial[(b * Count + v) * columns + i];
    y[v][i] = static_cast<T>(sum);
  }
};

/// Queues y[v][i] = the sum over all rows of the v-th value of terms(r, i, values).
template <class T, class Terms>
void sum_columns_of(queue<Cuda>& queue, std::int64_t rows, std::int64_t columns, const Terms& terms,
                    T* const (&y)[Terms::count]) {
  using A = accumulator_t<T>;
  const std::int64_t blocks = blocks_for(rows, rows_together);
  const Scratch<A> partial(blocks * Terms::count * columns);
  launch(queue, blocks * blocks_for(columns, strip_columns), strip_columns * strip_parts,
         Terms::count * strip_columns * strip_parts * sizeof(A), sum_terms<A, Terms>, rows, columns, terms, partial.data());
  SumPartials<T, Terms::count> last{blocks, columns, partial.data(), {}};
  for (int v = 0; v < Terms::count; ++v) last.y[v] = y[v];
  for_each_index(queue, Terms::count * columns, last);
}

inline constexpr std::int64_t squares_together = 16384;  // of a block of sum_squares

template <class T>
__global__ void __launch_bounds__(BlockTeam::block)
    sum_squares(std::int64_t n, const T* x, accumulator_t<T>* partial) {
  using A = accumulator_t<T>;
  const std::int64_t begin = BlockTeam::row() * squares_together;
  const std::int64_t count = n - begin < squares_together ? n - begin : squares_together;
  const A sum = reduce_row<BlockTeam>(count, A(0), Sum(), [=](std::int64_t i) {
    const A value = static_cast<A>(x[begin + i]);
    return value * value;
  });
  if (BlockTeam::member() == 0) partial[BlockTeam::row()] = sum;
}

template <class A>
__global__ void __launch_bounds__(BlockTeam::block) add_sum(std::int64_t n, const A* x, A* sum) {
  const A all = reduce_row<BlockTeam>(n, A(0), Sum(), [=](std::int64_t i) { return x[i]; });
  if (BlockTeam::member() == 0) *sum += all;
}

struct CudaReduction {
  template <class T>
  static void squared_norm(queue<Cuda>& queue, std::int64_t n, const T* x, accumulator_t<T>* sum) {
    using A = accumulator_t<T>;
    if (n == 0) return;
    const std::int64_t blocks = blocks_for(n, squares_together);
    const Scratch<A> partial(blocks);
    launch(queue, blocks, BlockTeam::block, BlockTeam::shared_values * sizeof(A), sum_squares<T>, n, x, partial.data());
    launch(queue, 1, BlockTeam::block, BlockTeam::shared_values * sizeof(A), add_sum<A>, blocks, partial.data(), sum);
  }

  template <class T>
  static void reduce_sum(queue<Cuda>& queue, std::int64_t outer, std::int64_t n, std::int64_t inner, const T* x, T* y) {
    if (inner == 1)
      with_team(n, [&](auto team) {
        launch_rows<decltype(team), T>(queue, outer, sum_rows<decltype(team), T>, outer, n, x, y);
      });
    else
      launch(queue, outer * blocks_for(inner, strip_columns), strip_columns * strip_parts,
             strip_columns * strip_parts * sizeof(accumulator_t<T>), sum_columns<T>, n, inner, x, y);
  }
};

}  // namespace plinth::cuda
