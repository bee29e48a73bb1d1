// SPDX-License-Identifier: MIT
// A second backend of plain loops with a device tag of its own: it shows that models run on whatever fulfils the
// contract, serves as oracle for the fast kernels, and counts how often the program waits for the device.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include <plinth/kernels/contract.hpp>
#include <plinth/tensor/memory.hpp>
#include <plinth/tensor/queue.hpp>

/// A device that computes at once, element after element.
struct Plain {
  static constexpr const char* name = "plain";
  static inline std::int64_t synchronisations = 0;
};

namespace plinth {

template <>
struct memory<Plain> {
  static void* allocate(std::size_t bytes) { return memory<Cpu>::allocate(bytes); }
  static void release(void* block, std::size_t bytes) noexcept { memory<Cpu>::release(block, bytes); }
  static MemoryUse use() { return memory<Cpu>::use(); }
  static void copy_from_host(void* destination, const void* source, std::size_t bytes) {
    if (bytes) std::memcpy(destination, source, bytes);
  }
  static void copy_to_host(void* destination, const void* source, std::size_t bytes) {
    ++Plain::synchronisations;
    if (bytes) std::memcpy(destination, source, bytes);
  }
};

template <>
class queue<Plain> {
 public:
  static queue& current() {
    static queue instance;
    return instance;
  }
  void synchronize() { ++Plain::synchronisations; }
};

/// The required primitives and none of the fused ones.
template <>
struct kernels<Plain> {
  using Queue = queue<Plain>;
  using Count = std::int64_t;

  template <class T>
  static void fill(Queue&, Count n, T value, T* y) {
    for (Count i = 0; i < n; ++i) y[i] = value;
  }

  /// f(i, offset of i in a, offset of i in b) for every index of `sizes` in row-major order.
  template <class F>
  static void for_each_index(const Shape& sizes, const Shape& a, const Shape& b, const F& f) {
    const Count n = element_count(sizes);
    for (Count i = 0; i < n; ++i) {
      Count rest = i, at_a = 0, at_b = 0;
      for (int axis = sizes.rank() - 1; axis >= 0; --axis) {
        at_a += rest % sizes[axis] * a[axis];
        at_b += rest % sizes[axis] * b[axis];
        rest /= sizes[axis];
      }
      f(i, at_a, at_b);
    }
  }

  template <class T>
  static void copy(Queue&, const Shape& sizes, const Shape& x_strides, const T* x, const Shape& y_strides, T* y) {
    for_each_index(sizes, x_strides, y_strides, [&](Count, Count from, Count to) { y[to] = x[from]; });
  }
  template <class From, class To>
  static void cast(Queue&, Count n, const From* x, To* y) {
    for (Count i = 0; i < n; ++i) y[i] = static_cast<To>(static_cast<accumulator_t<To>>(x[i]));
  }
  template <class From, class T>
  static void accumulate(Queue&, Count n, const From* x, T* y) {
    using A = accumulator_t<T>;
    for (Count i = 0; i < n; ++i) y[i] = static_cast<T>(static_cast<A>(y[i]) + static_cast<A>(x[i]));
  }
  template <class T>
  static void scale(Queue&, Count n, const accumulator_t<T>* factor, T* x) {
    for (Count i = 0; i < n; ++i) x[i] = static_cast<T>(static_cast<accumulator_t<T>>(x[i]) * *factor);
  }
  template <class F, class T>
  static void pointwise(Queue&, Count n, F f, const T* x, T* y) {
    for (Count i = 0; i < n; ++i) y[i] = static_cast<T>(f.forward(static_cast<accumulator_t<T>>(x[i])));
  }
  template <class F, class T>
  static void pointwise_backward(Queue&, Count n, F f, const T* x, const T* dy, T* dx) {
    using A = accumulator_t<T>;
    for (Count i = 0; i < n; ++i) dx[i] = static_cast<T>(f.backward(static_cast<A>(x[i]), static_cast<A>(dy[i])));
  }
  template <class F, class T>
  static void binary(Queue&, const Shape& sizes, F f, const Shape& a_strides, const T* a, const Shape& b_strides,
                     const T* b, T* y) {
    using A = accumulator_t<T>;
    for_each_index(sizes, a_strides, b_strides, [&](Count i, Count at_a, Count at_b) {
      y[i] = static_cast<T>(f.forward(static_cast<A>(a[at_a]), static_cast<A>(b[at_b])));
    });
  }
  template <class T>
  static void reduce_sum(Queue&, Count outer, Count n, Count inner, const T* x, T* y) {
    for (Count o = 0; o < outer; ++o)
      for (Count i = 0; i < inner; ++i) {
        double sum = 0;
        for (Count k = 0; k < n; ++k) sum += static_cast<double>(x[(o * n + k) * inner + i]);
        y[o * inner + i] = static_cast<T>(static_cast<accumulator_t<T>>(sum));
      }
  }
  template <class T>
  static void squared_norm(Queue&, Count n, const T* x, accumulator_t<T>* sum) {
    double total = 0;
    for (Count i = 0; i < n; ++i) total += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    *sum += static_cast<accumulator_t<T>>(total);
  }
  template <class T>
  static void gemm(Queue&, const GemmShape& s, const T* a, const T* b, T* c, bool accumulate) {
    for (Count n = 0; n < s.batch; ++n)
      for (Count i = 0; i < s.M; ++i)
        for (Count j = 0; j < s.N; ++j) {
          T& to = c[n * s.c.batch + i * s.c.row + j];
          double sum = accumulate ? static_cast<double>(to) : 0.0;
          for (Count k = 0; k < s.K; ++k)
            sum += static_cast<double>(a[n * s.a.batch + i * s.a.row + k * s.a.column]) *
                   static_cast<double>(b[n * s.b.batch + k * s.b.row + j * s.b.column]);
          to = static_cast<T>(static_cast<accumulator_t<T>>(sum));
        }
  }

