// SPDX-License-Identifier: MIT
// Softmax over rows, and the cross-entropy that starts from the same log-sum-exp.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include <plinth/kernels/cuda/elementwise.cuh>
#include <plinth/kernels/cuda/launch.cuh>
#include <plinth/kernels/cuda/scratch.cuh>
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

/// log_sum_exp[r], and the row's loss, NaN for a target outside it; it does not count where the target is negative.
template <class Team, class T>
__global__ void __launch_bounds__(Team::block)
    cross_entropy_rows(std::int64_t rows, std::int64_t columns, double smoothing, const T* logits,
                       const std::int32_t* targets, accumulator_t<T>* log_sum_exp, double* row_loss) {
  using A = accumulator_t<T>;
  const std::int64_t r = Team::row();
  if (r >= rows) return;
  const T* row = logits + r * columns;
  const A top = reduce_row<Team>(columns, lowest<A>, Max(), [=](std::int64_t i) { return static_cast<A>(row[i]); });
  const A sum = reduce_row<Team>(columns, A(0), Sum(),
                                 [=](std::int64_t i) { return math::exp_negative(static_cast<A>(row[i]) - top); });
  const A all = smoothing > 0 ? reduce_row<Team>(columns, A(0), Sum(),
                                                 [=](std::int64_t i) { return static_cast<A>(row[i]); })
                              : A(0);
  if (Team::member() > 0) return;
  const std::int32_t target = targets[r];
  const A logarithm = top + std::log(sum);
  const double wanted = target >= 0 && target < columns ? static_cast<double>(row[target])
                                                        : std::numeric_limits<double>::quiet_NaN();
  log_sum_exp[r] = logarithm;
  row_loss[r] = static_cast<double>(logarithm) - (1 - smoothing) * wanted -
                smoothing * static_cast<double>(all) / static_cast<double>(columns);
}

/// The mean of row_loss over rows with a target, and their number.
template <class A>
__global__ void __launch_bounds__(BlockTeam::block)
    mean_loss_of_rows(std::int64_t rows, const double* row_loss, const std::int32_t* targets, A* loss, A* rows_used) {
  const double total = reduce_row<BlockTeam>(rows, 0.0, Sum(),
                                             [=](std::int64_t r) { return targets[r] < 0 ? 0.0 : row_loss[r]; });
  const double used = reduce_row<BlockTeam>(rows, 0.0, Sum(), [=](std::int64_t r) { return targets[r] < 0 ? 0.0 : 1.0; });
  if (BlockTeam::member() > 0) return;
  *loss = static_cast<A>(used > 0 ? total / used : 0.0);
  *rows_used = static_cast<A>(used);
}

/// dlogits[at]; NaN in rows whose target is outside them.
template <class T>
struct CrossEntropyBackward {
  using A = accumulator_t<T>;
  std::int64_t columns;
  double smoothing;
  const T* logits;
  const std::int32_t* targets;
  const A *log_sum_exp, *rows_used, *dloss;
  T* dlogits;

  __device__ void operator()(std::int64_t at) const {
    const std::int64_t r = at / columns, i = at % columns;
    const std::int32_t target = targets[r];
    if (target < 0 || target >= columns) {
      dlogits[at] = target < 0 ? static_cast<T>(A(0)) : no_value<T>();
      return;
    }
    const A weight = *rows_used > A(0) ? *dloss / *rows_used : A(0);
    const A share = static_cast<A>(smoothing / static_cast<double>(columns));
    A excess = math::exp_negative(static_cast<A>(logits[at]) - log_sum_exp[r]) - share;
    if (i == target) excess -= static_cast<A>(1 - smoothing);
    dlogits[at] = static_cast<T>(weight * excess);
  }
};

struct CudaSoftmax {
  /// y = exp(x - max) / sum over each row; zeros where all of it is -inf.
  template <class T>
  static void softmax(queue<Cuda>& queue, std::int64_t rows, std::int64_t columns, const T* x, T* y) {
    if (columns == 0) return;
    with_team(columns, [&](auto team) {
      launch_rows<decltype(team), T>(queue, rows, softmax_rows<decltype(team), T>, rows, columns, x, y);
    });
  }

  /// dx = y (dy - sum(dy y)) over each row.
  template <class T>
  static void softmax_backward(queue<Cuda>& queue, std::int64_t rows, std::int64_t columns, const T* y, const T* dy,
                               T* dx) {
    if (columns == 0) return;
    with_team(columns, [&](auto team) {
      launch_rows<decltype(team), T>(queue, rows, softmax_rows_backward<decltype(team), T>, rows, columns, y, dy, dx);
    });
  }

  template <class T>
  static void cross_entropy(queue<Cuda>& queue, std::int64_t rows, std::int64_t columns, double smoothing,
                            const T* logits, const std::int32_t* targets, accumulator_t<T>* log_sum_exp,
                            accumulator_t<T>* loss, accumulator_t<T>* rows_used) {
    using A = accumulator_t<T>;
    const Scratch<double> row_loss(rows);
    with_team(columns, [&](auto team) {
      launch_rows<decltype(team), T>(queue, rows, cross_entropy_rows<decltype(team), T>, rows, columns, smoothing, logits,
                                     targets, log_sum_exp, row_loss.data());
    });
    launch(queue, 1, BlockTeam::block, BlockTeam::shared_values * sizeof(double), mean_loss_of_rows<A>, rows,
           row_loss.data(), targets, loss, rows_used);
  }

  template <class T>
  static void cross_entropy_backward(queue<Cuda>& queue, std::int64_t rows, std::int64_t columns, double smoothing,
                                     const T* logits, const std::int32_t* targets, const accumulator_t<T>* log_sum_exp,
                                     const accumulator_t<T>* rows_used, const accumulator_t<T>* dloss, T* dlogits) {
    for_each_index(queue, rows * columns,
                   CrossEntropyBackward<T>{columns, smoothing, logits, targets, log_sum_exp, rows_used, dloss, dlogits});
  }
};

}  // namespace plinth::cuda
