// SPDX-License-Identifier: MIT
// The CUDA product against double arithmetic: every form, strides, batches, alignments, whichever way is taken.
#include "catch.hpp"
#include "kernels/cuda/products.hpp"

using namespace products;

namespace {

template <class T>
bool gemm_right(const Problem& p) {
  return right<T>(p, [&](const GemmShape& shape, const T* a, const T* b, const T*, T* c, T*) {
    kernels<Cuda>::gemm(queue<Cuda>::current(), shape, a, b, c, p.accumulate);
  });
}

template <class Tile, class T>
auto by_tiles(bool accumulate) {
  return [=](const GemmShape& shape, const T* a, const T* b, const T*, T* c, T*) {
    cuda::launch_tiles<Tile>(queue<Cuda>::current(), shape, a, b, c, accumulate);
  };
}

}  // namespace

TEMPLATE_TEST_CASE("cuda gemm: tails and transposes", "[cuda]", float, double, bfloat16, plinth::half) {
  const std::int64_t sizes[][3] = {{1, 1, 1}, {1, 70, 9}, {67, 1, 33}, {5, 3, 100}, {64, 64, 16}, {65, 66, 17}};
  for (const auto& [M, N, K] : sizes)
    for (const int transposes : {0, 1, 2, 3}) {
      CAPTURE(M, N, K, transposes);
      CHECK(gemm_right<TestType>({.shape = dense(M, N, K, transposes), .accumulate = transposes == 1}));
    }
}

TEMPLATE_TEST_CASE("cuda gemm: random problems", "[cuda]", float, double, bfloat16, plinth::half) {
  std::mt19937 engine(7);
  for (int n = 0; n < 150; ++n) {
    Problem p = random_problem(engine);
    p.accumulate = n % 3 == 0;
    CAPTURE(p);
    CHECK(gemm_right<TestType>(p));
  }
}

TEMPLATE_TEST_CASE("cuda gemm: one to four rows, whose bits depend neither on their number nor on alignment", "[cuda]",
                   float, double, bfloat16, plinth::half) {
  using T = TestType;
  for (const std::int64_t K : {1, 7, 64, 255, 256, 1030, 4099})
    for (const std::int64_t gap : {0, 1}) {
      std::vector<T> first;
      for (const std::int64_t M : {4, 1, 2, 3})
        for (const std::int64_t offset : {0, 1}) {
          Problem p{.shape = dense(M, 9, K, 2), .offset = offset};
          p.shape.b.column = K + gap * 8;
          CAPTURE(p);
          REQUIRE(cuda::FewRows::take(p.shape));
          const auto run = [](const GemmShape& shape, const T* a, const T* b, const T*, T* c, T*) {
            kernels<Cuda>::gemm(queue<Cuda>::current(), shape, a, b, c, false);
          };
          CHECK(right<T>(p, run));
          if (offset) continue;  // other values
          const auto c = on_device<T>(p, run).c;
          if (first.empty()) first = c;
          for (std::size_t i = 0; i < c.size(); ++i) CHECK(double(c[i]) == double(first[i]));
        }
    }
}

TEST_CASE("cuda gemm: both tiles give the same", "[cuda]") {
  for (const auto& shape : {dense(128, 128, 8), dense(130, 150, 21, 1), dense(3, 129, 7, 2)}) {
    CHECK(right<float>({.shape = shape}, by_tiles<cuda::LargeTile, float>(false)));
    CHECK(right<float>({.shape = shape, .accumulate = true}, by_tiles<cuda::SmallTile, float>(true)));
    CHECK(on_device<float>({.shape = shape}, by_tiles<cuda::SmallTile, float>(false)).c ==
          on_device<float>({.shape = shape}, by_tiles<cuda::LargeTile, float>(false)).c);
  }
}

TEST_CASE("cuda gemm: batches, shared operands, rows with gaps, no inner stride of 1", "[cuda]") {
  GemmShape shape{.batch = 3, .M = 33, .N = 20, .K = 18, .a = {25, 1, 1000}, .b = {20, 1, 0}, .c = {23, 1, 800}};
  for (const bool accumulate : {false, true}) {
    CHECK(gemm_right<float>({.shape = shape, .accumulate = accumulate}));
    CHECK(right<float>({.shape = shape, .accumulate = accumulate}, by_tiles<cuda::LargeTile, float>(accumulate)));
  }
  shape.a = {2, 70, 0};
  shape.b = {3, 60, 1300};
  CHECK(gemm_right<float>({.shape = shape}));
}

TEST_CASE("cuda gemm: empty sizes", "[cuda]") {
  for (const bool accumulate : {false, true}) {
    CHECK(gemm_right<float>({.shape = dense(5, 4, 0), .accumulate = accumulate}));  // zeros, or as before
    CHECK(gemm_right<float>({.shape = dense(2, 4, 0), .accumulate = accumulate}));
  }
  CHECK(gemm_right<float>({.shape = dense(0, 4, 3)}));
  CHECK(gemm_right<float>({.shape = dense(5, 0, 3)}));
}

TEMPLATE_TEST_CASE("cuda gemm: the same bits wherever the operands lie", "[cuda]", float, bfloat16) {
  using T = TestType;
  const auto shape = dense(24, 16, 40, 2);
  const auto a = test_values<T>(24 * 40, 1), b = test_values<T>(16 * 40, 2);
  std::vector<std::vector<double>> results;
  for (const std::int64_t offset : {0, 1, 3, 8}) {
    const auto moved = [&](const std::vector<T>& x) {
      std::vector<T> y(x.size() + static_cast<std::size_t>(offset));
      std::copy(x.begin(), x.end(), y.begin() + offset);
      return y;
    };
    const DeviceArray<T> on_a(moved(a)), on_b(moved(b)), c(std::vector<T>(static_cast<std::size_t>(24 * 16 + offset)));
    kernels<Cuda>::gemm(queue<Cuda>::current(), shape, on_a.data() + offset, on_b.data() + offset, c.data() + offset,
                        false);
    const auto values = c.values();
    results.emplace_back(values.begin() + offset, values.end());
  }
  for (const auto& result : results) CHECK(result == results[0]);
}
