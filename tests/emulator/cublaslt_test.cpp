// SPDX-License-Identifier: MIT
// Which products go to the library, how often it is asked, and that its stand-in refuses what the library refuses.
#include <cublasLt.h>
#include <emulator.hpp>

#include <plinth/activation/gelu.hpp>
#include <plinth/activation/relu.hpp>

#include <thread>

#include "catch.hpp"
#include "kernels/cuda/products.hpp"

using namespace products;

namespace {

/// How many products the library computed for f, the last of them with which epilogue.
template <class F>
std::pair<std::size_t, int> library_products(const F& f) {
  const auto before = emulator::library_use().products;
  f();
  const auto after = emulator::library_use();
  return {after.products - before, after.products > before ? after.last_epilogue : 0};
}

template <class T, class F = Identity>
std::pair<std::size_t, int> fused(const Problem& p, F f = {}) {
  return library_products([&] {
    on_device<T>(p, [&](const GemmShape& shape, const T* a, const T* b, const T* bias, T* c, T* pre_activation) {
      kernels<Cuda>::gemm_bias_activation(queue<Cuda>::current(), shape, f, a, b, bias, c, pre_activation);
    });
  });
}

template <class T>
bool goes_to_library(const GemmShape& shape) {
  return fused<T>({.shape = shape}).first == 1;
}

using Asked = std::pair<std::size_t, int>;

/// A problem of the library's, one step away from each of its refusals: D (8, 6) = A (8, 16) B (16, 6).
struct Call {
  cublasLtMatmulDescOpaque_t product;
  cublasLtMatrixLayoutOpaque_t a, b, c;
  cublasLtMatmulPreferenceOpaque_t preference;
  DeviceArray<float> memory{std::vector<float>(512)};
  cublasLtHandle_t handle;

