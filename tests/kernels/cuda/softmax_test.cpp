// SPDX-License-Identifier: MIT
// Softmax on CUDA against double arithmetic.
#include "kernels/cuda/device_array.hpp"

#include <cmath>
#include <limits>

#include "catch.hpp"

using namespace plinth;

namespace {

/// Softmax of one row in double.
template <class T>
std::vector<double> reference(const T* x, std::int64_t columns) {
  double top = -std::numeric_limits<double>::infinity(), sum = 0;
  for (std::int64_t i = 0; i < columns; ++i) top = std::fmax(top, double(x[i]));
  std::vector<double> y;
  for (std::int64_t i = 0; i < columns; ++i) y.push_back(std::isinf(top) ? 0 : std::exp(double(x[i]) - top));
  for (const double value : y) sum += value;
  for (double& value : y) value = sum == 0 ? 0 : value / sum;
  return y;
}

template <class T>
std::vector<T> softmax_on_cuda(std::int64_t rows, std::int64_t columns, const std::vector<T>& x) {
  const DeviceArray<T> on_x(x), on_y(x);
  kernels<Cuda>::softmax(queue<Cuda>::current(), rows, columns, on_x.data(), on_y.data());
  return on_y.values();
}

}  // namespace

TEMPLATE_TEST_CASE("cuda softmax: forward and backward over short and long rows", "[cuda]", float, double, bfloat16, plinth::half) {
  using T = TestType;
  for (const std::int64_t columns : {1, 2, 31, 32, 33, 100, 1024, 1025, 3001}) {
    const std::int64_t rows = columns > 1000 ? 3 : 11;
    auto x = test_values<T>(rows * columns, 1);
    for (T& value : x) value = static_cast<T>(accumulator_t<T>(10 * accumulator_t<T>(value)));
    const auto dy = test_values<T>(rows * columns, 2);
    const auto y = softmax_on_cuda(rows, columns, x);
    const DeviceArray<T> on_y(y), on_dy(dy), on_dx(y);
    kernels<Cuda>::softmax_backward(queue<Cuda>::current(), rows, columns, on_y.data(), on_dy.data(), on_dx.data());
    const auto dx = on_dx.values();

    double worst = 0;
    for (std::int64_t r = 0; r < rows; ++r) {
      const auto wanted = reference(x.data() + r * columns, columns);
      double mean = 0;
      for (std::int64_t i = 0; i < columns; ++i)
        mean += double(y[static_cast<std::size_t>(r * columns + i)]) * double(dy[static_cast<std::size_t>(r * columns + i)]);
      for (std::int64_t i = 0; i < columns; ++i) {
        const auto at = static_cast<std::size_t>(r * columns + i);
        worst = std::fmax(worst, std::fabs(double(y[at]) - wanted[static_cast<std::size_t>(i)]));
        worst = std::fmax(worst, std::fabs(double(dx[at]) - double(y[at]) * (double(dy[at]) - mean)));
      }
    }
    CAPTURE(columns);
    CHECK(worst <= tolerance<T>);
  }
}

TEST_CASE("cuda softmax: masked, huge and NaN rows", "[cuda]") {
  constexpr float none = -std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const std::int64_t columns : {40, 2000}) {
    std::vector<float> x(static_cast<std::size_t>(4 * columns), none);  // row 0: nothing may be seen
    x[static_cast<std::size_t>(columns + 7)] = -1e30f;                  // row 1: one element alone
    for (std::int64_t i = 0; i < columns; ++i) x[static_cast<std::size_t>(2 * columns + i)] = i == 3 ? 3e38f : -3e38f;
    x[static_cast<std::size_t>(3 * columns + 1)] = nan;  // row 3
    const auto y = softmax_on_cuda<float>(4, columns, x);
    std::size_t wrong = 0;
    for (std::int64_t i = 0; i < columns; ++i) {
      const auto at = static_cast<std::size_t>(i), step = static_cast<std::size_t>(columns);
      wrong += y[at] != 0 || y[step + at] != (i == 7 ? 1.0f : 0.0f) || y[2 * step + at] != (i == 3 ? 1.0f : 0.0f);
      wrong += !std::isnan(y[3 * step + at]);
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("cuda softmax: no rows or no columns are nothing to do", "[cuda]") {
  CHECK(softmax_on_cuda<float>(0, 5, {}).empty());
  CHECK(softmax_on_cuda<float>(5, 0, {}).empty());
}
