// SPDX-License-Identifier: MIT
// CUDA's product followed by a bias and a formula, against double arithmetic.
#include <plinth/activation/gelu.hpp>
#include <plinth/activation/relu.hpp>

#include <limits>

#include "catch.hpp"
#include "kernels/cuda/products.hpp"

using namespace products;

namespace {

double relu_of(double x) { return x > 0 ? x : 0; }
double gelu_tanh_of(double x) {
  return x / 2 * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
}
double leaky_of(double x) { return x > 0 ? x : x / 4; }

/// A formula with a constant of its own.
struct Leaky {
  double slope;
  template <class T>
  PLINTH_HD T forward(T x) const {
    return x < T(0) ? T(slope) * x : x;
  }
};

template <class T, class F>
auto fused(F f) {
  return [=](const GemmShape& shape, const T* a, const T* b, const T* bias, T* c, T* pre_activation) {
    kernels<Cuda>::gemm_bias_activation(queue<Cuda>::current(), shape, f, a, b, bias, c, pre_activation);
  };
}

}  // namespace

TEMPLATE_TEST_CASE("cuda fused gemm: formulas, with and without bias and pre-activation", "[cuda]", float, double,
                   bfloat16, plinth::half) {
  using T = TestType;
  const std::int64_t sizes[][3] = {{1, 40, 33}, {3, 8, 256}, {16, 24, 40}, {33, 31, 17}, {5, 16, 0}};
  for (const auto& [M, N, K] : sizes)
    for (const int transposes : {0, 2})
      for (const int parts : {0, 1, 2, 3}) {
        const Problem p{.shape = dense(M, N, K, transposes), .bias = (parts & 1) != 0, .pre_activation = parts > 1};
        CAPTURE(p);
        CHECK(right<T>(p, fused<T>(Identity{})));
        CHECK(right<T>(p, fused<T>(Relu{}), relu_of));
        CHECK(right<T>(p, fused<T>(GeluTanh{}), gelu_tanh_of));
        CHECK(right<T>(p, fused<T>(Leaky{0.25}), leaky_of));
      }
}

TEMPLATE_TEST_CASE("cuda fused gemm: random problems", "[cuda]", float, double, bfloat16, plinth::half) {
  using T = TestType;
  std::mt19937 engine(8);
  for (int n = 0; n < 100; ++n) {
    Problem p = random_problem(engine);
    p.bias = n % 4 != 0;
    p.pre_activation = n % 3 != 0;
    CAPTURE(p);
    CHECK(right<T>(p, fused<T>(GeluTanh{}), gelu_tanh_of));
    CHECK(right<T>(p, fused<T>(Leaky{0.25}), leaky_of));
  }
}

TEST_CASE("cuda fused gemm: a NaN passes through", "[cuda]") {
  const std::vector<float> ones(16 * 16, 1.0f);
  auto a = ones;
  a[0] = std::numeric_limits<float>::quiet_NaN();
  const DeviceArray<float> on_a(a), b(ones), c(ones);
  const auto first_rows = [&](auto f) {
    fused<float>(f)(dense(16, 16, 16), on_a.data(), b.data(), b.data(), c.data(), nullptr);
    const auto values = c.values();
    return std::isnan(values[0]) && !std::isnan(values[16]);
  };
  CHECK(first_rows(Relu{}));
  CHECK(first_rows(GeluTanh{}));
}