  Call() {
    cublasLtCreate(&handle);
    cublasLtMatmulDescInit(&product, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    cublasLtMatrixLayoutInit(&a, CUDA_R_32F, 8, 16, 8);
    cublasLtMatrixLayoutInit(&b, CUDA_R_32F, 16, 6, 16);
    cublasLtMatrixLayoutInit(&c, CUDA_R_32F, 8, 6, 8);
    cublasLtMatmulPreferenceInit(&preference);
  }
  ~Call() { cublasLtDestroy(handle); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  template <class Value>
  void set(cublasLtMatmulDescAttributes_t attribute, Value value) {
    REQUIRE(cublasLtMatmulDescSetAttribute(&product, attribute, &value, sizeof value) == CUBLAS_STATUS_SUCCESS);
  }
  cublasStatus_t search(cublasLtMatmulHeuristicResult_t& result) {
    int count = 0;
    return cublasLtMatmulAlgoGetHeuristic(handle, &product, &a, &b, &c, &c, &preference, 1, &result, &count);
  }
  cublasStatus_t search() {
    cublasLtMatmulHeuristicResult_t result;
    return search(result);
  }
  cublasStatus_t multiply(const cublasLtMatmulAlgo_t& algorithm, std::int64_t offset = 0) {
    const float one = 1, zero = 0;
    float* const x = memory.data();
    return cublasLtMatmul(handle, &product, &one, x + offset, &a, x + 128, &b, &zero, x + 256, &c, x + 256, &c,
                          &algorithm, nullptr, 0, queue<Cuda>::current().stream());
  }
};

}  // namespace

TEMPLATE_TEST_CASE("cuda gemm: what has a dense side goes to the library", "[cuda]", float, double, bfloat16,
                   plinth::half) {
  using T = TestType;
  for (const int transposes : {0, 1, 2, 3}) CHECK(goes_to_library<T>(dense(16, 24, 40, transposes)));
  CHECK(goes_to_library<T>({3, 5, 6, 7, {9, 1, 50}, {1, 11, 0}, {8, 1, 64}}));
  CHECK(goes_to_library<T>(dense(5, 1, 7)));
  CHECK(goes_to_library<T>({1, 5, 6, 1, {3, 5, 0}, {4, 1, 0}, {6, 1, 0}}));  // one column of a wider matrix
  CHECK_FALSE(goes_to_library<T>(dense(5, 6, 0)));                           // no terms
  CHECK_FALSE(goes_to_library<T>({1, 5, 6, 7, {14, 2, 0}, {6, 1, 0}, {6, 1, 0}}));
  CHECK_FALSE(goes_to_library<T>({1, 5, 6, 7, {0, 1, 0}, {6, 1, 0}, {6, 1, 0}}));  // rows that overlap
  CHECK_FALSE(goes_to_library<T>(dense(4, 24, 40, 2)));                            // few rows
  CHECK(goes_to_library<T>(dense(4, 24, 40)));                                     // but B is not dense along K
}

TEST_CASE("cuda fused gemm: what the library does on the way", "[cuda]") {
  const auto shape = dense(16, 24, 40, 2), odd = dense(16, 21, 40, 2);
  for (const bool pre : {false, true})
    CHECK(fused<float>({.shape = shape, .bias = true, .pre_activation = pre}, Relu{}) ==
          Asked{1, CUBLASLT_EPILOGUE_BIAS});
  CHECK(fused<half>({.shape = shape}, Relu{}) == Asked{1, CUBLASLT_EPILOGUE_DEFAULT});
  CHECK(fused<half>({.shape = shape}, GeluTanh{}) == Asked{1, CUBLASLT_EPILOGUE_GELU});
  CHECK(fused<half>({.shape = shape, .bias = true}, GeluTanh{}) == Asked{1, CUBLASLT_EPILOGUE_GELU_BIAS});
  CHECK(fused<bfloat16>({.shape = shape, .pre_activation = true}, GeluTanh{}) == Asked{1, CUBLASLT_EPILOGUE_GELU_AUX});
  CHECK(fused<bfloat16>({.shape = shape, .bias = true, .pre_activation = true}, GeluTanh{}) ==
        Asked{1, CUBLASLT_EPILOGUE_GELU_AUX_BIAS});
  CHECK(fused<bfloat16>({.shape = odd, .bias = true, .pre_activation = true}, GeluTanh{}) ==
        Asked{1, CUBLASLT_EPILOGUE_BIAS});
  // GELU's exact form is another formula, and doubles have none:
  CHECK(fused<bfloat16>({.shape = shape, .bias = true}, Gelu{}) == Asked{1, CUBLASLT_EPILOGUE_BIAS});
  CHECK(fused<double>({.shape = shape, .bias = true}, GeluTanh{}) == Asked{1, CUBLASLT_EPILOGUE_BIAS});
}

TEST_CASE("cuda fused gemm: what the library does on the way back", "[cuda]") {
  const auto times_slope = []<class T, class F>(const GemmShape& shape, T, F f) {
    return library_products([&] {
      on_device<T>({.shape = shape, .pre_activation = true}, [=](const GemmShape& s, const T* a, const T* b, const T*, T* c, T* z) {
        kernels<Cuda>::gemm_activation_backward(queue<Cuda>::current(), s, f, a, b, z, c);
      });
    });
  };
  const auto shape = dense(16, 24, 40), odd = dense(16, 21, 40);
  CHECK(times_slope(shape, bfloat16(), GeluTanh{}) == Asked{1, CUBLASLT_EPILOGUE_DGELU});
  CHECK(times_slope(shape, float(), GeluTanh{}) == Asked{1, CUBLASLT_EPILOGUE_DGELU});
  CHECK(times_slope(odd, bfloat16(), GeluTanh{}) == Asked{1, CUBLASLT_EPILOGUE_DEFAULT});
  CHECK(times_slope(shape, double(), GeluTanh{}) == Asked{1, CUBLASLT_EPILOGUE_DEFAULT});
  CHECK(times_slope(shape, bfloat16(), Relu{}) == Asked{1, CUBLASLT_EPILOGUE_DEFAULT});

  const auto weight_backward = []<class T>(std::int64_t rows, T) {
    const DeviceArray<T> x(test_values<T>(rows * 16, 1)), dw(test_values<T>(256, 2));
    return library_products([&] {
      kernels<Cuda>::linear_weight_backward(queue<Cuda>::current(), rows, 16, 16, x.data(), x.data(), dw.data(), dw.data());
      queue<Cuda>::current().synchronize();
    });
  };
  CHECK(weight_backward(40, half()) == Asked{1, CUBLASLT_EPILOGUE_BGRADB});
  CHECK(weight_backward(41, float()) == Asked{1, CUBLASLT_EPILOGUE_BGRADB});
  CHECK(weight_backward(40, double()) == Asked{1, CUBLASLT_EPILOGUE_DEFAULT});
}

TEST_CASE("cuda gemm: the library is asked once for each problem, wherever its operands lie", "[cuda]") {
  const auto searches = [](const Problem& p) {
    const auto before = emulator::library_use().searches;
    fused<float>(p);
    return emulator::library_use().searches - before;
  };
  CHECK(searches({.shape = dense(40, 48, 56)}) == 1);
  CHECK(searches({.shape = dense(40, 48, 56)}) == 0);
  CHECK(searches({.shape = dense(40, 48, 56), .offset = 1}) == 0);
  CHECK(searches({.shape = dense(40, 48, 56), .bias = true}) == 1);
  CHECK(searches({.shape = dense(40, 48, 56, 1)}) == 1);
}

TEMPLATE_TEST_CASE("cuda fused gemm: bits do not depend on the order of warps and lanes", "[cuda]", float, bfloat16) {
  const auto results = [](const GemmShape& shape, std::uint64_t seed) {
    emulator::set_seed(seed);
    const auto run = [](const GemmShape& s, const auto* a, const auto* b, const auto* bias, auto* c,
                        auto* pre_activation) {
      kernels<Cuda>::gemm_bias_activation(queue<Cuda>::current(), s, Gelu{}, a, b, bias, c, pre_activation);
    };
    const auto on = on_device<TestType>({.shape = shape, .bias = true, .pre_activation = true}, run);
    return std::pair(std::vector<float>(on.c.begin(), on.c.end()),
                     std::vector<float>(on.pre_activation.begin(), on.pre_activation.end()));
  };
  for (const GemmShape& shape :
       {dense(3, 30, 300, 2), dense(20, 30, 40), GemmShape{1, 20, 30, 40, {80, 2, 0}, {30, 1, 0}, {30, 1, 0}}})
    CHECK(results(shape, 1) == results(shape, 2));
}

TEST_CASE("cuda gemm: several threads share the library", "[cuda]") {
  bool good[4] = {};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&good, t] {
      good[t] = true;
      for (std::int64_t n = 10; n < 20; ++n)
        good[t] = right<float>({.shape = dense(n, n + t, 8)},
                               [](const GemmShape& shape, const float* a, const float* b, const float*, float* c,
                                  float*) { kernels<Cuda>::gemm(queue<Cuda>::current(), shape, a, b, c, false); }) &&
                  good[t];
    });
  for (auto& thread : threads) thread.join();
  for (const bool one : good) CHECK(one);
}

