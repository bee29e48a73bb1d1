// SPDX-License-Identifier: MIT
// The matrix product by its definition, a triple loop in double, and operands to try it with.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <type_traits>
#include <vector>

#include <plinth/kernels/arguments.hpp>
#include <plinth/tensor/element.hpp>
#include <plinth/tensor/instruction_set.hpp>

namespace gemm_definition {

using namespace plinth;

/// A matrix of a product: its layout and the elements it reaches.
struct Operand {
  MatrixLayout layout;
  std::int64_t elements;
};

/// Rows contiguous ('N') or columns contiguous ('T'), `gap` unused elements between them.
inline Operand operand(char form, std::int64_t batch, std::int64_t rows, std::int64_t columns, std::int64_t gap) {
  const std::int64_t width = (form == 'T' ? rows : columns) + gap, lines = form == 'T' ? columns : rows;
  const std::int64_t matrix = lines * width + gap;
  if (form == 'T') return {{1, width, matrix}, batch * matrix};
  return {{width, 1, matrix}, batch * matrix};
}

template <class T>
std::vector<T> random_values(std::int64_t n, unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  std::vector<T> values(static_cast<std::size_t>(n));
  for (T& value : values) value = static_cast<T>(uniform(engine));
  return values;
}

struct Product {
  GemmShape shape;
  std::int64_t a_elements, b_elements, c_elements;
};

inline Product product(const char* form, std::int64_t batch, std::int64_t M, std::int64_t N, std::int64_t K,
                       std::int64_t gap = 0) {
  const Operand a = operand(form[0], batch, M, K, gap), b = operand(form[1], batch, K, N, gap);
  const Operand c = operand('N', batch, M, N, gap);
  return {{batch, M, N, K, a.layout, b.layout, c.layout}, a.elements, b.elements, c.elements};
}

/// Half a unit in the last place of 1.
template <class T>
constexpr double epsilon() {
  if (std::is_same_v<T, double>) return 0x1p-53;
  if (std::is_same_v<T, float>) return 0x1p-24;
  return std::is_same_v<T, half> ? 0x1p-11 : 0x1p-8;
}

/// An element by the definition, and a bound on the error of summing it in accumulator_t<T>.
struct Expected {
  std::size_t at;
  double value, bound;
};
template <class T>
std::vector<Expected> expected(const GemmShape& s, const T* a, const T* b) {
  std::vector<Expected> all;
  for (std::int64_t n = 0; n < s.batch; ++n)
    for (std::int64_t i = 0; i < s.M; ++i)
      for (std::int64_t j = 0; j < s.N; ++j) {
        double sum = 0, size = 0;
        for (std::int64_t k = 0; k < s.K; ++k) {
          const double term = static_cast<double>(a[n * s.a.batch + i * s.a.row + k * s.a.column]) *
                              static_cast<double>(b[n * s.b.batch + k * s.b.row + j * s.b.column]);
          sum += term;
          size += std::abs(term);
        }
        const double chain = 4 * std::sqrt(static_cast<double>(s.K) + 1) * epsilon<accumulator_t<T>>();
        all.push_back({static_cast<std::size_t>(n * s.c.batch + i * s.c.row + j), sum, chain * (size + 1)});
      }
  return all;
}

/// The number of elements of C that are further from f(A B (+ before) (+ bias)) than the bound, and 1 if an element
/// between them changed. f must not enlarge a difference.
template <class T, class F = Identity>
int wrong(const std::vector<Expected>& all, const std::vector<T>& c, const std::vector<T>& before, bool accumulate,
          const std::vector<T>& bias = {}, F f = {}) {
  std::vector<T> copy = before;
  int count = 0;
  for (const Expected& e : all) {
    double value = e.value;
    if (accumulate) value += static_cast<double>(before[e.at]);
    if (!bias.empty()) value += static_cast<double>(bias[static_cast<std::size_t>(&e - all.data()) % bias.size()]);
    value = f.forward(value);
    const double rounding = std::is_same_v<T, accumulator_t<T>> ? 0 : 2 * epsilon<T>() * std::abs(value);
    if (!(std::abs(static_cast<double>(c[e.at]) - value) <= e.bound + rounding)) ++count;
    copy[e.at] = c[e.at];
  }
  return count + (c.empty() || std::memcmp(copy.data(), c.data(), c.size() * sizeof(T)) == 0 ? 0 : 1);
}

inline std::vector<InstructionSet> instruction_sets() {
  std::vector<InstructionSet> sets;
  for (const auto set : {InstructionSet::baseline, InstructionSet::avx2, InstructionSet::avx512})
    if (set <= instruction_set()) sets.push_back(set);
  return sets;
}

}  // namespace gemm_definition
