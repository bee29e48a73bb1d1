// SPDX-License-Identifier: MIT
// cuBLASLt of the emulated device: what the library checks, and the product by its definition.
#include <cublasLt.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <emulator.hpp>
#include <mutex>

#include <plinth/tensor/element.hpp>

struct cublasLtContext {
  int device;
};

namespace emulator {
namespace {

LibraryUse use;
std::mutex use_mutex;

using Layout = cublasLtMatrixLayoutOpaque_t;
using Product = cublasLtMatmulDescOpaque_t;

constexpr std::size_t workspace_wanted = 4096;

std::size_t size_of(cudaDataType_t type) { return type == CUDA_R_64F ? 8 : type == CUDA_R_32F ? 4 : 2; }
bool has_bias(std::uint32_t epilogue) { return epilogue & CUBLASLT_EPILOGUE_BIAS; }
bool has_gelu(std::uint32_t epilogue) { return epilogue & CUBLASLT_EPILOGUE_GELU; }
bool has_gelu_gradient(std::uint32_t epilogue) { return epilogue == CUBLASLT_EPILOGUE_DGELU; }
bool has_bias_gradient(std::uint32_t epilogue) { return epilogue == CUBLASLT_EPILOGUE_BGRADB; }
bool has_vector(std::uint32_t epilogue) { return has_bias(epilogue) || has_bias_gradient(epilogue); }
bool has_auxiliary(std::uint32_t epilogue) { return epilogue & 128; }

bool same_problem(Product x, const Product& y) {
  x.bias = y.bias;
  x.auxiliary = y.auxiliary;
  return x == y;
}

/// Whether sizes, leading dimensions, types and the epilogue's pointers fit each other.
bool consistent(const Product& p, const Layout& a, const Layout& b, const Layout& c, const Layout& d) {
  for (const Layout* x : {&a, &b, &c, &d})
    if (x->rows == 0 || x->columns == 0 || x->leading < static_cast<std::int64_t>(x->rows) ||
        x->batch_count != d.batch_count || x->batch_count < 1 || x->type != d.type)
      return false;
  const bool as_double = d.type == CUDA_R_64F;
  if ((p.compute == CUBLAS_COMPUTE_64F) != as_double || (p.scale == CUDA_R_64F) != as_double) return false;
  const auto rows = p.transpose_a ? a.columns : a.rows, depth = p.transpose_a ? a.rows : a.columns;
  if (depth != (p.transpose_b ? b.columns : b.rows) || (p.transpose_b ? b.rows : b.columns) != d.columns) return false;
  if (rows != d.rows || c.rows != d.rows || c.columns != d.columns) return false;
  if (d.batch_count > 1 && d.batch_stride < static_cast<std::int64_t>(d.rows)) return false;
  if (has_vector(p.epilogue) && !p.bias) return false;
  return !has_auxiliary(p.epilogue) ||
         (p.auxiliary && p.auxiliary_leading % 8 == 0 && p.auxiliary_leading >= static_cast<std::int64_t>(d.rows) &&
          p.auxiliary_batch_stride % 8 == 0);
}

/// GELU in its tanh form.
template <class A>
A gelu(A x) {
  return x / 2 * (1 + std::tanh(std::sqrt(2 / std::acos(A(-1))) * (x + A(0.044715) * x * x * x)));
}

/// Its derivative.
template <class A>
A gelu_slope(A x) {
  const A root = std::sqrt(2 / std::acos(A(-1))), t = std::tanh(root * (x + A(0.044715) * x * x * x));
  return (1 + t) / 2 + x / 2 * (1 - t * t) * root * (1 + 3 * A(0.044715) * x * x);
}

template <class T>
struct Call {
  using A = plinth::accumulator_t<T>;
  Product p;
  Layout a_layout, b_layout, c_layout, d_layout;
  A alpha, beta;
  const T *a, *b, *c;
  T* d;

