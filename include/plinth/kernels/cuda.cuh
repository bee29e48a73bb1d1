// SPDX-License-Identifier: MIT
// The CUDA backend: kernels<Cuda> joins the structs of kernels/cuda/.
#pragma once

#include <plinth/kernels/contract.hpp>
#include <plinth/kernels/cuda/elementwise.cuh>
#include <plinth/kernels/cuda/gemm.cuh>
#include <plinth/kernels/cuda/softmax.cuh>

namespace plinth {

template <>
struct kernels<Cuda> : cuda::CudaElementwise, cuda::CudaGemm, cuda::CudaSoftmax {};

static_assert(contract::Pointwise<kernels<Cuda>, Cuda, float> && contract::PointwiseBackward<kernels<Cuda>, Cuda, float>);
static_assert(contract::Gemm<kernels<Cuda>, Cuda, float> && contract::Softmax<kernels<Cuda>, Cuda, float>);

}  // namespace plinth
