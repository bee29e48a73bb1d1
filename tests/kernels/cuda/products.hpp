// SPDX-License-Identifier: MIT
// Matrix products on the device beside their definition, a triple loop in double.
#pragma once

#include <cmath>
#include <cstdint>
#include <ostream>
#include <random>
#include <vector>

#include "kernels/cuda/device_array.hpp"

namespace products {

using namespace plinth;

/// A product of operands that begin `offset` elements behind the begin of their memory.
struct Problem {
  GemmShape shape;
  std::int64_t offset = 0;
  bool accumulate = false, bias = false, pre_activation = false;
};

inline std::ostream& operator<<(std::ostream& out, const Problem& p) {
  const auto layout = [&](const char* name, const MatrixLayout& m) {
    out << ", " << name << ' ' << m.row << ' ' << m.column << ' ' << m.batch;
  };
  out << p.shape.batch << " x " << p.shape.M << " x " << p.shape.N << " x " << p.shape.K << ", offset " << p.offset;
  layout("a", p.shape.a);
  layout("b", p.shape.b);
  layout("c", p.shape.c);
  return out << (p.accumulate ? ", accumulate" : "") << (p.bias ? ", bias" : "")
             << (p.pre_activation ? ", pre-activation" : "");
}

inline std::int64_t extent(const MatrixLayout& layout, std::int64_t batch, std::int64_t rows, std::int64_t columns) {
  if (batch == 0 || rows == 0 || columns == 0) return 0;
  return (batch - 1) * layout.batch + (rows - 1) * layout.row + (columns - 1) * layout.column + 1;
}

/// Dense A and B, each as it is or, told by the bits 1 and 2, transposed.
inline GemmShape dense(std::int64_t M, std::int64_t N, std::int64_t K, int transposes = 0) {
  GemmShape shape{.M = M, .N = N, .K = K, .a = {K, 1, 0}, .b = {N, 1, 0}, .c = {N, 1, 0}};
  if (transposes & 1) shape.a = {1, M, 0};
  if (transposes & 2) shape.b = {1, K, 0};
  return shape;
}

/// How a result differs from its definition.
struct Errors {
  double worst = 0,         ///< difference of an element, by the sum of its terms' magnitudes
      mean_square = 0;      ///< of the differences, by that of the definition
  bool others_kept = true;  ///< whether elements between C's rows are as before
};

/// The largest of what the device got wrong of p, as far as T lets it be told.
template <class T>
struct Allowed {
  static constexpr double worst = tolerance<T>;
  static constexpr double mean_square = sizeof(T) == 2 ? 5e-4 : std::is_same_v<T, float> ? 1e-10 : 1e-24;
};
template <class T>
bool right(const Errors& e) {
  return e.others_kept && e.worst <= Allowed<T>::worst && e.mean_square <= Allowed<T>::mean_square;
}

inline double identity(double x) { return x; }

template <class T>
struct Results {
  std::vector<T> c, pre_activation;
};

/// f(A B + bias) as run(shape, a, b, bias, c, pre_activation) computes it on the device.
template <class T, class Run>
Results<T> on_device(const Problem& p, const Run& run) {
  const GemmShape& s = p.shape;
  const auto values = [&](std::int64_t n, std::uint32_t site) { return test_values<T>(n + p.offset, site); };
  const DeviceArray<T> a(values(extent(s.a, s.batch, s.M, s.K), 1)), b(values(extent(s.b, s.batch, s.K, s.N), 2));
  const DeviceArray<T> bias(values(s.N, 4)), c(values(extent(s.c, s.batch, s.M, s.N), 3)), pre_activation(c.values());
  run(s, a.data() + p.offset, b.data() + p.offset, p.bias ? bias.data() + p.offset : nullptr, c.data() + p.offset,
      p.pre_activation ? pre_activation.data() + p.offset : nullptr);
  return {c.values(), pre_activation.values()};
}

/// What is wrong with a result that should be f(sum, its place in C) of the sums.
template <class T, class F>
Errors errors_of(const Problem& p, std::vector<T> result, const F& f) {
  const GemmShape& s = p.shape;
  const auto values = [&](std::int64_t n, std::uint32_t site) { return test_values<T>(n + p.offset, site); };
  const auto a = values(extent(s.a, s.batch, s.M, s.K), 1), b = values(extent(s.b, s.batch, s.K, s.N), 2);
  const auto bias = values(s.N, 4), before = values(extent(s.c, s.batch, s.M, s.N), 3);
  const auto at = [&](const std::vector<T>& x, std::int64_t i) {
    return double(x[static_cast<std::size_t>(i + p.offset)]);
  };
  Errors e;
  double squares = 0, differences = 0;
  for (std::int64_t n = 0; n < s.batch; ++n)
    for (std::int64_t i = 0; i < s.M; ++i)
      for (std::int64_t j = 0; j < s.N; ++j) {
        const std::int64_t to = n * s.c.batch + i * s.c.row + j;
        double sum = p.accumulate ? at(before, to) : p.bias ? at(bias, j) : 0, size = 1 + std::fabs(sum);
        for (std::int64_t k = 0; k < s.K; ++k) {
          const double term =
              at(a, n * s.a.batch + i * s.a.row + k * s.a.column) * at(b, n * s.b.batch + k * s.b.row + j * s.b.column);
          sum += term;
          size += std::fabs(term);
        }
        const double wanted = f(sum, to), difference = std::fabs(at(result, to) - wanted);
        e.worst = difference / size <= e.worst ? e.worst : difference / size;  // a NaN is the worst
        differences += difference * difference;
        squares += wanted * wanted;
        result[static_cast<std::size_t>(to + p.offset)] = before[static_cast<std::size_t>(to + p.offset)];
      }
  e.mean_square = squares > 0 ? differences / squares : differences;
  for (std::size_t i = 0; i < result.size(); ++i)
    e.others_kept = e.others_kept && double(result[i]) == double(before[i]);
  return e;
}

/// Whether the device gets everything right about p.
template <class T, class Run>
bool right(const Problem& p, const Run& run, double (*f)(double) = identity) {
  const auto results = on_device<T>(p, run);
  const auto of_sum = [](double (*g)(double)) { return [g](double sum, std::int64_t) { return g(sum); }; };
  return right<T>(errors_of(p, results.c, of_sum(f))) &&
         (!p.pre_activation || right<T>(errors_of(p, results.pre_activation, of_sum(identity))));
}

/// Any form of operands, dense along either side or neither, at any alignment, batched or not.
inline Problem random_problem(std::mt19937& engine) {
  const auto below = [&](int n) { return static_cast<std::int64_t>(engine() % static_cast<unsigned>(n)); };
  const auto size = [&]() -> std::int64_t {
    constexpr std::int64_t edges[] = {1, 2, 3, 4, 5, 7, 8, 16, 31, 32, 33, 48, 63, 64, 65};
    return below(3) ? edges[below(15)] : 1 + below(40);
  };
  const std::int64_t batch = std::max<std::int64_t>(1, below(5) - 1), M = size(), N = size(),
                     K = below(8) ? size() : 300 + below(200);
  const auto operand = [&](std::int64_t rows, std::int64_t columns) {
    const std::int64_t gap = below(2) * 8 * below(3) + below(4) / 3 * below(8), inner = below(9) ? 1 : 2;
    MatrixLayout m{(columns + gap) * inner, inner, below(6) ? rows * (columns + gap) * inner : 0};
    if (below(2)) m = {inner, (rows + gap) * inner, below(6) ? columns * (rows + gap) * inner : 0};
    return m;
  };
  Problem p{{batch, M, N, K, operand(M, K), operand(K, N), {}}};
  p.shape.c = {N + below(2) * 8 * below(2) + below(4) / 3 * below(5), 1, 0};
  p.shape.c.batch = M * p.shape.c.row + 8 * below(2);
  p.offset = below(3) ? 0 : 1 + below(8);
  return p;
}

}  // namespace products