  void operator()() const {
    const auto depth = static_cast<std::int64_t>(p.transpose_a ? a_layout.rows : a_layout.columns);
    for (std::int64_t n = 0; n < d_layout.batch_count; ++n)
      for (std::int64_t j = 0; j < static_cast<std::int64_t>(d_layout.columns); ++j)
        for (std::int64_t i = 0; i < static_cast<std::int64_t>(d_layout.rows); ++i) {
          A sum = 0;
          for (std::int64_t k = 0; k < depth; ++k)
            sum += element(a, a_layout, p.transpose_a, n, i, k) * element(b, b_layout, p.transpose_b, n, k, j);
          sum *= alpha;
          if (beta != A(0)) sum += beta * element(c, c_layout, 0, n, i, j);
          finish(sum, n, i, j);
        }
    if (has_bias_gradient(p.epilogue)) sum_columns_of_b(depth);
  }

 private:
  static A element(const T* x, const Layout& layout, std::int32_t transpose, std::int64_t n, std::int64_t i,
                   std::int64_t j) {
    return static_cast<A>(x[n * layout.batch_stride + (transpose ? j + i * layout.leading : i + j * layout.leading)]);
  }
  void finish(A z, std::int64_t n, std::int64_t i, std::int64_t j) const {
    if (has_bias(p.epilogue)) z += static_cast<A>(static_cast<const T*>(p.bias)[i]);
    if (has_auxiliary(p.epilogue)) {
      T& auxiliary = static_cast<T*>(p.auxiliary)[n * p.auxiliary_batch_stride + i + j * p.auxiliary_leading];
      if (has_gelu_gradient(p.epilogue))
        z *= gelu_slope(static_cast<A>(auxiliary));
      else
        auxiliary = static_cast<T>(z);
    }
    d[n * d_layout.batch_stride + i + j * d_layout.leading] = static_cast<T>(has_gelu(p.epilogue) ? gelu(z) : z);
  }
  void sum_columns_of_b(std::int64_t depth) const {
    for (std::int64_t j = 0; j < static_cast<std::int64_t>(d_layout.columns); ++j) {
      A sum = 0;
      for (std::int64_t k = 0; k < depth; ++k) sum += element(b, b_layout, p.transpose_b, 0, k, j);
      static_cast<T*>(const_cast<void*>(p.bias))[j] = static_cast<T>(sum);
    }
  }
};

template <class Field, class Value>
cublasStatus_t assign(Field& field, const Value* value, std::size_t bytes) {
  if (!value || bytes != sizeof field) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&field, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

LibraryUse library_use() {
  const std::lock_guard lock(use_mutex);
  return use;
}

}  // namespace emulator

using namespace emulator;

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  int device = 0;
  cudaGetDevice(&device);
  *handle = new cublasLtContext{device};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

const char* cublasLtGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
  }
  return "unknown";
}

const char* cublasLtGetStatusString(cublasStatus_t) { return "as the emulator sees it"; }

