// SPDX-License-Identifier: MIT
// Sums over an axis on CUDA against double arithmetic.
#include "kernels/cuda/device_array.hpp"

#include <cmath>

#include "catch.hpp"

using namespace plinth;

TEMPLATE_TEST_CASE("cuda reduce_sum: rows, columns, empty axes", "[cuda]", float, double, bfloat16) {
  using T = TestType;
  const std::int64_t sizes[][3] = {{1, 1, 1},   {9, 33, 1}, {3, 1024, 1}, {2, 1500, 1}, {1, 5, 2}, {2, 7, 32},
                                   {3, 100, 33}, {1, 9, 70}, {2, 0, 3},    {4, 0, 1},    {0, 3, 5}, {2, 3, 0},
                                   {1, 65, 3},   {1, 700, 40}, {2, 2000, 34}, {1, 9000, 2}};
  for (const auto& [outer, n, inner] : sizes) {
    const auto x = test_values<T>(outer * n * inner, 1);
    const DeviceArray<T> on_x(x), on_y(test_values<T>(outer * inner, 2));
    kernels<Cuda>::reduce_sum(queue<Cuda>::current(), outer, n, inner, on_x.data(), on_y.data());
    const auto y = on_y.values();
    double worst = 0;
    for (std::int64_t o = 0; o < outer; ++o)
      for (std::int64_t i = 0; i < inner; ++i) {
        double sum = 0, size = 1;
        for (std::int64_t k = 0; k < n; ++k) {
          const double term = double(x[static_cast<std::size_t>((o * n + k) * inner + i)]);
          sum += term;
          size += std::fabs(term);
        }
        worst = std::fmax(worst, std::fabs(double(y[static_cast<std::size_t>(o * inner + i)]) - sum) / size);
      }
    CAPTURE(outer, n, inner);
    CHECK(worst <= tolerance<T>);
  }
}
