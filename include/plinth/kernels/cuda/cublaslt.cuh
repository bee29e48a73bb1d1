// SPDX-License-Identifier: MIT
// The matrix product of cuBLASLt, with what it can do to the result on the way.
//
// It stores matrices column by column. A row-major C = A B is C^T = B^T A^T there: the left operand is our B, the right
// one our A.
#pragma once

#include <cublasLt.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <mutex>
#include <optional>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cuda/queue.cuh>
#include <plinth/kernels/cuda/scratch.cuh>
#include <plinth/kernels/cuda/strided.cuh>
#include <plinth/tensor/element.hpp>

namespace plinth::cuda {

/// Throws DeviceError, naming what was attempted and the library's reason, unless the status is success.
inline void check(cublasStatus_t status, const char* attempt) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw DeviceError(detail::join("cuda: ", attempt, ": ", cublasLtGetStatusName(status), " (",
                                 cublasLtGetStatusString(status), ")"));
}

/// What the library calls a type, and how it computes with it. A float is never cut down to TF32.
template <class T>
struct LibraryType;
template <>
struct LibraryType<float> {
  static constexpr auto data = CUDA_R_32F, scale = CUDA_R_32F;
  static constexpr auto compute = CUBLAS_COMPUTE_32F;
};
template <>
struct LibraryType<double> {
  static constexpr auto data = CUDA_R_64F, scale = CUDA_R_64F;
  static constexpr auto compute = CUBLAS_COMPUTE_64F;
};
template <>
struct LibraryType<bfloat16> : LibraryType<float> {
  static constexpr auto data = CUDA_R_16BF;
};
template <>
struct LibraryType<half> : LibraryType<float> {
  static constexpr auto data = CUDA_R_16F;
};

/// A matrix stored column by column, and whether it is its transpose that is multiplied.
struct LibraryMatrix {
  std::int64_t rows, columns, leading, batch;
  cublasOperation_t operation;

  auto operator<=>(const LibraryMatrix&) const = default;

  /// What the addresses of all columns are multiples of, in bytes, 16 at most: told by the strides alone, since the
  /// algorithm, and with it the result's bits, must not depend on where operands lie.
  std::uint32_t alignment(std::int64_t element_bytes) const {
    const auto offsets = static_cast<std::uint32_t>((leading | batch) * element_bytes) | 16u;
    return offsets & (~offsets + 1);
  }
  /// Elements from the first to the last of all.
  std::int64_t extent(std::int64_t matrices) const { return (matrices - 1) * batch + (columns - 1) * leading + rows; }
};

/// The transpose of a row-major matrix (rows, columns), or nothing where neither of its sides is dense.
inline std::optional<LibraryMatrix> library_matrix(const MatrixLayout& x, std::int64_t rows, std::int64_t columns,
                                                   std::int64_t matrices) {
  constexpr std::int64_t limit = std::numeric_limits<std::int32_t>::max();
  if (rows > limit || columns > limit) return {};
  const std::int64_t batch = matrices > 1 ? x.batch : 0;
  const auto leading = [=](std::int64_t length, std::int64_t step, std::int64_t lines, std::int64_t line_step) {
    if (length > 1 && step != 1) return std::int64_t{0};
    if (lines == 1) return length;
    return line_step >= length && line_step <= limit ? line_step : 0;
  };
  if (const auto of_rows = leading(columns, x.column, rows, x.row))
    return LibraryMatrix{columns, rows, of_rows, batch, CUBLAS_OP_N};
  if (const auto of_columns = leading(rows, x.row, columns, x.column))
    return LibraryMatrix{rows, columns, of_columns, batch, CUBLAS_OP_T};
  return {};
}

/// What the library is to make of A B before it writes C.
template <class T>
struct LibraryEpilogue {
  bool gelu = false;            ///< GELU in its tanh form
  const T* bias = nullptr;      ///< (N), added before that
  T* pre_activation = nullptr;  ///< as C, with GELU alone: receives what it is applied to

  cublasLtEpilogue_t kind() const {
    if (!gelu) return bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
    if (pre_activation) return bias ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX;
    return bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
  }
};

/// A product in the library's words: all that its choice of an algorithm depends on.
struct LibraryProduct {
  cudaDataType_t data, scale;
  cublasComputeType_t compute;
  std::int64_t element_bytes;
  std::int32_t batch;
  LibraryMatrix left, right, result;
  cublasLtEpilogue_t epilogue;

