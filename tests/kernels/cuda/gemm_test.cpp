// SPDX-License-Identifier: MIT
// The CUDA product against double arithmetic: tails, strides, batches, both tiles.
#include "kernels/cuda/device_array.hpp"

#include <cmath>

#include "catch.hpp"

using namespace plinth;

namespace {

enum class Tile { chosen, small, large };

template <class T>
void gemm(Tile tile, const GemmShape& shape, const T* a, const T* b, T* c, bool accumulate) {
  auto& gpu = queue<Cuda>::current();
  if (tile == Tile::chosen) kernels<Cuda>::gemm(gpu, shape, a, b, c, accumulate);
  if (tile == Tile::small) cuda::launch_gemm<cuda::SmallTile>(gpu, shape, a, b, c, accumulate);
  if (tile == Tile::large) cuda::launch_gemm<cuda::LargeTile>(gpu, shape, a, b, c, accumulate);
}

std::int64_t extent(const MatrixLayout& layout, std::int64_t batch, std::int64_t rows, std::int64_t columns) {
  if (batch == 0 || rows == 0 || columns == 0) return 0;
  return (batch - 1) * layout.batch + (rows - 1) * layout.row + (columns - 1) * layout.column + 1;
}

/// The largest error of a product, relative to the sum of its terms' magnitudes; elements between C's rows must stay.
template <class T>
double worst_error(Tile tile, const GemmShape& shape, bool accumulate) {
  const auto a = test_values<T>(extent(shape.a, shape.batch, shape.M, shape.K), 1);
  const auto b = test_values<T>(extent(shape.b, shape.batch, shape.K, shape.N), 2);
  const auto before = test_values<T>(extent(shape.c, shape.batch, shape.M, shape.N), 3);
  const DeviceArray<T> on_a(a), on_b(b), on_c(before);
  gemm(tile, shape, on_a.data(), on_b.data(), on_c.data(), accumulate);
  auto after = on_c.values();

  double worst = 0;
  const auto at = [](const auto& values, std::int64_t i) { return double(values[static_cast<std::size_t>(i)]); };
  for (std::int64_t n = 0; n < shape.batch; ++n)
    for (std::int64_t i = 0; i < shape.M; ++i)
      for (std::int64_t j = 0; j < shape.N; ++j) {
        const std::int64_t to = n * shape.c.batch + i * shape.c.row + j;
        double sum = accumulate ? at(before, to) : 0, size = 1;
        for (std::int64_t k = 0; k < shape.K; ++k) {
          const double term = at(a, n * shape.a.batch + i * shape.a.row + k * shape.a.column) *
                              at(b, n * shape.b.batch + k * shape.b.row + j * shape.b.column);
          sum += term;
          size += std::fabs(term);
        }
        worst = std::fmax(worst, std::fabs(at(after, to) - sum) / size);
        after[static_cast<std::size_t>(to)] = before[static_cast<std::size_t>(to)];
      }
  for (std::size_t i = 0; i < after.size(); ++i)
    if (double(after[i]) != double(before[i])) return std::numeric_limits<double>::infinity();
  return worst;
}

/// Dense A and B, each as it is or transposed.
GemmShape dense(std::int64_t M, std::int64_t N, std::int64_t K, bool transpose_a, bool transpose_b) {
  GemmShape shape{.M = M, .N = N, .K = K, .a = {K, 1, 0}, .b = {N, 1, 0}, .c = {N, 1, 0}};
  if (transpose_a) shape.a = {1, M, 0};
  if (transpose_b) shape.b = {1, K, 0};
  return shape;
}

}  // namespace

TEMPLATE_TEST_CASE("cuda gemm: tails and transposes", "[cuda]", float, double, bfloat16, half) {
  const std::int64_t sizes[][3] = {{1, 1, 1}, {1, 70, 9}, {67, 1, 33}, {5, 3, 100}, {64, 64, 16}, {65, 66, 17}};
  for (const auto& [M, N, K] : sizes)
    for (const int transposes : {0, 1, 2, 3}) {
      const auto shape = dense(M, N, K, transposes & 1, transposes & 2);
      CAPTURE(M, N, K, transposes);
      CHECK(worst_error<TestType>(Tile::chosen, shape, transposes == 1) <= tolerance<TestType>);
    }
}

TEST_CASE("cuda gemm: both tiles give the same", "[cuda]") {
  for (const auto& shape : {dense(128, 128, 8, false, false), dense(130, 150, 21, true, false), dense(3, 129, 7, false, true)}) {
    CHECK(worst_error<float>(Tile::large, shape, false) <= tolerance<float>);
    CHECK(worst_error<float>(Tile::small, shape, true) <= tolerance<float>);
    const auto a = test_values<float>(shape.M * shape.K, 1), b = test_values<float>(shape.K * shape.N, 2);
    const DeviceArray<float> on_a(a), on_b(b), c(test_values<float>(shape.M * shape.N, 3)), d(c.values());
    gemm(Tile::small, shape, on_a.data(), on_b.data(), c.data(), false);
    gemm(Tile::large, shape, on_a.data(), on_b.data(), d.data(), false);
    CHECK(c.values() == d.values());
  }
}

TEST_CASE("cuda gemm: batches, shared operands, rows with gaps, no inner stride of 1", "[cuda]") {
  GemmShape shape{.batch = 3, .M = 33, .N = 20, .K = 18, .a = {25, 1, 1000}, .b = {20, 1, 0}, .c = {23, 1, 800}};
  for (const bool accumulate : {false, true}) {
    CHECK(worst_error<float>(Tile::chosen, shape, accumulate) <= tolerance<float>);
    CHECK(worst_error<float>(Tile::large, shape, accumulate) <= tolerance<float>);
  }
  shape.a = {2, 70, 0};
  shape.b = {3, 60, 1300};
  CHECK(worst_error<float>(Tile::chosen, shape, false) <= tolerance<float>);
}

TEST_CASE("cuda gemm: empty sizes", "[cuda]") {
  CHECK(worst_error<float>(Tile::chosen, dense(5, 4, 0, false, false), false) == 0);  // zeros
  CHECK(worst_error<float>(Tile::chosen, dense(5, 4, 0, false, false), true) == 0);   // unchanged
  CHECK(worst_error<float>(Tile::chosen, dense(0, 4, 3, false, false), false) == 0);
  CHECK(worst_error<float>(Tile::chosen, dense(5, 0, 3, false, false), false) == 0);
}
