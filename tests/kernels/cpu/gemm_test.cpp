// SPDX-License-Identifier: MIT
// The CPU matrix product against a triple loop in double, for every instruction set this processor has.
#include <plinth/kernels/cpu/gemm.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "catch.hpp"
#include "kernels/gemm_definition.hpp"
#include "threads.hpp"

using namespace plinth;
using namespace gemm_definition;

namespace {

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

TEMPLATE_TEST_CASE("few rows with a K of several sums", "", float, double, bfloat16, half) {
  for (const std::int64_t K : {4096, 4097, 8200})
    for (const std::int64_t N : {1, 2, 3, 4, 5, 37})
      for (const std::int64_t M : {1, 2}) check<TestType>(product("NT", 1, M, N, K), N == 5);
}

TEST_CASE("gemm of large and of conflicting strides equals the definition") {
  check<float>(product("TN", 1, 512, 70, 530), false);
  check<float>(product("TN", 1, 768, 40, 400), true);
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

TEMPLATE_TEST_CASE("a packed B gives the same bits", "", float, double, bfloat16, half) {
  auto& q = queue<Cpu>::current();
  struct Size {
    std::int64_t M, N, K;
  };
  for (const char* form : {"NT", "NN"})
    for (const auto& [M, N, K] : {Size{1, 37, 50}, {3, 70, 37}, {14, 32, 48}, {33, 1, 1}, {20, 65, 1700}, {5, 2700, 900}, {700, 40, 800}}) {
      const Product p = product(form, 1, M, N, K, 3);
      const auto a = random_values<TestType>(p.a_elements, 1), b = random_values<TestType>(p.b_elements, 2),
                 bias = random_values<TestType>(N, 3);
      for (const InstructionSet set : instruction_sets())
        for (const int threads : {1, 3}) {
          const Threads limit(threads);
          INFO(form << ", set " << static_cast<int>(set) << ", " << M << " x " << N << " x " << K);
          std::vector<unsigned char> packed(static_cast<std::size_t>(cpu::packed_bytes<TestType>(set, N, K)) + 1, 0xff);
          cpu::pack_b(q, set, p.shape, b.data(), packed.data());
          CHECK(packed.back() == 0xff);
          std::vector<TestType> c(static_cast<std::size_t>(p.c_elements)), d = c, z = c, x = c;
          cpu::gemm_bias_activation(q, set, p.shape, Square{}, a.data(), b.data(), bias.data(), c.data(), z.data());
          cpu::gemm_bias_activation(q, set, p.shape, Square{}, a.data(), b.data(), bias.data(), d.data(), x.data(),
                                    packed.data());
          CHECK(std::memcmp(c.data(), d.data(), c.size() * sizeof(TestType)) == 0);
          CHECK(std::memcmp(z.data(), x.data(), c.size() * sizeof(TestType)) == 0);
        }
    }
}

TEMPLATE_TEST_CASE("sums over a long K that scratch cannot hold for all of C", "", bfloat16, half) {
  const Product p = product("NN", 1, 1500, 1500, 1601);
  std::mt19937 engine(5);
  std::vector<TestType> a(static_cast<std::size_t>(p.a_elements)), b(static_cast<std::size_t>(p.b_elements));
  for (TestType& value : b) value = static_cast<TestType>(static_cast<float>(engine() % 5) - 2);
  std::vector<std::size_t> places;  // of three ones in each row of A: every sum is exact
  for (std::size_t i = 0; i < 1500; ++i)
    for (std::size_t third = 0; third < 3; ++third) {
      places.push_back(third * 500 + engine() % 500 + (third == 2 ? 101 : 0));
      a[i * 1601 + places.back()] = static_cast<TestType>(1.0f);
    }
  std::vector<TestType> c(static_cast<std::size_t>(p.c_elements));
  cpu::CpuGemm::gemm(queue<Cpu>::current(), p.shape, a.data(), b.data(), c.data(), false);
  int different = 0;
  for (std::size_t i = 0; i < 1500; ++i)
    for (std::size_t j = 0; j < 1500; ++j) {
      const std::size_t* k = places.data() + 3 * i;
      different += c[i * 1500 + j] != b[k[0] * 1500 + j] + b[k[1] * 1500 + j] + b[k[2] * 1500 + j];
    }
  CHECK(different == 0);
}

TEMPLATE_TEST_CASE("an infinity reaches its own row alone", "", float, bfloat16, half) {
  for (const char* form : {"NN", "NT", "TN", "TT"})
    for (const std::int64_t K : {1, 31, 33, 95}) {
      const Product p = product(form, 1, 17, 35, K);
      std::vector<TestType> a(static_cast<std::size_t>(p.a_elements), TestType(1.0f)), c(17 * 35);
      const std::vector<TestType> b(static_cast<std::size_t>(p.b_elements), TestType(1.0f));
      const TestType infinity(std::numeric_limits<float>::infinity());
      a[static_cast<std::size_t>(3 * p.shape.a.row + (K - 1) * p.shape.a.column)] = infinity;
      for (const InstructionSet set : instruction_sets()) {
        cpu::gemm(queue<Cpu>::current(), set, p.shape, a.data(), b.data(), c.data(), false);
        int different = 0;
        for (std::size_t i = 0; i < c.size(); ++i)
          different += static_cast<float>(c[i]) != (i / 35 == 3 ? static_cast<float>(infinity) : static_cast<float>(K));
        CHECK(different == 0);
      }
    }
}

TEST_CASE("bfloat16 on processors with AVX-512 that do not multiply it") {
  for (const char* form : {"NN", "NT", "TN", "TT"})
    for (const std::int64_t K : {1, 37, 1601}) {
      const Product p = product(form, 1, 33, 67, K, 1);
      const auto a = random_values<bfloat16>(p.a_elements, 1), b = random_values<bfloat16>(p.b_elements, 2);
      const auto before = random_values<bfloat16>(p.c_elements, 3);
      auto c = before;
      const Identity identity;
      cpu::BlockedGemm<bfloat16>(queue<Cpu>::current(), instruction_set(),
                                 {p.shape, a.data(), b.data(), c.data(), nullptr, nullptr, true,
                                  &cpu::finish_block<Identity, bfloat16>, &identity})
          .run();
      CHECK(wrong(expected(p.shape, a.data(), b.data()), c, before, true) == 0);
    }
}

TEMPLATE_TEST_CASE("bits depend on neither threads nor alignment", "", float, bfloat16) {
  using T = TestType;
  const struct {
    const char* form;
    std::int64_t batch, M, N, K;
  } cases[] = {{"NT", 1, 200, 768, 3072}, {"TN", 1, 130, 65, 768}, {"NN", 1, 15, 900, 1000}, {"NT", 12, 33, 31, 17},
               {"NN", 3, 64, 64, 32}, {"NT", 1, 1, 5000, 130}, {"NT", 1, 2, 900, 5000}, {"NN", 1, 70, 96, 3333}};
  for (const auto& one : cases) {
    const Product p = product(one.form, one.batch, one.M, one.N, one.K);
    const auto a = random_values<T>(p.a_elements + 1, 1), b = random_values<T>(p.b_elements + 1, 2);
    const auto bias = random_values<T>(one.N + 1, 3);
    for (const InstructionSet set : instruction_sets()) {
      std::vector<T> first;
      for (const int threads : {1, 2, 3, 4})
        for (const int offset : {0, 1}) {
          const Threads several(threads);
          auto shifted = [&](const std::vector<T>& x) {  // x at an address `offset` elements further
            std::vector<T> copy(x.size() + 1);
            std::copy(x.begin(), x.end() - 1, copy.begin() + offset);
            return copy;
          };
          const auto sa = shifted(a), sb = shifted(b), sbias = shifted(bias);
          std::vector<T> c(static_cast<std::size_t>(p.c_elements + 1));
          cpu::gemm_bias_activation(queue<Cpu>::current(), set, p.shape, Square{}, sa.data() + offset, sb.data() + offset,
                                    sbias.data() + offset, c.data() + offset, static_cast<T*>(nullptr));
          const std::vector<T> result(c.begin() + offset, c.end() - 1 + offset);
          if (first.empty()) first = result;
          INFO(one.form << ", set " << static_cast<int>(set) << ", " << threads << " threads, offset " << offset);
          CHECK(std::memcmp(first.data(), result.data(), first.size() * sizeof(T)) == 0);
        }
    }
  }
}
