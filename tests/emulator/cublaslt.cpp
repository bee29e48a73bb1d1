// SPDX-License-Identifier: MIT
// cuBLASLt of the emulated device: what the library checks.
#include <algorithm>
#include <bit>
#include <cstring>
#include <emulator.hpp>
#include <mutex>

#include "cublaslt_product.hpp"

struct cublasLtContext {
  int device;
};

namespace emulator {
namespace {

LibraryUse use;
std::mutex use_mutex;

constexpr std::size_t workspace_wanted = 4096;

std::size_t size_of(cudaDataType_t type) { return type == CUDA_R_64F ? 8 : type == CUDA_R_32F ? 4 : 2; }
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

  for (const void* const pointer : {operands[0], operands[1], operands[2], operands[3], product->bias,
                                    static_cast<const void*>(product->auxiliary), static_cast<const void*>(workspace)})
    if (is_host_pointer(pointer)) throw OutsideMemory("a product takes a pointer to the host's memory");

  const auto multiply = product_of(*product, *a_layout, *b_layout, *c_layout, *d_layout, {alpha, beta, a, b, c, d});
  enqueue(stream, [=] {
    if (workspace) std::memset(workspace, 0xff, workspace_bytes);  // nobody else may keep anything there
    multiply();
  });
  const std::lock_guard lock(use_mutex);
  ++use.products;
  use.last_epilogue = static_cast<int>(product->epilogue);
  return CUBLAS_STATUS_SUCCESS;
}