cublasStatus_t cublasLtMatrixLayoutInit(cublasLtMatrixLayout_t layout, cudaDataType_t type, std::uint64_t rows,
                                        std::uint64_t columns, std::int64_t leading) {
  *layout = {type, rows, columns, leading, 0, 1};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute, const void* value,
                                                std::size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT: return assign(layout->batch_count, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET: return assign(layout->batch_stride, value, bytes);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulDescInit(cublasLtMatmulDesc_t product, cublasComputeType_t compute, cudaDataType_t scale) {
  *product = {compute, scale, CUBLAS_OP_N, CUBLAS_OP_N, CUBLASLT_EPILOGUE_DEFAULT, nullptr, nullptr, 0, 0};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t product, cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, std::size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA: return assign(product->transpose_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB: return assign(product->transpose_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE: return assign(product->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return assign(product->bias, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER: return assign(product->auxiliary, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD: return assign(product->auxiliary_leading, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE: return assign(product->auxiliary_batch_stride, value, bytes);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulPreferenceInit(cublasLtMatmulPreference_t preference) {
  *preference = {0, CUBLASLT_REDUCTION_SCHEME_MASK, {256, 256, 256, 256}};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute, const void* value,
                                                    std::size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: return assign(preference->workspace_bytes, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK: return assign(preference->reductions, value, bytes);
    default: break;
  }
  const int operand = attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES;
  if (operand < 0 || operand > 3) return CUBLAS_STATUS_INVALID_VALUE;
  return assign(preference->alignments[operand], value, bytes);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t product,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int requested,
                                              cublasLtMatmulHeuristicResult_t results[], int* returned) {
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (requested < 1 || !consistent(*product, *a, *b, *c, *d)) return CUBLAS_STATUS_INVALID_VALUE;
  const std::lock_guard lock(use_mutex);
  ++use.searches;
  *returned = 0;
  if (d->type == CUDA_R_64F && product->epilogue & ~std::uint32_t{CUBLASLT_EPILOGUE_DEFAULT | CUBLASLT_EPILOGUE_BIAS})
    return CUBLAS_STATUS_NOT_SUPPORTED;
  if (has_bias_gradient(product->epilogue) && d->batch_count > 1) return CUBLAS_STATUS_NOT_SUPPORTED;
  for (const std::uint32_t alignment : preference->alignments)
    if (!std::has_single_bit(alignment) || alignment < size_of(d->type)) return CUBLAS_STATUS_NOT_SUPPORTED;
  const std::size_t workspace = preference->workspace_bytes >= workspace_wanted ? workspace_wanted : 0;
  results[0] = {{*product, *a, *b, *c, *d, {}, workspace}, workspace, CUBLAS_STATUS_SUCCESS, 1, {}};
  std::copy_n(preference->alignments, 4, results[0].algo.alignments);
  *returned = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t product, const void* alpha, const void* a,
                              cublasLtMatrixLayout_t a_layout, const void* b, cublasLtMatrixLayout_t b_layout,
                              const void* beta, const void* c, cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algorithm, void* workspace,
                              std::size_t workspace_bytes, cudaStream_t stream) {
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (!alpha || !beta || !a || !b || !c || !d || !algorithm || !stream) return CUBLAS_STATUS_INVALID_VALUE;
  if (device_of(stream) != handle->device) return CUBLAS_STATUS_INVALID_VALUE;
  if (!consistent(*product, *a_layout, *b_layout, *c_layout, *d_layout)) return CUBLAS_STATUS_INVALID_VALUE;
  if (!same_problem(*product, algorithm->product) || *a_layout != algorithm->a || *b_layout != algorithm->b ||
      *c_layout != algorithm->c || *d_layout != algorithm->d)
    return CUBLAS_STATUS_INVALID_VALUE;
  const auto aligned = [](const void* x, std::size_t bytes) {
    return reinterpret_cast<std::uintptr_t>(x) % bytes == 0;
  };
  const void* const operands[] = {a, b, c, d};
  for (int i = 0; i < 4; ++i)
    if (!aligned(operands[i], algorithm->alignments[i])) return CUBLAS_STATUS_INVALID_VALUE;
  const auto of_epilogue = [&](const void* now, const void* promised) {  // whose pointer was the promise
    const auto bits = reinterpret_cast<std::uintptr_t>(promised);
    return aligned(now, std::size_t{1} << std::countr_zero(bits | 16));
  };
  if (has_vector(product->epilogue) && !of_epilogue(product->bias, algorithm->product.bias))
    return CUBLAS_STATUS_INVALID_VALUE;
  if (has_auxiliary(product->epilogue) && !of_epilogue(product->auxiliary, algorithm->product.auxiliary))
    return CUBLAS_STATUS_INVALID_VALUE;
  if (workspace_bytes < algorithm->workspace_bytes || (workspace_bytes && !workspace)) return CUBLAS_STATUS_INVALID_VALUE;

  const auto queue = [&]<class T>(T) {
    using A = plinth::accumulator_t<T>;
    const auto typed = [](const void* x) { return static_cast<const T*>(x); };
    const A factors[] = {*static_cast<const A*>(alpha), *static_cast<const A*>(beta)};
    const Call<T> call{*product, *a_layout, *b_layout, *c_layout, *d_layout,  factors[0],
                       factors[1], typed(a), typed(b),  typed(c),  static_cast<T*>(d)};
    enqueue(stream, [=] {
      if (workspace) std::memset(workspace, 0xff, workspace_bytes);  // nobody else may keep anything there
      call();
    });
  };
  switch (d_layout->type) {
    case CUDA_R_32F: queue(float()); break;
    case CUDA_R_64F: queue(double()); break;
    case CUDA_R_16F: queue(plinth::half()); break;
    case CUDA_R_16BF: queue(plinth::bfloat16()); break;
  }
  const std::lock_guard lock(use_mutex);
  ++use.products;
  use.last_epilogue = static_cast<int>(product->epilogue);
  return CUBLAS_STATUS_SUCCESS;
}
