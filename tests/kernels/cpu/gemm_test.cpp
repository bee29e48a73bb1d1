// SPDX-License-Identifier: MIT
// The CPU matrix product against a triple loop in double, for every instruction set this processor has.
#include <plinth/kernels/cpu/gemm.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "catch.hpp"
#include "threads.hpp"

using namespace plinth;

namespace {

/// A matrix of a product: its layout and the elements it reaches.
struct Operand {
  MatrixLayout layout;
  std::int64_t elements;
};

/// Rows contiguous ('N') or columns contiguous ('T'), `gap` unused elements between them.
Operand operand(char form, std::int64_t batch, std::int64_t rows, std::int64_t columns, std::int64_t gap) {
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

Product product(const char* form, std::int64_t batch, std::int64_t M, std::int64_t N, std::int64_t K,
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

/// The number of elements of C that are further from A B (+ before) (+ bias) than the bound, and 1 if an element
/// between them changed.
template <class T>
int wrong(const std::vector<Expected>& all, const std::vector<T>& c, const std::vector<T>& before, bool accumulate,
          const std::vector<T>& bias = {}) {
  std::vector<T> copy = before;
  int count = 0;
  for (const Expected& e : all) {
    double value = e.value;
    if (accumulate) value += static_cast<double>(before[e.at]);
    if (!bias.empty()) value += static_cast<double>(bias[static_cast<std::size_t>(&e - all.data()) % bias.size()]);
    const double rounding = std::is_same_v<T, accumulator_t<T>> ? 0 : 2 * epsilon<T>() * std::abs(value);
    if (!(std::abs(static_cast<double>(c[e.at]) - value) <= e.bound + rounding)) ++count;
    copy[e.at] = c[e.at];
  }
  return count + (c.empty() || std::memcmp(copy.data(), c.data(), c.size() * sizeof(T)) == 0 ? 0 : 1);
}

std::vector<InstructionSet> instruction_sets() {
  std::vector<InstructionSet> sets;
  for (const auto set : {InstructionSet::baseline, InstructionSet::avx2, InstructionSet::avx512})
    if (set <= instruction_set()) sets.push_back(set);
  return sets;
}

template <class T>
void check(const Product& p, bool accumulate) {
  const Threads one(1);
  const auto a = random_values<T>(p.a_elements, 1), b = random_values<T>(p.b_elements, 2);
  const auto before = random_values<T>(p.c_elements, 3);
  const auto all = expected(p.shape, a.data(), b.data());
  for (const InstructionSet set : instruction_sets()) {
    auto c = before;
    cpu::gemm(queue<Cpu>::current(), set, p.shape, a.data(), b.data(), c.data(), accumulate);
    INFO("set " << static_cast<int>(set) << ", " << p.shape.batch << " x " << p.shape.M << " x " << p.shape.N << " x "
                << p.shape.K << (accumulate ? ", accumulate" : ""));
    CHECK(wrong(all, c, before, accumulate) == 0);
  }
}

struct Square {
  template <class T>
  T forward(T x) const {
    return scale == 1.0f ? x * x : x;
  }
  float scale = 1.0f;
};

}  // namespace

TEST_CASE("gemm equals the definition at every tail of a tile") {
  for (const std::int64_t M : {1, 2, 7, 8, 9, 13, 14, 15, 16, 17, 22, 23, 31, 37})
    for (const std::int64_t N : {1, 3, 4, 5, 8, 9, 15, 16, 17, 31, 32, 33, 48, 65})
      for (const std::int64_t K : {1, 17, 50}) check<float>(product("NN", 1, M, N, K), false);
}

TEMPLATE_TEST_CASE("gemm takes every layout, batch and gap", "", float, double, bfloat16, half) {
  for (const char* form : {"NN", "NT", "TN", "TT"})
    for (const std::int64_t batch : {1, 3, 9})
      for (const std::int64_t gap : {0, 3})
        for (const bool accumulate : {false, true}) {
          INFO(form);
          check<TestType>(product(form, batch, 33, 37, 29, gap), accumulate);
          check<TestType>(product(form, batch, 14, 32, 48, gap), accumulate);
          for (const std::int64_t M : {1, 2, 3}) check<TestType>(product(form, batch, M, 70, 37, gap), accumulate);
        }
}

TEMPLATE_TEST_CASE("gemm keeps every step of a long K", "", float, double, bfloat16, half) {
  for (const char* form : {"NN", "NT", "TN", "TT"})
    for (const std::int64_t K : {383, 385, 767, 769, 1537})
      for (const bool accumulate : {false, true}) {
        check<TestType>(product(form, 1, 30, 40, K), accumulate);
        check<TestType>(product(form, 1, 1, 40, K), accumulate);
      }
}

TEST_CASE("gemm of large and of conflicting strides equals the definition") {
  check<float>(product("NT", 1, 530, 70, 1024), false);
  check<float>(product("TN", 1, 1024, 40, 60), true);
  check<float>(product("NN", 1, 20, 3000, 770), true);
  check<double>(product("NN", 2, 20, 1500, 770), true);
}

TEST_CASE("a stride of zero shares a matrix or repeats a row") {
  for (const bool accumulate : {false, true}) {
    Product p = product("NN", 5, 20, 33, 40);
    p.shape.b.batch = 0;
    check<float>(p, accumulate);
    p = product("NT", 5, 20, 33, 40, 2);
    p.shape.b.batch = 0;
    check<float>(p, accumulate);
    p.shape.a.batch = 0;
    check<float>(p, accumulate);
    p = product("TN", 5, 20, 33, 40);
    p.shape.a.batch = 0;
    check<float>(p, accumulate);
    p = product("NN", 2, 20, 33, 40);
    p.shape.a.row = 0;
    p.shape.b.column = 0;
    check<float>(p, accumulate);
    p = product("NN", 1, 20, 33, 20);
    p.shape.a = {2, 3, 0};  // neither rows nor columns are contiguous
    p.a_elements = 2 * 20 + 3 * 20;
    p.shape.b = {5, 2, 0};
    p.b_elements = 5 * 20 + 2 * 33;
    check<float>(p, accumulate);
    check<half>(p, accumulate);
  }
}

TEST_CASE("gemm of empty matrices") {
  check<float>(product("NN", 2, 3, 5, 0), false);  // zeros
  check<float>(product("NN", 2, 3, 5, 0), true);   // unchanged
  check<bfloat16>(product("NT", 2, 3, 5, 0), false);
  check<double>(product("TN", 9, 3, 5, 0), false);
  for (const auto& p : {product("NN", 0, 3, 5, 2), product("NN", 1, 0, 5, 2), product("NN", 1, 3, 0, 2)})
    cpu::CpuGemm::gemm<float>(queue<Cpu>::current(), p.shape, nullptr, nullptr, nullptr, false);
  const Product p = product("NN", 1, 3, 5, 0);
  const auto bias = random_values<float>(5, 4);
  std::vector<float> c(15);
  cpu::CpuGemm::gemm_bias_activation(queue<Cpu>::current(), p.shape, Identity{}, c.data(), c.data(), bias.data(),
                                     c.data(), static_cast<float*>(nullptr));
  CHECK(std::equal(bias.begin(), bias.end(), c.begin() + 10));
}

TEMPLATE_TEST_CASE("bias, activation and what backward needs", "", float, double, bfloat16, half) {
  using T = TestType;
  for (const char* form : {"NN", "NT", "TN"})
    for (const auto& [batch, M, K] : std::vector<std::array<std::int64_t, 3>>{
             {3, 33, 0}, {3, 33, 20}, {3, 33, 1000}, {1, 1, 0}, {1, 1, 20}, {1, 2, 1000}}) {
      const Product p = product(form, batch, M, 37, K, 2);
      const auto a = random_values<T>(p.a_elements, 1), b = random_values<T>(p.b_elements, 2);
      const auto bias = random_values<T>(37, 3), before = random_values<T>(p.c_elements, 4);
      const auto all = expected(p.shape, a.data(), b.data());
      for (const InstructionSet set : instruction_sets()) {
        auto c = before, pre = before, square = before;
        auto& queue = plinth::queue<Cpu>::current();
        cpu::gemm_bias_activation(queue, set, p.shape, Square{}, a.data(), b.data(), bias.data(), square.data(), pre.data());
        CHECK(wrong(all, pre, before, false, bias) == 0);
        cpu::gemm_bias_activation(queue, set, p.shape, Identity{}, a.data(), b.data(), bias.data(), c.data(),
                                  static_cast<T*>(nullptr));
        CHECK(std::memcmp(c.data(), pre.data(), c.size() * sizeof(T)) == 0);
        int different = 0;
        for (const Expected& e : all) {
          const double z = static_cast<double>(pre[e.at]);
          different += !(std::abs(static_cast<double>(square[e.at]) - z * z) <= 6 * epsilon<T>() * z * z + 0x1p-24);
        }
        CHECK(different == 0);
        cpu::gemm_bias_activation(queue, set, p.shape, Identity{}, a.data(), b.data(), static_cast<const T*>(nullptr),
                                  c.data(), static_cast<T*>(nullptr));
        CHECK(wrong(all, c, before, false) == 0);
      }
    }
}

TEST_CASE("bits depend on neither threads nor alignment") {
  const struct {
    const char* form;
    std::int64_t batch, M, N, K;
  } cases[] = {{"NT", 1, 200, 768, 3072}, {"TN", 1, 130, 65, 768}, {"NN", 1, 15, 900, 1000}, {"NT", 12, 33, 31, 17},
               {"NN", 3, 64, 64, 32}, {"NT", 1, 1, 5000, 130}, {"NT", 1, 2, 900, 5000}};
  for (const auto& one : cases) {
    const Product p = product(one.form, one.batch, one.M, one.N, one.K);
    const auto a = random_values<float>(p.a_elements + 1, 1), b = random_values<float>(p.b_elements + 1, 2);
    const auto bias = random_values<float>(one.N + 1, 3);
    for (const InstructionSet set : instruction_sets()) {
      std::vector<float> first;
      for (const int threads : {1, 2, 3, 4})
        for (const int offset : {0, 1}) {
          const Threads several(threads);
          auto shifted = [&](const std::vector<float>& x) {  // x at an address `offset` floats further
            std::vector<float> copy(x.size() + 1);
            std::copy(x.begin(), x.end() - 1, copy.begin() + offset);
            return copy;
          };
          const auto sa = shifted(a), sb = shifted(b), sbias = shifted(bias);
          std::vector<float> c(static_cast<std::size_t>(p.c_elements + 1));
          cpu::gemm_bias_activation(queue<Cpu>::current(), set, p.shape, Square{}, sa.data() + offset, sb.data() + offset,
                                    sbias.data() + offset, c.data() + offset, static_cast<float*>(nullptr));
          const std::vector<float> result(c.begin() + offset, c.end() - 1 + offset);
          if (first.empty()) first = result;
          INFO(one.form << ", set " << static_cast<int>(set) << ", " << threads << " threads, offset " << offset);
          CHECK(std::memcmp(first.data(), result.data(), first.size() * sizeof(float)) == 0);
        }
    }
  }
}