  /// The largest element of a row, and the sum of exp(x - largest).
  template <class T>
  static void log_sum_parts(const T* row, Count columns, double& largest, double& sum) {
    largest = -std::numeric_limits<double>::infinity();
    for (Count i = 0; i < columns; ++i) largest = std::fmax(largest, static_cast<double>(row[i]));
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
  static void cross_entropy(Queue&, Count rows, Count columns, const T* logits, const std::int32_t* targets,
                            accumulator_t<T>* log_sum_exp, accumulator_t<T>* loss, accumulator_t<T>* rows_used) {
    double total = 0, used = 0;
    for (Count r = 0; r < rows; ++r) {
      double largest, sum;
      log_sum_parts(logits + r * columns, columns, largest, sum);
      log_sum_exp[r] = static_cast<accumulator_t<T>>(largest + std::log(sum));
      if (targets[r] < 0) continue;
      total += largest + std::log(sum) - static_cast<double>(logits[r * columns + targets[r]]);
      used += 1;
    }
    *loss = static_cast<accumulator_t<T>>(used > 0 ? total / used : 0);
    *rows_used = static_cast<accumulator_t<T>>(used);
  }
  template <class T>
  static void cross_entropy_backward(Queue&, Count rows, Count columns, const T* logits, const std::int32_t* targets,
                                     const accumulator_t<T>* log_sum_exp, const accumulator_t<T>* rows_used,
                                     const accumulator_t<T>* dloss, T* dlogits) {
    for (Count r = 0; r < rows; ++r)
      for (Count i = 0; i < columns; ++i) {
        const double p = std::exp(static_cast<double>(logits[r * columns + i]) - static_cast<double>(log_sum_exp[r]));
        const double d = targets[r] < 0 ? 0 : (p - (i == targets[r])) * static_cast<double>(*dloss) / static_cast<double>(*rows_used);
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
  static void dropout(Queue&, Count n, double probability, const RandomStream& stream, const std::int32_t* step,
                      const T* x, T* y) {
    using A = accumulator_t<T>;
    for (Count i = 0; i < n; ++i) {
      const double word = stream.word(static_cast<std::uint64_t>(i), static_cast<std::uint32_t>(*step));
      y[i] = static_cast<T>(word >= std::floor(probability * 4294967296.0) ? static_cast<A>(x[i]) * static_cast<A>(1 / (1 - probability)) : A(0));
    }
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
  template <class T>
  static void adamw(Queue&, Count n, const AdamWSettings& s, const accumulator_t<T>* step_values,
                    const accumulator_t<T>* gradient, accumulator_t<T>* first, accumulator_t<T>* second, T* weight) {
    using A = accumulator_t<T>;
    for (Count i = 0; i < n; ++i) {
      const double g = static_cast<double>(gradient[i]), rate = static_cast<double>(step_values[0]);
      const double m = s.beta1 * static_cast<double>(first[i]) + (1 - s.beta1) * g;
      const double v = s.beta2 * static_cast<double>(second[i]) + (1 - s.beta2) * g * g;
      first[i] = static_cast<A>(m);
      second[i] = static_cast<A>(v);
      const double update = m / static_cast<double>(step_values[1]) / (std::sqrt(v / static_cast<double>(step_values[2])) + s.epsilon);
      weight[i] = static_cast<T>(static_cast<A>(static_cast<double>(weight[i]) * (1 - rate * s.weight_decay) - rate * update));
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

static_assert(RequiredKernels<kernels<Plain>, Plain, float> && RequiredKernels<kernels<Plain>, Plain, double>);
static_assert(!FusedGemm<kernels<Plain>, Plain, float> && !FusedAttention<kernels<Plain>, Plain, float>);

}  // namespace plinth
