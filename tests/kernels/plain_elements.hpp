// SPDX-License-Identifier: MIT
// Plain loops over elements, sums and products.
#pragma once

#include <cmath>
#include <cstdint>

#include <plinth/kernels/arguments.hpp>
#include <plinth/tensor/element.hpp>
#include <plinth/tensor/random.hpp>

#include "kernels/plain_device.hpp"

namespace plinth {

struct PlainElements {
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
  static void squared_norm(Queue&, Count n, const DenseArray<T>* arrays, accumulator_t<T>* sum) {
    double total = 0;
    for (const DenseArray<T>* x = arrays; x < arrays + n; ++x)
      for (Count i = 0; i < x->count; ++i) total += static_cast<double>(x->data[i]) * static_cast<double>(x->data[i]);
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
  static void sgd(Queue&, Count n, const SgdSettings& s, const accumulator_t<T>* step_values,
                  const TrainedParameter<T>* parameters) {
    using A = accumulator_t<T>;
    for_each_trained(n, step_values, parameters, [&](const TrainedParameter<T>& p, Count i) {
      const double w = trained(p, i), velocity = p.first ? static_cast<double>(p.first[i]) : 0;
      const double g = static_cast<double>(step_values[2]) * static_cast<double>(p.gradient[i]) + p.group.weight_decay * w;
      const double v = s.momentum * velocity + g;
      if (p.first) p.first[i] = static_cast<A>(v);
      const double direction = s.nesterov ? g + s.momentum * v : v;
      train(w - static_cast<double>(step_values[0]) * p.group.rate_factor * direction, p, i);
    });
  }
  template <class T>
  static void adam(Queue&, Count n, const AdamSettings& s, bool decoupled, const accumulator_t<T>* step_values,
                   const TrainedParameter<T>* parameters) {
    using A = accumulator_t<T>;
    for_each_trained(n, step_values, parameters, [&](const TrainedParameter<T>& p, Count i) {
      const double w = trained(p, i), rate = static_cast<double>(step_values[0]) * p.group.rate_factor;
      const double decay = p.group.weight_decay * w;
      const double g = static_cast<double>(step_values[2]) * static_cast<double>(p.gradient[i]) + (decoupled ? 0 : decay);
      const double m = s.beta1 * static_cast<double>(p.first[i]) + (1 - s.beta1) * g;
      const double v = s.beta2 * static_cast<double>(p.second[i]) + (1 - s.beta2) * g * g;
      p.first[i] = static_cast<A>(m);
      p.second[i] = static_cast<A>(v);
      const double update = m / static_cast<double>(step_values[3]) / (std::sqrt(v / static_cast<double>(step_values[4])) + s.epsilon);
      train(w - (decoupled ? rate * decay : 0) - rate * update, p, i);
    });
  }

 private:
  /// f(parameter, i) for every weight of a step that proceeds.
  template <class T, class F>
  static void for_each_trained(Count n, const accumulator_t<T>* step_values, const TrainedParameter<T>* parameters,
                               const F& f) {
    if (step_values[1] == accumulator_t<T>(0)) return;
    for (const TrainedParameter<T>* p = parameters; p < parameters + n; ++p)
      for (Count i = 0; i < p->count; ++i) f(*p, i);
  }
  /// The weight that is trained: the master, unless the weight is not its rounded copy.
  template <class T>
  static double trained(const TrainedParameter<T>& p, Count i) {
    const auto shown = static_cast<accumulator_t<T>>(p.weight[i]);
    const bool copy = p.master && static_cast<accumulator_t<T>>(static_cast<T>(p.master[i])) == shown;
    return static_cast<double>(copy ? p.master[i] : shown);
  }
  template <class T>
  static void train(double w, const TrainedParameter<T>& p, Count i) {
    const auto value = static_cast<accumulator_t<T>>(w);
    if (p.master) p.master[i] = value;
    p.weight[i] = static_cast<T>(value);
  }
};

}  // namespace plinth
