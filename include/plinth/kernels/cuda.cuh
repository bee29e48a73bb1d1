// SPDX-License-Identifier: MIT
// The CUDA backend: kernels<Cuda> joins the structs of kernels/cuda/. So far it has the part of the contract that is
// asserted below; no model runs on it yet.
#pragma once

#include <plinth/kernels/contract.hpp>
#include <plinth/kernels/cuda/elementwise.cuh>
#include <plinth/kernels/cuda/gemm.cuh>
#include <plinth/kernels/cuda/reduction.cuh>
#include <plinth/kernels/cuda/softmax.cuh>
#include <plinth/kernels/cuda/strided.cuh>

namespace plinth {

template <>
struct kernels<Cuda> : cuda::CudaElementwise, cuda::CudaStrided, cuda::CudaReduction, cuda::CudaGemm, cuda::CudaSoftmax {};

static_assert(contract::Fill<kernels<Cuda>, Cuda, float> && contract::Copy<kernels<Cuda>, Cuda, float> &&
              contract::Cast<kernels<Cuda>, Cuda, float> && contract::Accumulate<kernels<Cuda>, Cuda, float> &&
              contract::Scale<kernels<Cuda>, Cuda, float> && contract::Pointwise<kernels<Cuda>, Cuda, float> &&
              contract::PointwiseBackward<kernels<Cuda>, Cuda, float> && contract::Binary<kernels<Cuda>, Cuda, float> &&
              contract::ReduceSum<kernels<Cuda>, Cuda, float> && contract::Gemm<kernels<Cuda>, Cuda, float> &&
              contract::Softmax<kernels<Cuda>, Cuda, float>);

}  // namespace plinth
