// SPDX-License-Identifier: MIT
// The CUDA backend: kernels<Cuda> joins the structs of kernels/cuda/. It has all that the contract requires, the fused
// product, by cuBLASLt, which programs link (-lcublasLt), attention of 16-bit types on tensor cores, of compute capability
// 8.0 and more, attention of few queries, in float too, and the choice of the next token.
#pragma once

#include <plinth/kernels/contract.hpp>
#include <plinth/kernels/cuda/attention.cuh>
#include <plinth/kernels/cuda/dropout.cuh>
#include <plinth/kernels/cuda/elementwise.cuh>
#include <plinth/kernels/cuda/gemm.cuh>
#include <plinth/kernels/cuda/graph.cuh>
#include <plinth/kernels/cuda/norm.cuh>
#include <plinth/kernels/cuda/optimizer.cuh>
#include <plinth/kernels/cuda/reduction.cuh>
#include <plinth/kernels/cuda/rows.cuh>
#include <plinth/kernels/cuda/sample.cuh>
#include <plinth/kernels/cuda/softmax.cuh>
#include <plinth/kernels/cuda/strided.cuh>

namespace plinth {

template <>
struct kernels<Cuda> : cuda::CudaElementwise,
                       cuda::CudaStrided,
                       cuda::CudaReduction,
                       cuda::CudaGemm,
                       cuda::CudaSoftmax,
                       cuda::CudaAttention,
                       cuda::CudaNorm,
                       cuda::CudaRows,
                       cuda::CudaDropout,
                       cuda::CudaOptimizer,
                       cuda::CudaSample {};

static_assert(RequiredKernels<kernels<Cuda>, Cuda, float> && RequiredKernels<kernels<Cuda>, Cuda, double> &&
              RequiredKernels<kernels<Cuda>, Cuda, bfloat16> && RequiredKernels<kernels<Cuda>, Cuda, half>);
static_assert(FusedGemm<kernels<Cuda>, Cuda, float> && FusedGemm<kernels<Cuda>, Cuda, double> &&
              FusedGemm<kernels<Cuda>, Cuda, bfloat16> && FusedGemm<kernels<Cuda>, Cuda, half>);
static_assert(FusedLinearBackward<kernels<Cuda>, Cuda, float> && FusedLinearBackward<kernels<Cuda>, Cuda, double> &&
              FusedLinearBackward<kernels<Cuda>, Cuda, bfloat16> && FusedLinearBackward<kernels<Cuda>, Cuda, half>);
static_assert(FusedAttention<kernels<Cuda>, Cuda, bfloat16> && FusedAttention<kernels<Cuda>, Cuda, half> &&
              DecodeAttention<kernels<Cuda>, Cuda, float>);
static_assert(SampleRows<kernels<Cuda>, Cuda, float> && SampleRows<kernels<Cuda>, Cuda, bfloat16> &&
              SampleRows<kernels<Cuda>, Cuda, half>);

}  // namespace plinth