  auto operator<=>(const LibraryProduct&) const = default;
};

/// The product that shape asks for, or nothing where its sizes or strides are none that the library takes.
template <class T>
std::optional<LibraryProduct> library_product(const GemmShape& s, const LibraryEpilogue<T>& epilogue) {
  if (s.K == 0 || s.batch > std::numeric_limits<std::int32_t>::max()) return {};
  const auto left = library_matrix(s.b, s.K, s.N, s.batch), right = library_matrix(s.a, s.M, s.K, s.batch);
  const auto result = library_matrix({s.c.row, 1, s.c.batch}, s.M, s.N, s.batch);
  if (!left || !right || !result || result->operation != CUBLAS_OP_N) return {};
  if (epilogue.pre_activation && (result->leading % 8 != 0 || result->batch % 8 != 0)) return {};  // cublasLt.h, AUX_LD
  using Type = LibraryType<T>;
  return LibraryProduct{Type::data, Type::scale, Type::compute, sizeof(T), static_cast<std::int32_t>(s.batch),
                        *left,      *right,      *result,       epilogue.kind()};
}

/// The library's descriptors of a product. They are set in place and hold no resources.
class LibraryDescriptors {
 public:
  cublasLtMatmulDescOpaque_t product = {};
  cublasLtMatrixLayoutOpaque_t left = {}, right = {}, result = {};

  LibraryDescriptors(const LibraryProduct& p, const void* bias, const void* pre_activation) {
    check(cublasLtMatmulDescInit(&product, p.compute, p.scale), attempt);
    set(CUBLASLT_MATMUL_DESC_TRANSA, static_cast<std::int32_t>(p.left.operation));
    set(CUBLASLT_MATMUL_DESC_TRANSB, static_cast<std::int32_t>(p.right.operation));
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, static_cast<std::uint32_t>(p.epilogue));
    if (bias) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    if (pre_activation) {
      set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, pre_activation);
      set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, p.result.leading);
      set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE, p.result.batch);
    }
    lay_out(left, p, p.left);
    lay_out(right, p, p.right);
    lay_out(result, p, p.result);
  }

 private:
  static constexpr const char* attempt = "describing a product";

  template <class Value>
  void set(cublasLtMatmulDescAttributes_t attribute, const Value& value) {
    check(cublasLtMatmulDescSetAttribute(&product, attribute, &value, sizeof value), attempt);
  }
  static void lay_out(cublasLtMatrixLayoutOpaque_t& layout, const LibraryProduct& p, const LibraryMatrix& m) {
    check(cublasLtMatrixLayoutInit(&layout, p.data, static_cast<std::uint64_t>(m.rows),
                                   static_cast<std::uint64_t>(m.columns), m.leading),
          attempt);
    check(cublasLtMatrixLayoutSetAttribute(&layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &p.batch, sizeof p.batch), attempt);
    check(cublasLtMatrixLayoutSetAttribute(&layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &m.batch, sizeof m.batch),
          attempt);
  }
};

/// cuBLASLt on the process's GPU, and the algorithms it has chosen. Thread-safe.
class ProductLibrary {
 public:
  struct Algorithm {
    cublasLtMatmulAlgo_t chosen;
    std::size_t workspace_bytes;
  };

  static constexpr std::uint32_t bias_alignment = 16;  // bytes that algorithms may count on

  /// Throws DeviceError.
  static ProductLibrary& instance() {
    static auto& library = *new ProductLibrary;  // never destroyed, as the device's stream
    return library;
  }

  cublasLtHandle_t handle() const { return handle_; }

  /// What computes a product; nothing where the library has no algorithm for it. Asked once for each product, so that
  /// the same one is always computed in the same way.
  std::optional<Algorithm> algorithm(const LibraryProduct& product) {
    const std::lock_guard lock(mutex_);
    const auto known = algorithms_.find(product);
    if (known != algorithms_.end()) return known->second;
    if (algorithms_.size() >= most_algorithms) algorithms_.clear();
    return algorithms_[product] = search(product);
  }

 private:
  static constexpr std::size_t most_algorithms = 4096;
  static constexpr std::uint64_t most_workspace = std::uint64_t{32} << 20;  // what NVIDIA advises for Hopper

  ProductLibrary() {
    device();
    check(cublasLtCreate(&handle_), "starting cuBLASLt");
  }

