// SPDX-License-Identifier: MIT
// Plain loops over rows: softmax, cross-entropy, norms, gathering, rotation.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include <plinth/kernels/arguments.hpp>
#include <plinth/tensor/element.hpp>

#include "kernels/plain_device.hpp"

namespace plinth {

struct PlainRows {
  using Queue = queue<Plain>;
  using Count = std::int64_t;

  /// The largest element of a row, and the sum of exp(x - largest).
  template <class T>
  static void log_sum_parts(const T* row, Count columns, double& largest, double& sum) {
    largest = -std::numeric_limits<double>::infinity();
    for (Count i = 0; i < columns; ++i) largest = std::max(largest, static_cast<double>(row[i]));
    sum = 0;
    if (std::isinf(largest)) return;
    for (Count i = 0; i < columns; ++i) sum += std::exp(static_cast<double>(row[i]) - largest);
  }
  template <class T>
  static void softmax(Queue&, Count rows, Count columns, const T* x, T* y) {
    for (Count r = 0; r < rows; ++r) {
      double largest, sum;
      log_sum_parts(x + r * columns, columns, largest, sum);
      for (Count i = r * columns; i < (r + 1) * columns; ++i)
        y[i] = static_cast<T>(static_cast<accumulator_t<T>>(sum > 0 ? std::exp(static_cast<double>(x[i]) - largest) / sum : 0));
    }
  }
  template <class T>
  static void softmax_backward(Queue&, Count rows, Count columns, const T* y, const T* dy, T* dx) {
    for (Count r = 0; r < rows; ++r) {
      double mean = 0;
      for (Count i = r * columns; i < (r + 1) * columns; ++i) mean += static_cast<double>(y[i]) * static_cast<double>(dy[i]);
      for (Count i = r * columns; i < (r + 1) * columns; ++i)
        dx[i] = static_cast<T>(
            static_cast<accumulator_t<T>>(static_cast<double>(y[i]) * (static_cast<double>(dy[i]) - mean)));
    }
  }
  template <class T>
  static void attention_mask(Queue&, const AttentionShape& s, const std::int32_t* rows, T* mask) {
    for (Count b = 0; b < s.batch; ++b)
      for (Count i = 0; i < s.queries; ++i)
        for (Count j = 0; j < s.keys; ++j) {
          const Count place = rows ? rows[3 * b] + i : s.keys - s.queries + i;
          const bool hidden = (rows && (j < rows[3 * b + 1] || j >= rows[3 * b + 2])) || (s.causal && j > place) ||
                              (s.causal && s.window > 0 && j <= place - s.window);
          *mask++ = T(hidden ? -std::numeric_limits<float>::infinity() : 0.0f);
        }
  }
  template <class T>
  static void cross_entropy(Queue&, Count rows, Count columns, double smoothing, const T* logits,
                            const std::int32_t* targets, accumulator_t<T>* log_sum_exp, accumulator_t<T>* loss, accumulator_t<T>* rows_used) {
    double total = 0, used = 0;
    for (Count r = 0; r < rows; ++r) {
      double largest, sum;
      log_sum_parts(logits + r * columns, columns, largest, sum);
      log_sum_exp[r] = static_cast<accumulator_t<T>>(largest + std::log(sum));
      if (targets[r] < 0) continue;
      total += largest + std::log(sum) - (1 - smoothing) * static_cast<double>(logits[r * columns + targets[r]]);
      for (Count i = 0; smoothing > 0 && i < columns; ++i)
        total -= smoothing / static_cast<double>(columns) * static_cast<double>(logits[r * columns + i]);
      used += 1;
    }
    *loss = static_cast<accumulator_t<T>>(used > 0 ? total / used : 0);
    *rows_used = static_cast<accumulator_t<T>>(used);
  }
  template <class T>
  static void cross_entropy_backward(Queue&, Count rows, Count columns, double smoothing, const T* logits,
                                     const std::int32_t* targets, const accumulator_t<T>* log_sum_exp,
                                     const accumulator_t<T>* rows_used, const accumulator_t<T>* dloss, T* dlogits) {
    for (Count r = 0; r < rows; ++r)
      for (Count i = 0; i < columns; ++i) {
        const double p = std::exp(static_cast<double>(logits[r * columns + i]) - static_cast<double>(log_sum_exp[r]));
        const double d = targets[r] < 0 ? 0 : (p - (i == targets[r] ? 1 - smoothing : 0) - smoothing / static_cast<double>(columns)) * static_cast<double>(*dloss) / static_cast<double>(*rows_used);
        dlogits[r * columns + i] = static_cast<T>(static_cast<accumulator_t<T>>(d));
      }
  }

