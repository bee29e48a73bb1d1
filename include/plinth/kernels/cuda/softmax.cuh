// SPDX-License-Identifier: MIT
// Softmax over rows.
#pragma once

#include <cstdint>
#include <limits>

#include <plinth/kernels/cuda/launch.cuh>
#include <plinth/kernels/cuda/team.cuh>
#include <plinth/tensor/element.hpp>
#include <plinth/tensor/scalar_math.hpp>

namespace plinth::cuda {

template <class A>
inline constexpr A lowest = -std::numeric_limits<A>::infinity();

template <class Team, class T>
__global__ void __launch_bounds__(Team::block)
    softmax_rows(std::int64_t rows, std::int64_t columns, const T* x, T* y) {
  using A = accumulator_t<T>;
  const std::int64_t r = Team::row();
  if (r >= rows) return;
  const T* row = x + r * columns;
  T* to = y + r * columns;
  const A top = reduce_row<Team>(columns, lowest<A>, Max(), [=](std::int64_t i) { return static_cast<A>(row[i]); });
  const A shift = top == lowest<A> ? A(0) : top;
  const A sum = reduce_row<Team>(columns, A(0), Sum(), [=](std::int64_t i) { return math::exp_negative(static_cast<A>(row[i]) - shift); });
  const A inverse = sum == A(0) ? A(0) : A(1) / sum;
  for (std::int64_t i = Team::member(); i < columns; i += Team::size)
    to[i] = static_cast<T>(math::exp_negative(static_cast<A>(row[i]) - shift) * inverse);
}

template <class Team, class T>
__global__ void __launch_bounds__(Team::block)
    softmax_rows_backward(std::int64_t rows, std::int64_t columns, const T* y, const T* dy, T* dx) {
  using A = accumulator_t<T>;
  const std::int64_t r = Team::row();
  if (r >= rows) return;
  const T *p = y + r * columns, *dp = dy + r * columns;
  T* to = dx + r * columns;
  const A mean = reduce_row<Team>(columns, A(0), Sum(), [=](std::int64_t i) { return static_cast<A>(p[i]) * static_cast<A>(dp[i]); });
  for (std::int64_t i = Team::member(); i < columns; i += Team::size)
    to[i] = static_cast<T>(static_cast<A>(p[i]) * (static_cast<A>(dp[i]) - mean));
}

struct CudaSoftmax {
  /// y = exp(x - max) / sum over each row; zeros where all of it is -inf.
  template <class T>
  static void softmax(queue<Cuda>& queue, std::int64_t rows, std::int64_t columns, const T* x, T* y) {
    if (columns <= short_row)
      run<WarpTeam, T>(queue, rows, columns, softmax_rows<WarpTeam, T>, x, y);
    else
      run<BlockTeam, T>(queue, rows, columns, softmax_rows<BlockTeam, T>, x, y);
  }

  /// dx = y (dy - sum(dy y)) over each row.
  template <class T>
  static void softmax_backward(queue<Cuda>& queue, std::int64_t rows, std::int64_t columns, const T* y, const T* dy,
                               T* dx) {
    if (columns <= short_row)
      run<WarpTeam, T>(queue, rows, columns, softmax_rows_backward<WarpTeam, T>, y, dy, dx);
    else
      run<BlockTeam, T>(queue, rows, columns, softmax_rows_backward<BlockTeam, T>, y, dy, dx);
  }

 private:
  template <class Team, class T, class Kernel, class... Arguments>
  static void run(queue<Cuda>& queue, std::int64_t rows, std::int64_t columns, Kernel* kernel, Arguments... arguments) {
    if (columns == 0) return;
    launch(queue, blocks_for(rows, Team::rows_per_block), Team::block, Team::shared_values * sizeof(accumulator_t<T>),
           kernel, rows, columns, arguments...);
  }
};

}  // namespace plinth::cuda
