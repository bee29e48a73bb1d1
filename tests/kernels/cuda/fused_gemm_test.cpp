// SPDX-License-Identifier: MIT
// CUDA's product followed by a bias and a formula, against double arithmetic.
#include <plinth/activation/gelu.hpp>
#include <plinth/activation/relu.hpp>

#include <cstring>
#include <limits>

#include "catch.hpp"
#include "kernels/cuda/products.hpp"

using namespace products;

namespace {

double relu_of(double x) { return x > 0 ? x : 0; }
double gelu_tanh_of(double x) {
  return x / 2 * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
}
double gelu_tanh_slope(double x) {
  const double root = std::sqrt(2 / std::acos(-1.0)), t = std::tanh(root * (x + 0.044715 * x * x * x));
  return (1 + t) / 2 + x / 2 * (1 - t * t) * root * (1 + 3 * 0.044715 * x * x);
}
double leaky_of(double x) { return x > 0 ? x : x / 4; }

/// A formula with a constant of its own.
struct Leaky {
  double slope;
  template <class T>
  PLINTH_HD T forward(T x) const {
    return x < T(0) ? T(slope) * x : x;
  }
  template <class T>
  PLINTH_HD T backward(T x, T dy) const {
    return x < T(0) ? T(slope) * dy : dy;
  }
};

template <class T, class F>
auto fused(F f) {
  return [=](const GemmShape& shape, const T* a, const T* b, const T* bias, T* c, T* pre_activation) {
    kernels<Cuda>::gemm_bias_activation(queue<Cuda>::current(), shape, f, a, b, bias, c, pre_activation);
  };
}

/// Whether C = f.backward(z, A B) is right, `slope` being that of f, for an all but simple z: the values before C.
template <class T, class F>
bool backward_is_right(Problem p, F f, double (*slope)(double)) {
  p.pre_activation = true;  // a copy of what is in C before
  const auto run = [&](const GemmShape& s, const T* a, const T* b, const T*, T* c, T* z) {
    kernels<Cuda>::gemm_activation_backward(queue<Cuda>::current(), s, f, a, b, z, c);
  };
  const auto results = on_device<T>(p, run);
  const auto z = on_device<T>(p, [](const auto&...) {}).c;
  if (std::memcmp(z.data(), results.pre_activation.data(), z.size() * sizeof(T)) != 0) return false;  // it is only read
  return right<T>(errors_of(p, results.c, [&](double sum, std::int64_t at) {
    return sum * slope(double(z[static_cast<std::size_t>(at + p.offset)]));
  }));
}

/// The largest error in dW and db, by the magnitude of the rows' sums.
template <class T>
double error_of_weight_gradients(std::int64_t rows, std::int64_t outputs, std::int64_t inputs, std::int64_t offset) {
  const auto dz = test_values<T>(rows * outputs + offset, 1), x = test_values<T>(rows * inputs + offset, 2);
  const DeviceArray<T> on_dz(dz), on_x(x), dw(test_values<T>(outputs * inputs + offset, 3)),
      db(test_values<T>(outputs + offset, 4));
  kernels<Cuda>::linear_weight_backward(queue<Cuda>::current(), rows, outputs, inputs, on_dz.data() + offset,
                                        on_x.data() + offset, dw.data() + offset, db.data() + offset);
  const auto got_dw = dw.values(), got_db = db.values();
  const auto at = [&](const std::vector<T>& v, std::int64_t i) { return double(v[static_cast<std::size_t>(i + offset)]); };
  double worst = 0;
  for (std::int64_t o = 0; o < outputs; ++o)
    for (std::int64_t i = -1; i < inputs; ++i) {  // -1: the bias
      double sum = 0, size = 1;
      for (std::int64_t r = 0; r < rows; ++r) {
        const double term = at(dz, r * outputs + o) * (i < 0 ? 1 : at(x, r * inputs + i));
        sum += term, size += std::fabs(term);
      }
      const double error = std::fabs((i < 0 ? at(got_db, o) : at(got_dw, o * inputs + i)) - sum) / size;
      worst = error <= worst ? worst : error;  // a NaN is the worst
    }
  return worst;
}

}  // namespace

TEMPLATE_TEST_CASE("cuda fused gemm: products times the slope of a formula", "[cuda]", float, bfloat16) {
  std::mt19937 engine(9);
  std::vector<Problem> problems = {{dense(16, 24, 40)}, {dense(16, 21, 40)}, {dense(3, 16, 40, 2)}, {dense(5, 8, 0)}};
  for (int n = 0; n < 30; ++n) problems.push_back(random_problem(engine));
  for (const Problem& p : problems) {
    CAPTURE(p);
    CHECK(backward_is_right<TestType>(p, GeluTanh{}, gelu_tanh_slope));
    CHECK(backward_is_right<TestType>(p, Leaky{0.25}, [](double x) { return x < 0 ? 0.25 : 1.0; }));
  }
}

TEMPLATE_TEST_CASE("cuda fused gemm: gradients of a linear layer's weight and bias", "[cuda]", float, double, bfloat16) {
  const std::int64_t sizes[][3] = {{40, 16, 24}, {33, 7, 9}, {70, 3, 8}, {1, 5, 6}, {0, 5, 6}, {9, 5, 0}, {100, 1, 1}};
  for (const auto& [rows, outputs, inputs] : sizes)
    for (const std::int64_t offset : {0, 3}) {
      CAPTURE(rows, outputs, inputs, offset);
      CHECK(error_of_weight_gradients<TestType>(rows, outputs, inputs, offset) <= tolerance<TestType>);
    }
}

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
