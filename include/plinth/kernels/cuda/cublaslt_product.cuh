// SPDX-License-Identifier: MIT
// A matrix product in the words of cuBLASLt, which stores matrices column by column: a row-major C = A B is
// C^T = B^T A^T there, its left operand our B, its right one our A.
#pragma once

#include <cublasLt.h>

#include <compare>
#include <cstdint>
#include <limits>
#include <optional>

#include <plinth/kernels/arguments.hpp>
#include <plinth/tensor/element.hpp>

namespace plinth::cuda {

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

  /// What the addresses of all columns can be multiples of, in bytes, 16 at most. Told by the strides alone, since the
  /// algorithm, and with it the result's bits, must not depend on where operands lie: those that lie worse are copied.
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
  const T* gelu_of = nullptr;   ///< as C, which is multiplied by GELU' of that; alone
  T* row_sums = nullptr;        ///< (M), receives the sums of A's rows; alone

  cublasLtEpilogue_t kind() const {
    if (gelu_of) return CUBLASLT_EPILOGUE_DGELU;
    if (row_sums) return CUBLASLT_EPILOGUE_BGRADB;
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

  bool has_vector() const { return epilogue & (CUBLASLT_EPILOGUE_BIAS | CUBLASLT_EPILOGUE_BGRADB); }
  bool has_matrix() const { return epilogue & (CUBLASLT_EPILOGUE_GELU_AUX ^ CUBLASLT_EPILOGUE_GELU); }
};

/// The product that shape asks for, or nothing where its sizes or strides are none that the library takes.
template <class T>
std::optional<LibraryProduct> library_product(const GemmShape& s, const LibraryEpilogue<T>& epilogue) {
  if (s.K == 0 || s.batch > std::numeric_limits<std::int32_t>::max()) return {};
  const auto left = library_matrix(s.b, s.K, s.N, s.batch), right = library_matrix(s.a, s.M, s.K, s.batch);
  const auto result = library_matrix({s.c.row, 1, s.c.batch}, s.M, s.N, s.batch);
  if (!left || !right || !result || result->operation != CUBLAS_OP_N) return {};
  using Type = LibraryType<T>;
  const LibraryProduct product{Type::data, Type::scale, Type::compute, sizeof(T),      static_cast<std::int32_t>(s.batch),
                               *left,      *right,      *result,       epilogue.kind()};
  if (product.has_matrix() && (result->leading % 8 != 0 || result->batch % 8 != 0)) return {};  // cublasLt.h, AUX_LD
  return product;
}

}  // namespace plinth::cuda
