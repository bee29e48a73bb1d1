// SPDX-License-Identifier: MIT
// The matrix product of cuBLASLt, with what it can do to the result on the way.
#pragma once

#include <cublasLt.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <type_traits>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cuda/cublaslt_product.cuh>
#include <plinth/kernels/cuda/queue.cuh>
#include <plinth/kernels/cuda/scratch.cuh>
#include <plinth/kernels/cuda/strided.cuh>
#include <plinth/tensor/element.hpp>

namespace plinth::cuda {

/// Throws DeviceError, naming what was attempted and the library's reason, unless the status is success.
inline void check(cublasStatus_t status, const char* attempt) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw DeviceError(
      detail::join("cuda: ", attempt, ": ", cublasLtGetStatusName(status), " (", cublasLtGetStatusString(status), ")"));
}

/// The library's descriptors of a product. They are set in place and hold no resources.
class LibraryDescriptors {
 public:
  cublasLtMatmulDescOpaque_t product = {};
  cublasLtMatrixLayoutOpaque_t left = {}, right = {}, result = {};

  /// vector, matrix: what the epilogue reads or writes beside the product, or null.
  LibraryDescriptors(const LibraryProduct& p, const void* vector, const void* matrix) {
    check(cublasLtMatmulDescInit(&product, p.compute, p.scale), attempt);
    set(CUBLASLT_MATMUL_DESC_TRANSA, static_cast<std::int32_t>(p.left.operation));
    set(CUBLASLT_MATMUL_DESC_TRANSB, static_cast<std::int32_t>(p.right.operation));
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, static_cast<std::uint32_t>(p.epilogue));
    if (vector) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, vector);
    if (matrix) {
      set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, matrix);
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
    check(cublasLtMatrixLayoutSetAttribute(&layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &p.batch, sizeof p.batch),
          attempt);
    check(cublasLtMatrixLayoutSetAttribute(&layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &m.batch,
                                           sizeof m.batch),
          attempt);
  }
};

/// cuBLASLt on a GPU, and the algorithms it has chosen. Thread-safe.
class ProductLibrary {
 public:
  struct Algorithm {
    cublasLtMatmulAlgo_t chosen;
    std::size_t workspace_bytes;
  };

  static constexpr std::uint32_t vector_alignment = 16;  // bytes that algorithms may count on

  /// On the GPU of this ordinal. Throws DeviceError.
  explicit ProductLibrary(int ordinal) {
    const OnDevice there(ordinal);
    check(cublasLtCreate(&handle_), "starting cuBLASLt");
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

  std::optional<Algorithm> search(const LibraryProduct& p) const {
    constexpr const char* attempt = "asking for an algorithm of a product";
    const auto placed = [](std::uintptr_t alignment) { return reinterpret_cast<const void*>(alignment); };
    LibraryDescriptors d(p, p.has_vector() ? placed(vector_alignment) : nullptr,
                         p.has_matrix() ? placed(p.result.alignment(p.element_bytes)) : nullptr);
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
    if (status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE) return {};  // versions differ
    check(status, attempt);
    if (count == 0 || found.state != CUBLAS_STATUS_SUCCESS) return {};
    return Algorithm{found.algo, found.workspaceSize};
  }

  cublasLtHandle_t handle_ = nullptr;
  std::mutex mutex_;
  std::map<LibraryProduct, std::optional<Algorithm>> algorithms_;
};

/// Elements at an address that is a multiple of `alignment`: where they are, or a copy for as long as this lives.
/// E: T, or const T.
template <class E>
class AlignedElements {
 public:
  AlignedElements(queue<Cuda>& queue, E* elements, std::int64_t count, std::uint32_t alignment)
      : elements_(elements), count_(count) {
    if (reinterpret_cast<std::uintptr_t>(elements) % alignment == 0) return;
    copy_.emplace(count);
    map(queue, count, Same<T>{}, copy_->data(), static_cast<const T*>(elements));
  }

  E* data() const { return copy_ ? copy_->data() : elements_; }
  /// Queues that the elements become what the copy is, if there is one.
  void write_back(queue<Cuda>& queue) const {
    if (copy_) map(queue, count_, Same<T>{}, elements_, static_cast<const T*>(copy_->data()));
  }

 private:
  using T = std::remove_const_t<E>;
  E* elements_;
  std::int64_t count_;
  std::optional<Scratch<T>> copy_;
};

/// Queues C = epilogue(A B), or C += A B without an epilogue. False, and nothing is queued, where the library does not
/// take the product.
template <class T>
bool multiply_by_library(queue<Cuda>& queue, const GemmShape& shape, const T* a, const T* b, T* c, bool accumulate,
                         const LibraryEpilogue<T>& epilogue = {}) {
  const auto p = library_product(shape, epilogue);
  if (!p) return false;
  auto& library = of_device<ProductLibrary>(queue.ordinal());
  const auto algorithm = library.algorithm(*p);
  if (!algorithm) return false;

  const auto aligned = [&]<class E>(E* x, const LibraryMatrix& m) {
    return AlignedElements<E>(queue, x, m.extent(p->batch), m.alignment(sizeof(T)));
  };
  const auto vector = [&]<class E>(E* x, std::int64_t count) {
    return AlignedElements<E>(queue, x, count, ProductLibrary::vector_alignment);
  };
  const auto left = aligned(b, p->left), right = aligned(a, p->right);
  const auto result = aligned(c, p->result), pre_activation = aligned(epilogue.pre_activation, p->result);
  const auto gelu_of = aligned(epilogue.gelu_of, p->result);
  const auto bias = vector(epilogue.bias, shape.N);
  const auto row_sums = vector(epilogue.row_sums, shape.M);

  LibraryDescriptors d(*p, epilogue.bias ? bias.data() : row_sums.data(),
                       epilogue.gelu_of ? gelu_of.data() : pre_activation.data());
  const Scratch<std::byte> workspace(static_cast<std::int64_t>(algorithm->workspace_bytes));
  const accumulator_t<T> one = 1, kept = accumulate ? 1 : 0;
  check(cublasLtMatmul(library.handle(), &d.product, &one, left.data(), &d.left, right.data(), &d.right, &kept,
                       result.data(), &d.result, result.data(), &d.result, &algorithm->chosen, workspace.data(),
                       algorithm->workspace_bytes, queue.stream()),
        "multiplying matrices");
  result.write_back(queue);
  pre_activation.write_back(queue);
  row_sums.write_back(queue);
  return true;
}

}  // namespace plinth::cuda
