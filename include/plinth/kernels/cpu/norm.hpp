// SPDX-License-Identifier: MIT
// Layer norm and RMS norm over rows, with the gradients of their gains and biases.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <plinth/kernels/cpu/elementwise.hpp>
#include <plinth/kernels/cpu/lanes.hpp>

namespace plinth::cpu {

struct CpuNorm {
  template <class T>
  static void layer_norm(queue<Cpu>& queue, std::int64_t rows, std::int64_t columns, double epsilon, const T* x,
                         const T* gain, const T* bias, T* y, accumulator_t<T>* mean,
                         accumulator_t<T>* inverse_deviation) {
    using A = accumulator_t<T>;
    over_rows(queue, rows, columns, [=](std::int64_t r) {
      const T* row = x + r * columns;
      T* to = y + r * columns;
      const A count = static_cast<A>(columns);
      const A m = lane_sum<A>(columns, [=](std::int64_t i) { return static_cast<A>(row[i]); }) / count;
      const A variance = lane_sum<A>(columns,
                                     [=](std::int64_t i) {
                                       const A d = static_cast<A>(row[i]) - m;
                                       return d * d;
                                     }) /
                         count;
      const A s = A(1) / std::sqrt(variance + static_cast<A>(epsilon));
      const auto scaled = [=](std::int64_t i) { return (static_cast<A>(row[i]) - m) * s * static_cast<A>(gain[i]); };
      if (bias)
        independently(0, columns, [=](std::int64_t i) { to[i] = static_cast<T>(scaled(i) + static_cast<A>(bias[i])); });
      else
        independently(0, columns, [=](std::int64_t i) { to[i] = static_cast<T>(scaled(i)); });
      mean[r] = m;
      inverse_deviation[r] = s;
    });
  }

  /// With h = (x - mean) s and g = dy gain: dx = s (g - mean(g) - h mean(g h)).
  template <class T>
  static void layer_norm_backward(queue<Cpu>& queue, std::int64_t rows, std::int64_t columns, const T* x, const T* gain,
                                  const accumulator_t<T>* mean, const accumulator_t<T>* inverse_deviation, const T* dy,
                                  T* dx, T* dgain, T* dbias) {
    using A = accumulator_t<T>;
    over_rows(queue, rows, columns, [=](std::int64_t r) {
      const T *row = x + r * columns, *d = dy + r * columns;
      T* to = dx + r * columns;
      const A m = mean[r], s = inverse_deviation[r], count = static_cast<A>(columns);
      const A g_mean =
          lane_sum<A>(columns, [=](std::int64_t i) { return static_cast<A>(d[i]) * static_cast<A>(gain[i]); }) / count;
      const A gh_mean =
          lane_sum<A>(columns,
                      [=](std::int64_t i) {
                        return static_cast<A>(d[i]) * static_cast<A>(gain[i]) * ((static_cast<A>(row[i]) - m) * s);
                      }) /
          count;
      independently(0, columns, [=](std::int64_t i) {
        to[i] = static_cast<T>(
            s * (static_cast<A>(d[i]) * static_cast<A>(gain[i]) - g_mean - (static_cast<A>(row[i]) - m) * s * gh_mean));
      });
    });
    sum_gain_and_bias<T>(queue, rows, columns, dgain, dbias,
                         [=](std::int64_t r, std::int64_t i, A& to_gain, A& to_bias) {
                           const A d = static_cast<A>(dy[r * columns + i]);
                           to_gain += d * ((static_cast<A>(x[r * columns + i]) - mean[r]) * inverse_deviation[r]);
                           to_bias += d;
                         });
  }

