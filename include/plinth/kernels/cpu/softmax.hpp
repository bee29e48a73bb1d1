// SPDX-License-Identifier: MIT
// Softmax over rows, and the cross-entropy that starts from the same log-sum-exp.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include <plinth/kernels/cpu/elementwise.hpp>
#include <plinth/kernels/cpu/lanes.hpp>
#include <plinth/tensor/error.hpp>
#include <plinth/tensor/scalar_math.hpp>

namespace plinth::cpu {

struct CpuSoftmax {
  template <class T>
  static void softmax(queue<Cpu>& queue, std::int64_t rows, std::int64_t columns, const T* x, T* y) {
    using A = accumulator_t<T>;
    over_rows(queue, rows, columns, [=](std::int64_t r) {
      const T* row = x + r * columns;
      T* to = y + r * columns;
      const A top = row_max<A>(row, columns);
      const A shift = top == -std::numeric_limits<A>::infinity() ? A(0) : top;
      const A sum =
          lane_sum<A>(columns, [=](std::int64_t i) { return math::exp_negative(static_cast<A>(row[i]) - shift); });
      const A inverse = sum == A(0) ? A(0) : A(1) / sum;
      const auto one = [=](T value) {
        return static_cast<T>(math::exp_negative(static_cast<A>(value) - shift) * inverse);
      };
      map_lanes(columns, to, one, row);
    });
  }

  template <class T>
  static void softmax_backward(queue<Cpu>& queue, std::int64_t rows, std::int64_t columns, const T* y, const T* dy,
                               T* dx) {
    using A = accumulator_t<T>;
    over_rows(queue, rows, columns, [=](std::int64_t r) {
      const T *p = y + r * columns, *dp = dy + r * columns;
      const A mean = lane_sum<A>(columns, [=](std::int64_t i) { return static_cast<A>(p[i]) * static_cast<A>(dp[i]); });
      T* to = dx + r * columns;
      independently(0, columns, [=](std::int64_t i) {
        to[i] = static_cast<T>(static_cast<A>(p[i]) * (static_cast<A>(dp[i]) - mean));
      });
    });
  }

  template <class T>
  static void cross_entropy(queue<Cpu>& queue, std::int64_t rows, std::int64_t columns, double smoothing,
                            const T* logits, const std::int32_t* targets, accumulator_t<T>* log_sum_exp,
                            accumulator_t<T>* loss, accumulator_t<T>* rows_used) {
    using A = accumulator_t<T>;
    check_targets(rows, columns, targets);
    auto* row_loss = static_cast<double*>(queue.scratch(static_cast<std::size_t>(rows) * sizeof(double)));
    over_rows(queue, rows, columns, [=](std::int64_t r) {
      const T* row = logits + r * columns;
      const A top = row_max<A>(row, columns);
      const A sum =
          lane_sum<A>(columns, [=](std::int64_t i) { return math::exp_negative(static_cast<A>(row[i]) - top); });
      log_sum_exp[r] = top + std::log(sum);
      if (targets[r] < 0) return;
      double wanted = (1 - smoothing) * static_cast<double>(row[targets[r]]);
      if (smoothing > 0) {
        const A all = lane_sum<A>(columns, [=](std::int64_t i) { return static_cast<A>(row[i]); });
        wanted += smoothing * static_cast<double>(all) / static_cast<double>(columns);
      }
      row_loss[r] = static_cast<double>(log_sum_exp[r]) - wanted;
    });
    double total = 0;
    std::int64_t used = 0;
    for (std::int64_t r = 0; r < rows; ++r)
      if (targets[r] >= 0) {
        total += row_loss[r];
        ++used;
      }
    *loss = static_cast<A>(used ? total / static_cast<double>(used) : 0.0);
    *rows_used = static_cast<A>(used);
  }

  template <class T>
  static void cross_entropy_backward(queue<Cpu>& queue, std::int64_t rows, std::int64_t columns, double smoothing,
                                     const T* logits, const std::int32_t* targets, const accumulator_t<T>* log_sum_exp,
                                     const accumulator_t<T>* rows_used, const accumulator_t<T>* dloss, T* dlogits) {
    using A = accumulator_t<T>;
    check_targets(rows, columns, targets);
    const A factor = *rows_used > A(0) ? *dloss / *rows_used : A(0);
    const A of_target = static_cast<A>(1 - smoothing),
            of_each = static_cast<A>(smoothing / static_cast<double>(columns));
    over_rows(queue, rows, columns, [=](std::int64_t r) {
      const T* row = logits + r * columns;
      T* to = dlogits + r * columns;
      const A weight = factor, shift = log_sum_exp[r];
      if (targets[r] < 0) {
        for (std::int64_t i = 0; i < columns; ++i) to[i] = static_cast<T>(A(0));
        return;
      }
      const auto excess = [=](T logit) { return math::exp_negative(static_cast<A>(logit) - shift) - of_each; };
      // The target's share is taken off before rounding to T: of a target that is almost sure nothing would be left.
      const T at_target = static_cast<T>(weight * (excess(row[targets[r]]) - of_target));
      map_lanes(columns, to, [=](T logit) { return static_cast<T>(weight * excess(logit)); }, row);
      to[targets[r]] = at_target;
    });
  }

 private:
  static void check_targets(std::int64_t rows, std::int64_t columns, const std::int32_t* targets) {
    for (std::int64_t r = 0; r < rows; ++r)
      detail::require<ArgumentError>(targets[r] < columns, "cross_entropy: target ", targets[r], " at row ", r,
                                     " is outside [0, ", columns, ")");
  }

  template <class A, class T>
  static A row_max(const T* row, std::int64_t columns) {
    return lane_max<A>(columns, -std::numeric_limits<A>::infinity(),
                       [=](std::int64_t i) { return static_cast<A>(row[i]); });
  }
};

}  // namespace plinth::cpu