  std::optional<Algorithm> search(const LibraryProduct& p) const {
    constexpr const char* attempt = "asking for an algorithm of a product";
    const auto placed = [](std::uintptr_t alignment) { return reinterpret_cast<const void*>(alignment); };
    const bool bias = p.epilogue & CUBLASLT_EPILOGUE_BIAS, auxiliary = p.epilogue == CUBLASLT_EPILOGUE_GELU_AUX ||
                                                                       p.epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
    LibraryDescriptors d(p, bias ? placed(bias_alignment) : nullptr,
                         auxiliary ? placed(p.result.alignment(p.element_bytes)) : nullptr);
    cublasLtMatmulPreferenceOpaque_t preference = {};
    check(cublasLtMatmulPreferenceInit(&preference), attempt);
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
      check(cublasLtMatmulPreferenceSetAttribute(&preference, attribute, &value, sizeof value), attempt);
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, most_workspace);
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,  // 16-bit results are not added up in 16 bits
           std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, p.left.alignment(p.element_bytes));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, p.right.alignment(p.element_bytes));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, p.result.alignment(p.element_bytes));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, p.result.alignment(p.element_bytes));
    cublasLtMatmulHeuristicResult_t found = {};
    int count = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(handle_, &d.product, &d.left, &d.right, &d.result,
                                                                 &d.result, &preference, 1, &found, &count);
    if (status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE) return {};
    check(status, attempt);
    if (count == 0 || found.state != CUBLAS_STATUS_SUCCESS) return {};
    return Algorithm{found.algo, found.workspaceSize};
  }

  cublasLtHandle_t handle_ = nullptr;
  std::mutex mutex_;
  std::map<LibraryProduct, std::optional<Algorithm>> algorithms_;
};

/// Elements at an address that is a multiple of `alignment`: where they are, or a copy for as long as this lives.
template <class T>
class AlignedElements {
 public:
  AlignedElements(queue<Cuda>& queue, const T* elements, std::int64_t count, std::uint32_t alignment) : data_(elements) {
    if (reinterpret_cast<std::uintptr_t>(elements) % alignment == 0) return;
    copy_.emplace(count);
    map(queue, count, Same<T>{}, copy_->data(), elements);
    data_ = copy_->data();
  }

  const T* data() const { return data_; }
  T* mutable_data() const { return const_cast<T*>(data_); }
  /// Queues that the elements become as the copy, if there is one.
  void write_back(queue<Cuda>& queue, std::int64_t count, T* elements) const {
    if (copy_) map(queue, count, Same<T>{}, elements, data_);
  }

 private:
  const T* data_;
  std::optional<Scratch<T>> copy_;
};

/// Queues C = epilogue(A B), or C += A B without an epilogue. False, and nothing is queued, where the library does not
/// take the product.
template <class T>
bool multiply_by_library(queue<Cuda>& queue, const GemmShape& shape, const T* a, const T* b, T* c, bool accumulate,
                         const LibraryEpilogue<T>& epilogue = {}) {
  const auto p = library_product(shape, epilogue);
  if (!p) return false;
  auto& library = ProductLibrary::instance();
  const auto algorithm = library.algorithm(*p);
  if (!algorithm) return false;

  const auto aligned = [&](const T* x, const LibraryMatrix& m) {
    return AlignedElements<T>(queue, x, m.extent(p->batch), m.alignment(sizeof(T)));
  };
  const auto left = aligned(b, p->left), right = aligned(a, p->right), result = aligned(c, p->result);
  const auto auxiliary = aligned(epilogue.pre_activation, p->result);
  const AlignedElements<T> bias(queue, epilogue.bias, shape.N, ProductLibrary::bias_alignment);

  LibraryDescriptors d(*p, bias.data(), auxiliary.data());
  const Scratch<std::byte> workspace(static_cast<std::int64_t>(algorithm->workspace_bytes));
  const accumulator_t<T> one = 1, kept = accumulate ? 1 : 0;
  check(cublasLtMatmul(library.handle(), &d.product, &one, left.data(), &d.left, right.data(), &d.right, &kept,
                       result.data(), &d.result, result.mutable_data(), &d.result, &algorithm->chosen, workspace.data(),
                       algorithm->workspace_bytes, queue.stream()),
        "multiplying matrices");
  result.write_back(queue, p->result.extent(p->batch), c);
  auxiliary.write_back(queue, p->result.extent(p->batch), epilogue.pre_activation);
  return true;
}

}  // namespace plinth::cuda
