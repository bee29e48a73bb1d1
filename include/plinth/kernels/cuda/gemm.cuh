// SPDX-License-Identifier: MIT
// The matrix product of the CUDA backend, alone or followed by a bias and a pointwise formula, and who computes which:
// few rows a kernel bound by memory, what cuBLASLt takes cuBLASLt, all else the tiles. Strides and sizes alone decide.
#pragma once

#include <concepts>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cuda/cublaslt.cuh>
#include <plinth/kernels/cuda/gemm_few_rows.cuh>
#include <plinth/kernels/cuda/gemm_tiles.cuh>
#include <plinth/kernels/cuda/reduction.cuh>
#include <plinth/kernels/cuda/strided.cuh>
#include <plinth/tensor/shape.hpp>

namespace plinth::cuda {

struct CudaGemm {
  /// C = A B, or C += A B, `shape.batch` times.
  template <class T>
  static void gemm(queue<Cuda>& queue, const GemmShape& shape, const T* a, const T* b, T* c, bool accumulate) {
    if (shape.batch == 0 || shape.M == 0 || shape.N == 0) return;
    if (FewRows::take(shape))
      launch_few_rows<Identity, T>(queue, shape, {}, a, b, nullptr, c, nullptr, accumulate);
    else if (!multiply_by_library(queue, shape, a, b, c, accumulate))
      multiply_by_tiles(queue, shape, a, b, c, accumulate);
  }

  /// C = f(A B + bias) with bias (N) or null; pre_activation (as C, or null) receives A B + bias.
  template <class F, class T>
  static void gemm_bias_activation(queue<Cuda>& queue, const GemmShape& shape, F f, const T* a, const T* b,
                                   const T* bias, T* c, T* pre_activation) {
    if (shape.batch == 0 || shape.M == 0 || shape.N == 0) return;
    if (FewRows::take(shape)) return launch_few_rows(queue, shape, f, a, b, bias, c, pre_activation, false);
    if constexpr (detail::is_gelu_tanh<F>)
      if (multiply_by_library(queue, shape, a, b, c, false, {true, bias, pre_activation})) return;

    T* const z = pre_activation ? pre_activation : c;
    const Shape sizes{shape.batch, shape.M, shape.N}, strides{shape.c.batch, shape.c.row, 1};
    if (!bias || !multiply_by_library(queue, shape, a, b, z, false, {false, bias})) {
      if (bias) map_strided(queue, sizes, {strides, {0, 0, 1}}, Forward<Identity, T>{{}}, z, bias);
      gemm(queue, shape, a, b, z, bias != nullptr);  // added before the sum is rounded
    }
    if (!std::same_as<F, Identity> || pre_activation)
      map_strided(queue, sizes, {strides, strides}, Forward<F, T>{f}, c, static_cast<const T*>(z));
  }

  /// C = f.backward(z, A B), with z as C.
  template <class F, class T>
  static void gemm_activation_backward(queue<Cuda>& queue, const GemmShape& shape, F f, const T* a, const T* b,
                                       const T* z, T* c) {
    if (shape.batch == 0 || shape.M == 0 || shape.N == 0) return;
    if constexpr (detail::is_gelu_tanh<F>)
      if (!FewRows::take(shape) && multiply_by_library(queue, shape, a, b, c, false, {.gelu_of = z})) return;
    gemm(queue, shape, a, b, c, false);
    const Shape sizes{shape.batch, shape.M, shape.N}, strides{shape.c.batch, shape.c.row, 1};
    map_strided(queue, sizes, {strides, strides, strides}, Backward<F, T>{f}, c, z, static_cast<const T*>(c));
  }

  /// dW (outputs, inputs) = dz^T x, and db (outputs) = the sums of dz over its rows.
  template <class T>
  static void linear_weight_backward(queue<Cuda>& queue, std::int64_t rows, std::int64_t outputs, std::int64_t inputs,
                                     const T* dz, const T* x, T* dw, T* db) {
    const GemmShape shape{1, outputs, inputs, rows, {1, outputs, 0}, {inputs, 1, 0}, {inputs, 1, 0}};
    if (outputs > 0 && inputs > 0 && !FewRows::take(shape) &&
        multiply_by_library(queue, shape, dz, x, dw, false, {.row_sums = db}))
      return;
    gemm(queue, shape, dz, x, dw, false);
    CudaReduction::reduce_sum(queue, 1, rows, outputs, dz, db);
  }
};

}  // namespace plinth::cuda