  template <class T>
  static void layer_norm(Queue&, Count rows, Count columns, double epsilon, const T* x, const T* gain, const T* bias,
                         T* y, accumulator_t<T>* mean, accumulator_t<T>* inverse_deviation) {
    for (Count r = 0; r < rows; ++r) {
      double m = 0, variance = 0;
      const T* row = x + r * columns;
      for (Count i = 0; i < columns; ++i) m += static_cast<double>(row[i]) / static_cast<double>(columns);
      for (Count i = 0; i < columns; ++i) {
        const double d = static_cast<double>(row[i]) - m;
        variance += d * d / static_cast<double>(columns);
      }
      const double s = 1 / std::sqrt(variance + epsilon);
      for (Count i = 0; i < columns; ++i)
        y[r * columns + i] = static_cast<T>(static_cast<accumulator_t<T>>(
            (static_cast<double>(row[i]) - m) * s * static_cast<double>(gain[i]) + (bias ? static_cast<double>(bias[i]) : 0)));
      mean[r] = static_cast<accumulator_t<T>>(m);
      inverse_deviation[r] = static_cast<accumulator_t<T>>(s);
    }
  }
  template <class T>
  static void layer_norm_backward(Queue& q, Count rows, Count columns, const T* x, const T* gain,
                                  const accumulator_t<T>* mean, const accumulator_t<T>* inverse_deviation, const T* dy,
                                  T* dx, T* dgain, T* dbias) {
    norm_backward(q, rows, columns, x, gain, mean, inverse_deviation, dy, dx, dgain, dbias);
  }
  template <class T>
  static void rms_norm(Queue&, Count rows, Count columns, double epsilon, const T* x, const T* gain, T* y,
                       accumulator_t<T>* inverse_rms) {
    for (Count r = 0; r < rows; ++r) {
      double square = 0;
      for (Count i = r * columns; i < (r + 1) * columns; ++i) square += static_cast<double>(x[i]) * static_cast<double>(x[i]);
      const double s = 1 / std::sqrt(square / static_cast<double>(columns) + epsilon);
      for (Count i = 0; i < columns; ++i)
        y[r * columns + i] = static_cast<T>(
            static_cast<accumulator_t<T>>(static_cast<double>(x[r * columns + i]) * s * static_cast<double>(gain[i])));
      inverse_rms[r] = static_cast<accumulator_t<T>>(s);
    }
  }
  template <class T>
  static void rms_norm_backward(Queue& q, Count rows, Count columns, const T* x, const T* gain,
                                const accumulator_t<T>* inverse_rms, const T* dy, T* dx, T* dgain) {
    norm_backward(q, rows, columns, x, gain, static_cast<const accumulator_t<T>*>(nullptr), inverse_rms, dy, dx, dgain,
                  static_cast<T*>(nullptr));
  }

