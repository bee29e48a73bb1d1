// SPDX-License-Identifier: MIT
// The pointwise CUDA kernels against double arithmetic.
#include "kernels/cuda/device_array.hpp"

#include <cmath>

#include "catch.hpp"

using namespace plinth;

namespace {

/// y = factor x^2
struct Parabola {
  double factor = 1;
  template <class T>
  PLINTH_HD T forward(T x) const {
    return static_cast<T>(factor) * x * x;
  }
  template <class T>
  PLINTH_HD T backward(T x, T dy) const {
    return dy * static_cast<T>(2 * factor) * x;
  }
};

}  // namespace

TEMPLATE_TEST_CASE("cuda pointwise: every length, forward and backward", "[cuda]", float, double, bfloat16, plinth::half) {
  using T = TestType;
  auto& gpu = queue<Cuda>::current();
  const Parabola formula{0.75};
  for (const std::int64_t n : {0, 1, 3, 4, 5, 7, 8, 9, 255, 256, 1025, 5000}) {
    const auto x = test_values<T>(n, 1), dy = test_values<T>(n, 2);
    const DeviceArray<T> on_x(x), on_dy(dy), on_y(x), on_dx(x);
    kernels<Cuda>::pointwise(gpu, n, formula, on_x.data(), on_y.data());
    kernels<Cuda>::pointwise_backward(gpu, n, formula, on_x.data(), on_dy.data(), on_dx.data());
    const auto y = on_y.values(), dx = on_dx.values();
    double worst = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double xi = double(x[i]), dyi = double(dy[i]);
      worst = std::fmax(worst, std::fabs(double(y[i]) - 0.75 * xi * xi));
      worst = std::fmax(worst, std::fabs(double(dx[i]) - dyi * 1.5 * xi));
    }
    CAPTURE(n);
    CHECK(worst <= tolerance<T>);
  }
}

TEMPLATE_TEST_CASE("cuda fill, cast, accumulate, scale", "[cuda]", float, double, bfloat16, plinth::half) {
  using T = TestType;
  using A = accumulator_t<T>;
  auto& gpu = queue<Cuda>::current();
  const std::int64_t n = 1003;
  const auto x = test_values<T>(n, 1);
  const auto gradient = test_values<bfloat16>(n, 2);
  const DeviceArray<T> on_x(x), filled(x), sum(x);
  const DeviceArray<float> as_float(std::vector<float>(x.size()));
  const DeviceArray<bfloat16> on_gradient(gradient);
  const DeviceArray<A> factor({A(0.5)});
  kernels<Cuda>::fill(gpu, n, x[3], filled.data());
  kernels<Cuda>::cast(gpu, n, on_x.data(), as_float.data());
  kernels<Cuda>::accumulate(gpu, n, on_gradient.data(), sum.data());
  kernels<Cuda>::scale(gpu, n, factor.data(), on_x.data());
  const auto f = filled.values(), s = sum.values(), h = on_x.values();
  const auto c = as_float.values();
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    wrong += double(f[i]) != double(x[3]) || c[i] != static_cast<float>(x[i]) || double(h[i]) != 0.5 * double(x[i]);
    wrong += std::fabs(double(s[i]) - (double(x[i]) + double(gradient[i]))) > tolerance<T>;
  }
  CHECK(wrong == 0);
}

TEST_CASE("cuda pointwise: in place, unaligned, and more elements than threads", "[cuda]") {
  auto& gpu = queue<Cuda>::current();
  const std::int64_t n = 40001;
  const auto x = test_values<float>(n + 1, 3);
  const DeviceArray<float> on_x(x), aligned(x), unaligned(x);
  kernels<Cuda>::pointwise(gpu, n, Parabola{}, on_x.data() + 1, unaligned.data() + 1);
  kernels<Cuda>::pointwise(gpu, n, Parabola{}, on_x.data() + 1, aligned.data());
  kernels<Cuda>::pointwise(gpu, n + 1, Parabola{}, on_x.data(), on_x.data());
  const auto in_place = on_x.values(), at_0 = aligned.values(), at_1 = unaligned.values();
  std::size_t differences = 0;
  for (std::size_t i = 1; i < x.size(); ++i)
    differences += in_place[i] != x[i] * x[i] || at_0[i - 1] != in_place[i] || at_1[i] != in_place[i];
  CHECK(differences == 0);
  CHECK(at_0[x.size() - 1] == x[x.size() - 1]);
}