  template <class T>
  static void rms_norm(queue<Cpu>& queue, std::int64_t rows, std::int64_t columns, double epsilon, const T* x,
                       const T* gain, T* y, accumulator_t<T>* inverse_rms) {
    using A = accumulator_t<T>;
    over_rows(queue, rows, columns, [=](std::int64_t r) {
      const T* row = x + r * columns;
      const A square = lane_sum<A>(columns, [=](std::int64_t i) {
        const A value = static_cast<A>(row[i]);
        return value * value;
      });
      const A s = A(1) / std::sqrt(square / static_cast<A>(columns) + static_cast<A>(epsilon));
      T* to = y + r * columns;
      independently(0, columns, [=](std::int64_t i) {
        to[i] = static_cast<T>(static_cast<A>(row[i]) * s * static_cast<A>(gain[i]));
      });
      inverse_rms[r] = s;
    });
  }

  /// With h = x s and g = dy gain: dx = s (g - h mean(g h)).
  template <class T>
  static void rms_norm_backward(queue<Cpu>& queue, std::int64_t rows, std::int64_t columns, const T* x, const T* gain,
                                const accumulator_t<T>* inverse_rms, const T* dy, T* dx, T* dgain) {
    using A = accumulator_t<T>;
    over_rows(queue, rows, columns, [=](std::int64_t r) {
      const T *row = x + r * columns, *d = dy + r * columns;
      const A s = inverse_rms[r];
      const A gh_mean =
          lane_sum<A>(columns,
                      [=](std::int64_t i) {
                        return static_cast<A>(d[i]) * static_cast<A>(gain[i]) * (static_cast<A>(row[i]) * s);
                      }) /
          static_cast<A>(columns);
      T* to = dx + r * columns;
      independently(0, columns, [=](std::int64_t i) {
        to[i] =
            static_cast<T>(s * (static_cast<A>(d[i]) * static_cast<A>(gain[i]) - static_cast<A>(row[i]) * s * gh_mean));
      });
    });
    sum_gain_and_bias<T>(
        queue, rows, columns, dgain, static_cast<T*>(nullptr), [=](std::int64_t r, std::int64_t i, A& to_gain, A&) {
          to_gain += static_cast<A>(dy[r * columns + i]) * (static_cast<A>(x[r * columns + i]) * inverse_rms[r]);
        });
  }

 private:
  /// Sums add(row, column, gain, bias) over rows for each column: fixed blocks of rows, then the blocks in order.
  template <class T, class Add>
  static void sum_gain_and_bias(queue<Cpu>& queue, std::int64_t rows, std::int64_t columns, T* dgain, T* dbias,
                                const Add& add) {
    using A = accumulator_t<T>;
    constexpr std::int64_t strip = 32, block_rows = 256;
    const std::int64_t strips = (columns + strip - 1) / strip, blocks = (rows + block_rows - 1) / block_rows;
    auto* partial = static_cast<A*>(queue.scratch(static_cast<std::size_t>(2 * blocks * columns) * sizeof(A)));
    queue.parallel(strips * blocks, [=](std::int64_t task) {
      const std::int64_t block = task / strips, first = task % strips * strip;
      const std::int64_t width = std::min(strip, columns - first), end = std::min((block + 1) * block_rows, rows);
      A gain_sum[strip] = {}, bias_sum[strip] = {};
      for (std::int64_t r = block * block_rows; r < end; ++r)
        if (width == strip)
          for (std::int64_t i = 0; i < strip; ++i) add(r, first + i, gain_sum[i], bias_sum[i]);
        else
          for (std::int64_t i = 0; i < width; ++i) add(r, first + i, gain_sum[i], bias_sum[i]);
      for (std::int64_t i = 0; i < width; ++i) {
        partial[2 * block * columns + first + i] = gain_sum[i];
        partial[(2 * block + 1) * columns + first + i] = bias_sum[i];
      }
    });
    for (std::int64_t i = 0; i < columns; ++i) {
      A gain_sum = 0, bias_sum = 0;
      for (std::int64_t block = 0; block < blocks; ++block) {
        gain_sum += partial[2 * block * columns + i];
        bias_sum += partial[(2 * block + 1) * columns + i];
      }
      dgain[i] = static_cast<T>(gain_sum);
      if (dbias) dbias[i] = static_cast<T>(bias_sum);
    }
  }
};

}  // namespace plinth::cpu
