// SPDX-License-Identifier: MIT
// The matrix product of the CUDA backend, alone or followed by a bias and a pointwise formula, and who computes which:
// few rows a kernel bound by memory, what cuBLASLt takes cuBLASLt, all else the tiles. Strides and sizes alone decide.
#pragma once

#include <concepts>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cuda/cublaslt.cuh>
#include <plinth/kernels/cuda/gemm_few_rows.cuh>
#include <plinth/kernels/cuda/gemm_tiles.cuh>
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
      gemm(queue, shape, a, b, z, false);
      if (bias)
        map_strided(queue, sizes, {strides, strides, {0, 0, 1}}, Accumulate<T, T>{}, z, static_cast<const T*>(z), bias);
    }
    if (!std::same_as<F, Identity> || pre_activation)
      map_strided(queue, sizes, {strides, strides}, Forward<F, T>{f}, c, static_cast<const T*>(z));
  }
};

}  // namespace plinth::cuda