TEST_CASE("emulator: cuBLASLt refuses what does not fit", "[cuda]") {
  CHECK(Call().search() == CUBLAS_STATUS_SUCCESS);
  const auto with = [](auto change) {
    Call call;
    change(call);
    return call.search();
  };
  CHECK(with([](Call& x) { x.a.leading = 7; }) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(with([](Call& x) { x.b.rows = 15; }) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(with([](Call& x) { x.c.columns = 7; }) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(with([](Call& x) { x.a.type = CUDA_R_16F; }) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(with([](Call& x) { x.product.compute = CUBLAS_COMPUTE_64F; }) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(with([](Call& x) { x.a.batch_count = 2; }) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(with([](Call& x) { x.set(CUBLASLT_MATMUL_DESC_TRANSA, std::int32_t{CUBLAS_OP_T}); }) ==
        CUBLAS_STATUS_INVALID_VALUE);
  CHECK(with([](Call& x) { x.set(CUBLASLT_MATMUL_DESC_EPILOGUE, std::uint32_t{CUBLASLT_EPILOGUE_BIAS}); }) ==
        CUBLAS_STATUS_INVALID_VALUE);
  CHECK(with([](Call& x) { x.set(CUBLASLT_MATMUL_DESC_EPILOGUE, std::uint32_t{CUBLASLT_EPILOGUE_BGRADB}); }) ==
        CUBLAS_STATUS_INVALID_VALUE);
  CHECK(with([](Call& x) { x.set(CUBLASLT_MATMUL_DESC_EPILOGUE, std::uint32_t{CUBLASLT_EPILOGUE_DGELU}); }) ==
        CUBLAS_STATUS_INVALID_VALUE);
  const auto auxiliary = [&](std::int64_t leading) {
    return with([=](Call& x) {
      x.set(CUBLASLT_MATMUL_DESC_EPILOGUE, std::uint32_t{CUBLASLT_EPILOGUE_GELU_AUX});
      x.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, static_cast<void*>(x.memory.data()));
      x.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, leading);
    });
  };
  CHECK(auxiliary(8) == CUBLAS_STATUS_SUCCESS);
  CHECK(auxiliary(12) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(auxiliary(0) == CUBLAS_STATUS_INVALID_VALUE);
  Call call;
  const std::int64_t value = 0;
  CHECK(cublasLtMatmulDescSetAttribute(&call.product, CUBLASLT_MATMUL_DESC_TRANSA, &value, 8) ==
        CUBLAS_STATUS_INVALID_VALUE);
}

TEST_CASE("emulator: cuBLASLt wants the problem and the alignment that it was asked with", "[cuda]") {
  Call call;
  cublasLtMatmulHeuristicResult_t result;
  REQUIRE(call.search(result) == CUBLAS_STATUS_SUCCESS);
  CHECK(call.multiply(result.algo) == CUBLAS_STATUS_SUCCESS);
  CHECK(call.multiply(result.algo, 4) == CUBLAS_STATUS_INVALID_VALUE);  // 256 bytes are promised unless told
  const std::uint32_t sixteen = 16;
  cublasLtMatmulPreferenceSetAttribute(&call.preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &sixteen, 4);
  REQUIRE(call.search(result) == CUBLAS_STATUS_SUCCESS);
  CHECK(call.multiply(result.algo, 4) == CUBLAS_STATUS_SUCCESS);
  CHECK(call.multiply(result.algo, 1) == CUBLAS_STATUS_INVALID_VALUE);
  const std::uint64_t megabyte = 1 << 20;
  cublasLtMatmulPreferenceSetAttribute(&call.preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &megabyte, 8);
  cublasLtMatmulHeuristicResult_t with_workspace;
  REQUIRE(call.search(with_workspace) == CUBLAS_STATUS_SUCCESS);
  CHECK(call.multiply(with_workspace.algo) == CUBLAS_STATUS_INVALID_VALUE);  // which it is not given
  call.a.leading = 12;
  CHECK(call.multiply(result.algo) == CUBLAS_STATUS_INVALID_VALUE);
  queue<Cuda>::current().synchronize();
}

TEST_CASE("emulator, planted fault: cuBLASLt is given a pointer to the host's memory", "[cuda]") {
  Call call;
  alignas(16) const float bias[8] = {};
  call.set(CUBLASLT_MATMUL_DESC_EPILOGUE, std::uint32_t{CUBLASLT_EPILOGUE_BIAS});
  call.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<const void*>(bias));
  cublasLtMatmulHeuristicResult_t result;
  REQUIRE(call.search(result) == CUBLAS_STATUS_SUCCESS);
  CHECK_THROWS_AS(call.multiply(result.algo), emulator::OutsideMemory);
}
