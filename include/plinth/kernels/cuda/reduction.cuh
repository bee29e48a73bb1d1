// SPDX-License-Identifier: MIT
// Sums over one axis, in an order fixed by the shape.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cuda/elementwise.cuh>
#include <plinth/kernels/cuda/launch.cuh>
#include <plinth/kernels/cuda/list.cuh>
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

inline constexpr int strip_columns = 32, strip_parts = 8;  // of a block of sum_terms

/// Where sums over columns go, one pointer for each value; null: nowhere.
template <class Y, int Count>
struct ColumnSums {
  Y* y[Count];
};

/// The terms of sums over the columns of dense matrices, one for each value.
template <class X, int Count>
struct ColumnTerms {
  static constexpr int count = Count;
  std::int64_t columns;
  const X* x[Count];

  __device__ void operator()(std::int64_t r, std::int64_t i, accumulator_t<X> (&sums)[Count]) const {
    for (int v = 0; v < Count; ++v) sums[v] += static_cast<accumulator_t<X>>(x[v][r * columns + i]);
  }
};

/// For `outer` matrices of n rows, of which each block takes `together`: y[v][part, o, i] = the sum over the rows r of the
/// part of what terms(r, i, values) adds to value v. Thread `part` of a column adds rows part, part + strip_parts, ...
template <class A, class Y, class Terms>
__global__ void __launch_bounds__(strip_columns* strip_parts)
    sum_terms(std::int64_t outer, std::int64_t n, std::int64_t together, std::int64_t columns, Terms terms,
              ColumnSums<Y, Terms::count> to) {
  A* sums = shared_memory<A>();
  const int column = static_cast<int>(threadIdx.x) % strip_columns, part = static_cast<int>(threadIdx.x) / strip_columns;
  const std::int64_t strips = blocks_for(columns, strip_columns), rows_of_sums = blockIdx.x / strips;
  const std::int64_t i = blockIdx.x % strips * strip_columns + column;
  const std::int64_t o = rows_of_sums % outer, begin = rows_of_sums / outer * together;
  const std::int64_t end = n < begin + together ? n : begin + together;
  A values[Terms::count] = {};
  if (i < columns)
    for (std::int64_t r = begin + part; r < end; r += strip_parts) terms(o * n + r, i, values);
  for (int v = 0; v < Terms::count; ++v) sums[v * strip_columns * strip_parts + static_cast<int>(threadIdx.x)] = values[v];
  block_barrier();
  if (part > 0 || i >= columns) return;
  for (int v = 0; v < Terms::count; ++v) {
    if (!to.y[v]) continue;
    A sum = values[v];
    for (int p = 1; p < strip_parts; ++p) sum += sums[(v * strip_parts + p) * strip_columns + column];
    to.y[v][rows_of_sums * columns + i] = static_cast<Y>(sum);
  }
}

template <class A, class Y, class Terms>
void launch_sum_terms(queue<Cuda>& queue, std::int64_t outer, std::int64_t n, std::int64_t together, std::int64_t columns,
                      const Terms& terms, const ColumnSums<Y, Terms::count>& to) {
  const std::int64_t parts = n > 0 ? blocks_for(n, together) : 1;
  launch(queue, outer * parts * blocks_for(columns, strip_columns), strip_columns * strip_parts,
         Terms::count * strip_columns * strip_parts * sizeof(A), sum_terms<A, Y, Terms>, outer, n, together, columns, terms, to);
}

/// Queues y[v][o, i] = the sum over the n rows r of matrix o of the v-th value of terms(o n + r, i, values). Where there
/// are few columns and many rows, blocks share the rows and a second pass adds what they found.
template <class T, class Terms>
void sum_columns_of(queue<Cuda>& queue, std::int64_t outer, std::int64_t n, std::int64_t columns, const Terms& terms,
                    const ColumnSums<T, Terms::count>& y) {
  using A = accumulator_t<T>;
  constexpr int count = Terms::count;
  constexpr std::int64_t enough = 1024, least_rows = 64;  // blocks that keep a GPU busy, and what one is worth starting for
  const std::int64_t strips = outer * blocks_for(columns, strip_columns);
  if (strips == 0) return;
  const std::int64_t together = std::max(least_rows, blocks_for(n, blocks_for(enough, strips))), parts = blocks_for(n, together);
  if (parts <= 1) return launch_sum_terms<A>(queue, outer, n, together, columns, terms, y);

  const std::int64_t sums = outer * columns;
  const Scratch<A> partial(count * parts * sums);
  ColumnSums<A, count> first;
  ColumnTerms<A, count> rest{sums, {}};
  for (int v = 0; v < count; ++v) rest.x[v] = first.y[v] = partial.data() + v * parts * sums;
  launch_sum_terms<A>(queue, outer, n, together, columns, terms, first);
  launch_sum_terms<A>(queue, 1, parts, parts, sums, rest, y);
}

inline constexpr std::int64_t squares_together = 16384;  // of a block of sum_squares

/// partial[piece] = the sum of x^2 over a piece, 16 bytes at a time, in an order that no alignment changes.
template <class T>
__global__ void __launch_bounds__(BlockTeam::block)
    sum_squares(const __grid_constant__ ListPart<DenseArray<T>> part, accumulator_t<T>* partial) {
  using A = accumulator_t<T>;
  constexpr int width = 16 / sizeof(T);
  const auto own = part.piece();
  const T* x = own.item.data + own.begin;
  const std::int64_t count = own.end - own.begin;
  const bool aligned = reinterpret_cast<std::uintptr_t>(x) % 16 == 0;
  const A sum = reduce_row<BlockTeam>(blocks_for(count, width), A(0), Sum(), [=](std::int64_t pack) {
    A squares = 0;
    for (const T value : load_pack<width>(x, pack * width, count, aligned).values)
      squares += widened(value) * widened(value);
    return squares;
  });
  if (BlockTeam::member() == 0) partial[part.pieces_before + blockIdx.x] = sum;
}

template <class A>
__global__ void __launch_bounds__(BlockTeam::block) add_sum(std::int64_t n, const A* x, A* sum) {
  const A all = reduce_row<BlockTeam>(n, A(0), Sum(), [=](std::int64_t i) { return x[i]; });
  if (BlockTeam::member() == 0) *sum += all;
}

struct CudaReduction {
  template <class T>
  static void squared_norm(queue<Cuda>& queue, std::int64_t n, const DenseArray<T>* arrays, accumulator_t<T>* sum) {
    using A = accumulator_t<T>;
    constexpr std::size_t shared_bytes = BlockTeam::shared_values * sizeof(A);
    std::int64_t pieces = 0;
    for (std::int64_t k = 0; k < n; ++k) pieces += blocks_for(arrays[k].count, squares_together);
    if (pieces == 0) return;
    const Scratch<A> partial(pieces);
    launch_list(queue, n, arrays, squares_together, BlockTeam::block, shared_bytes, sum_squares<T>, partial.data());
    launch(queue, 1, BlockTeam::block, shared_bytes, add_sum<A>, pieces, partial.data(), sum);
  }

  template <class T>
  static void reduce_sum(queue<Cuda>& queue, std::int64_t outer, std::int64_t n, std::int64_t inner, const T* x, T* y) {
    if (inner == 1)
      with_team(n, [&](auto team) {
        launch_rows<decltype(team), T>(queue, outer, sum_rows<decltype(team), T>, outer, n, x, y);
      });
    else
      sum_columns_of<T>(queue, outer, n, inner, ColumnTerms<T, 1>{inner, {x}}, {{y}});
  }
};

}  // namespace plinth::cuda