  template <class T>
  static void gather_rows(Queue&, Count n, Count, Count columns, const T* table, const std::int32_t* ids, T* y) {
    for (Count i = 0; i < n * columns; ++i) y[i] = table[ids[i / columns] * columns + i % columns];
  }
  template <class T>
  static void scatter_add_rows(Queue&, Count n, Count, Count columns, const std::int32_t* ids, const T* dy, T* dtable) {
    using A = accumulator_t<T>;
    for (Count i = 0; i < n * columns; ++i) {
      T& to = dtable[ids[i / columns] * columns + i % columns];
      to = static_cast<T>(static_cast<A>(to) + static_cast<A>(dy[i]));
    }
  }
  template <class T>
  static void append_rows(Queue&, const AppendShape& s, const std::int32_t* rows, const T* x, T* y) {
    for (Count b = 0; b < s.batch; ++b)
      for (Count h = 0; h < s.heads; ++h)
        for (Count t = 0; t < s.time; ++t)
          for (Count i = 0; i < s.head_size; ++i)
            y[b * s.y.batch + h * s.y.head + (rows[3 * b] + t) * s.y.time + i] = x[b * s.x.batch + h * s.x.head + t * s.x.time + i];
  }
  template <class T>
  static void rotate(Queue&, const RotaryShape& s, const T* x, const std::int32_t* positions,
                     const accumulator_t<T>* table, T* y) {
    for (Count b = 0; b < s.batch; ++b)
      for (Count h = 0; h < s.heads; ++h)
        for (Count t = 0; t < s.time; ++t) {
          const T* from = x + b * s.x.batch + h * s.x.head + t * s.x.time;
          T* to = y + b * s.y.batch + h * s.y.head + t * s.y.time;
          for (Count i = 0; i < s.head_size; ++i) to[i] = from[i];
          for (Count i = 0; i < s.rotated / 2; ++i) {
            const Count first = s.interleaved ? 2 * i : i, second = s.interleaved ? 2 * i + 1 : i + s.rotated / 2;
            const auto* row = table + positions[b * s.time + t] * s.rotated;
            const auto c = row[i], sine = s.inverse ? -row[s.rotated / 2 + i] : row[s.rotated / 2 + i];
            const auto x1 = static_cast<accumulator_t<T>>(from[first]), x2 = static_cast<accumulator_t<T>>(from[second]);
            to[first] = static_cast<T>(x1 * c - x2 * sine);
            to[second] = static_cast<T>(x1 * sine + x2 * c);
          }
        }
  }

 private:
  /// Both norms' gradients: RMS norm is layer norm with mean 0 and without the mean's own gradient.
  template <class T>
  static void norm_backward(Queue&, Count rows, Count columns, const T* x, const T* gain, const accumulator_t<T>* mean,
                            const accumulator_t<T>* inverse, const T* dy, T* dx, T* dgain, T* dbias) {
    const auto normal = [&](Count r, Count i) {
      return (static_cast<double>(x[r * columns + i]) - (mean ? static_cast<double>(mean[r]) : 0)) * static_cast<double>(inverse[r]);
    };
    for (Count r = 0; r < rows; ++r) {
      double g_mean = 0, gh_mean = 0;
      for (Count i = 0; i < columns; ++i) {
        const double g = static_cast<double>(dy[r * columns + i]) * static_cast<double>(gain[i]) / static_cast<double>(columns);
        if (mean) g_mean += g;
        gh_mean += g * normal(r, i);
      }
      for (Count i = 0; i < columns; ++i)
        dx[r * columns + i] = static_cast<T>(static_cast<accumulator_t<T>>(
            static_cast<double>(inverse[r]) * (static_cast<double>(dy[r * columns + i]) * static_cast<double>(gain[i]) - g_mean - normal(r, i) * gh_mean)));
    }
    for (Count i = 0; i < columns; ++i) {
      double gain_sum = 0, bias_sum = 0;
      for (Count r = 0; r < rows; ++r) {
        gain_sum += static_cast<double>(dy[r * columns + i]) * normal(r, i);
        bias_sum += static_cast<double>(dy[r * columns + i]);
      }
      dgain[i] = static_cast<T>(static_cast<accumulator_t<T>>(gain_sum));
      if (dbias) dbias[i] = static_cast<T>(static_cast<accumulator_t<T>>(bias_sum));
    }
  }
};

}  // namespace plinth
