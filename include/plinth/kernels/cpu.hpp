// SPDX-License-Identifier: MIT
// The CPU backend: kernels<Cpu> joins the structs of kernels/cpu/.
#pragma once

#include <plinth/kernels/contract.hpp>
#include <plinth/kernels/cpu/attention.hpp>
#include <plinth/kernels/cpu/dropout.hpp>
#include <plinth/kernels/cpu/elementwise.hpp>
#include <plinth/kernels/cpu/gemm.hpp>
#include <plinth/kernels/cpu/norm.hpp>
#include <plinth/kernels/cpu/optimizer.hpp>
#include <plinth/kernels/cpu/reduction.hpp>
#include <plinth/kernels/cpu/rows.hpp>
#include <plinth/kernels/cpu/softmax.hpp>

namespace plinth {

/// Every primitive, and the fused forms of products and attention. Threads and instruction sets are the queue's.
template <>
struct kernels<Cpu> : cpu::CpuElementwise,
                      cpu::CpuReduction,
                      cpu::CpuGemm,
                      cpu::CpuSoftmax,
                      cpu::CpuNorm,
                      cpu::CpuRows,
                      cpu::CpuDropout,
                      cpu::CpuAttention,
                      cpu::CpuOptimizer {};

static_assert(RequiredKernels<kernels<Cpu>, Cpu, float>);
static_assert(RequiredKernels<kernels<Cpu>, Cpu, double>);
static_assert(FusedGemm<kernels<Cpu>, Cpu, float>);
static_assert(FusedAttention<kernels<Cpu>, Cpu, float>);

}  // namespace plinth
