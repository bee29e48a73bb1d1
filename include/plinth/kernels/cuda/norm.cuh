// SPDX-License-Identifier: MIT
// Layer norm and RMS norm over rows, with the gradients of their gains and biases.
#pragma once

#include <cmath>
#include <cstdint>

#include <plinth/kernels/cuda/launch.cuh>
#include <plinth/kernels/cuda/reduction.cuh>
#include <plinth/kernels/cuda/team.cuh>
#include <plinth/tensor/element.hpp>

namespace plinth::cuda {

template <class Team, class T>
__global__ void __launch_bounds__(Team::block)
    layer_norm_rows(std::int64_t rows, std::int64_t columns, double epsilon, const T* x, const T* gain, const T* bias, T* y,
                    accumulator_t<T>* mean, accumulator_t<T>* inverse_deviation) {
  using A = accumulator_t<T>;
  const std::int64_t r = Team::row();
  if (r >= rows) return;
  const T* row = x + r * columns;
  T* to = y + r * columns;
  const A count = static_cast<A>(columns);
  const A m = reduce_row<Team>(columns, A(0), Sum(), [=](std::int64_t i) { return static_cast<A>(row[i]); }) / count;
  const A square = reduce_row<Team>(columns, A(0), Sum(), [=](std::int64_t i) {
    const A d = static_cast<A>(row[i]) - m;
    return d * d;
  });
  const A s = A(1) / std::sqrt(square / count + static_cast<A>(epsilon));
  for (std::int64_t i = Team::member(); i < columns; i += Team::size) {
    const A scaled = (static_cast<A>(row[i]) - m) * s * static_cast<A>(gain[i]);
    to[i] = static_cast<T>(bias ? scaled + static_cast<A>(bias[i]) : scaled);
  }
  if (Team::member() > 0) return;
  mean[r] = m;
  inverse_deviation[r] = s;
}

/// With h = (x - mean) s and g = dy gain: dx = s (g - mean(g) - h mean(g h)); RMS norm has neither mean.
template <class Team, class T, bool Centred>
__global__ void __launch_bounds__(Team::block)
    norm_rows_backward(std::int64_t rows, std::int64_t columns, const T* x, const T* gain, const accumulator_t<T>* mean,
                       const accumulator_t<T>* inverse_deviation, const T* dy, T* dx) {
  using A = accumulator_t<T>;
  const std::int64_t r = Team::row();
  if (r >= rows) return;
  const T *row = x + r * columns, *d = dy + r * columns;
  T* to = dx + r * columns;
  const A m = Centred ? mean[r] : A(0), s = inverse_deviation[r], count = static_cast<A>(columns);
  const auto g = [=](std::int64_t i) { return static_cast<A>(d[i]) * static_cast<A>(gain[i]); };
  const auto h = [=](std::int64_t i) { return (static_cast<A>(row[i]) - m) * s; };
  const A g_mean = Centred ? reduce_row<Team>(columns, A(0), Sum(), g) / count : A(0);
  const A gh_mean = reduce_row<Team>(columns, A(0), Sum(), [=](std::int64_t i) { return g(i) * h(i); }) / count;
  for (std::int64_t i = Team::member(); i < columns; i += Team::size)
    to[i] = static_cast<T>(s * (g(i) - g_mean - h(i) * gh_mean));
}

/// What a row adds to the gradients of gain and bias.
template <class T, bool Centred>
struct NormTerms {
  using A = accumulator_t<T>;
  static constexpr int count = 2;
  std::int64_t columns;
  const T *x, *dy;
  const A *mean, *inverse_deviation;

  __device__ void operator()(std::int64_t r, std::int64_t i, A (&sums)[count]) const {
    const A d = static_cast<A>(dy[r * columns + i]), m = Centred ? mean[r] : A(0);
    sums[0] += d * ((static_cast<A>(x[r * columns + i]) - m) * inverse_deviation[r]);
    sums[1] += d;
  }
};

template <class Team, class T>
__global__ void __launch_bounds__(Team::block)
    rms_norm_rows(std::int64_t rows, std::int64_t columns, double epsilon, const T* x, const T* gain, T* y,
                  accumulator_t<T>* inverse_rms) {
  using A = accumulator_t<T>;
  const std::int64_t r = Team::row();
  if (r >= rows) return;
  const T* row = x + r * columns;
  T* to = y + r * columns;
  const A square = reduce_row<Team>(columns, A(0), Sum(), [=](std::int64_t i) {
    const A value = static_cast<A>(row[i]);
    return value * value;
  });
  const A s = A(1) / std::sqrt(square / static_cast<A>(columns) + static_cast<A>(epsilon));
  for (std::int64_t i = Team::member(); i < columns; i += Team::size)
    to[i] = static_cast<T>(static_cast<A>(row[i]) * s * static_cast<A>(gain[i]));
  if (Team::member() == 0) inverse_rms[r] = s;
}

struct CudaNorm {
  template <class T>
  static void layer_norm(queue<Cuda>& queue, std::int64_t rows, std::int64_t columns, double epsilon, const T* x,
                         const T* gain, const T* bias, T* y, accumulator_t<T>* mean,
                         accumulator_t<T>* inverse_deviation) {
    with_team(columns, [&](auto team) {
      using Team = decltype(team);
      launch_rows<Team, T>(queue, rows, layer_norm_rows<Team, T>, rows, columns, epsilon, x, gain, bias, y, mean,
                           inverse_deviation);
    });
  }

  template <class T>
  static void layer_norm_backward(queue<Cuda>& queue, std::int64_t rows, std::int64_t columns, const T* x,
                                  const T* gain, const accumulator_t<T>* mean,
                                  const accumulator_t<T>* inverse_deviation, const T* dy, T* dx, T* dgain, T* dbias) {
    backward<T, true>(queue, rows, columns, x, gain, mean, inverse_deviation, dy, dx, dgain, dbias);
  }

  template <class T>
  static void rms_norm(queue<Cuda>& queue, std::int64_t rows, std::int64_t columns, double epsilon, const T* x,
                       const T* gain, T* y, accumulator_t<T>* inverse_rms) {
    with_team(columns, [&](auto team) {
      using Team = decltype(team);
      launch_rows<Team, T>(queue, rows, rms_norm_rows<Team, T>, rows, columns, epsilon, x, gain, y, inverse_rms);
    });
  }

  template <class T>
  static void rms_norm_backward(queue<Cuda>& queue, std::int64_t rows, std::int64_t columns, const T* x, const T* gain,
                                const accumulator_t<T>* inverse_rms, const T* dy, T* dx, T* dgain) {
    backward<T, false>(queue, rows, columns, x, gain, nullptr, inverse_rms, dy, dx, dgain, nullptr);
  }

 private:
  template <class T, bool Centred>
  static void backward(queue<Cuda>& queue, std::int64_t rows, std::int64_t columns, const T* x, const T* gain,
                       const accumulator_t<T>* mean, const accumulator_t<T>* inverse_deviation, const T* dy, T* dx,
                       T* dgain, T* dbias) {
    with_team(columns, [&](auto team) {
      using Team = decltype(team);
      launch_rows<Team, T>(queue, rows, norm_rows_backward<Team, T, Centred>, rows, columns, x, gain, mean,
                           inverse_deviation, dy, dx);
    });
    const NormTerms<T, Centred> terms{columns, x, dy, mean, inverse_deviation};
    sum_columns_of<T>(queue, 1, rows, columns, terms, {{dgain, dbias}});
  }
};

}  // namespace plinth::cuda
