// SPDX-License-Identifier: MIT
// The CPU matrix product on thousands of random problems, against its definition.
#include <plinth/kernels/cpu/gemm.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <limits>
#include <ostream>
#include <random>
#include <vector>

#include "catch.hpp"
#include "kernels/gemm_definition.hpp"
#include "threads.hpp"

using namespace plinth;
using namespace gemm_definition;

namespace {

/// x, and a quarter of it where it is negative: no difference grows.
struct Leaky {
  template <class T>
  T forward(T x) const {
    return x < T(0) ? x / T(4) : x;
  }
};

/// A problem with operands and result at addresses of every alignment that T can have.
struct Problem {
  Product product;
  std::int64_t a_offset, b_offset, c_offset;
  bool accumulate, fused;
};

std::ostream& operator<<(std::ostream& out, const Problem& p) {
  const GemmShape& s = p.product.shape;
  return out << s.batch << " x " << s.M << " x " << s.N << " x " << s.K << ", a " << s.a.row << ' ' << s.a.column << ' '
             << s.a.batch << " + " << p.a_offset << ", b " << s.b.row << ' ' << s.b.column << ' ' << s.b.batch << " + "
             << p.b_offset << ", c " << s.c.row << " + " << p.c_offset << (p.accumulate ? ", accumulate" : "")
             << (p.fused ? ", fused" : "");
}

Problem random_problem(std::mt19937& engine) {
  const auto below = [&](int n) { return static_cast<std::int64_t>(engine() % static_cast<unsigned>(n)); };
  const auto size = [&]() -> std::int64_t {
    constexpr std::int64_t edges[] = {1, 2, 3, 7, 8, 13, 14, 15, 16, 17, 28, 31, 32, 33, 61, 64, 65, 96, 97, 113, 114, 121, 122, 127};
    return below(2) == 0 ? edges[below(20)] : 1 + below(70);
  };
  const char* forms[] = {"NN", "NT", "TN", "TT"};
  const std::int64_t batch = std::max<std::int64_t>(1, below(5) - 1), gap = below(2) * below(4);
  const std::int64_t M = size(), N = size(), K = below(16) == 0 ? 1500 + below(200) : size();
  Problem p{product(forms[below(4)], batch, M, N, K, gap), below(4), below(4), below(4), below(3) == 0, below(3) == 0};
  p.accumulate = p.accumulate && !p.fused;
  if (below(8) == 0) p.product.shape.b.batch = 0;
  return p;
}

/// What the library makes of a problem: C in the midst of guards, and what its formula was applied to.
template <class T>
struct Result {
  std::vector<T> c, pre_activation;
};

/// C before the call: NaN, unless it is added to; numbers around it.
template <class T>
Result<T> poisoned(const Problem& p, const std::vector<Expected>& all) {
  auto c = random_values<T>(p.product.c_elements + p.c_offset + 64, 3);
  if (!p.accumulate)
    for (const Expected& e : all) c[e.at] = T(std::numeric_limits<float>::quiet_NaN());
  return {c, c};
}

template <class T>
Result<T> run(const Problem& p, InstructionSet set, const T* a, const T* b, const T* bias, Result<T> to) {
  T* c = to.c.data() + p.c_offset;
  auto& queue = plinth::queue<Cpu>::current();
  if (p.fused)
    cpu::gemm_bias_activation(queue, set, p.product.shape, Leaky{}, a, b, bias, c,
                              to.pre_activation.data() + p.c_offset);
  else
    cpu::gemm(queue, set, p.product.shape, a, b, c, p.accumulate);
  return to;
}

template <class T>
bool same_bits(const std::vector<T>& x, const std::vector<T>& y) {
  return std::memcmp(x.data(), y.data(), x.size() * sizeof(T)) == 0;
}

template <class T>
void check(const Problem& p) {
  const auto a = random_values<T>(p.product.a_elements + p.a_offset, 1);
  const auto b = random_values<T>(p.product.b_elements + p.b_offset, 2);
  const auto bias = p.fused ? random_values<T>(p.product.shape.N, 4) : std::vector<T>{};
  auto all = expected(p.product.shape, a.data() + p.a_offset, b.data() + p.b_offset);
  for (Expected& e : all) e.at += static_cast<std::size_t>(p.c_offset);
  const Result<T> before = poisoned<T>(p, all);
  for (const InstructionSet set : instruction_sets()) {
    const auto with = [&](int threads) {
      const Threads so_many(threads);
      return run(p, set, a.data() + p.a_offset, b.data() + p.b_offset, bias.data(), before);
    };
    const Result<T> one = with(1), several = with(2 + static_cast<int>(p.product.shape.M % 3));
    INFO(p << ", set " << static_cast<int>(set));
    if (p.fused) {
      CHECK(wrong(all, one.c, before.c, false, bias, Leaky{}) == 0);
      CHECK(wrong(all, one.pre_activation, before.pre_activation, false, bias) == 0);
    } else {
      CHECK(wrong(all, one.c, before.c, p.accumulate) == 0);
    }
    CHECK((same_bits(one.c, several.c) && same_bits(one.pre_activation, several.pre_activation)));
  }
}

}  // namespace

TEMPLATE_TEST_CASE("gemm of random problems equals the definition", "", float, double, bfloat16, half) {
  std::mt19937 engine(7);
  const int problems = std::same_as<TestType, float> || std::same_as<TestType, bfloat16> ? 2000 : 300;
  for (int n = 0; n < problems; ++n) check<TestType>(random_problem(engine));
}
