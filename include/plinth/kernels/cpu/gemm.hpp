// SPDX-License-Identifier: MIT
// The matrix product of the CPU backend, alone or followed by a bias and a pointwise formula.
#pragma once

#include <cstdint>
#include <type_traits>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cpu/gemm_blocks.hpp>
#include <plinth/kernels/cpu/gemm_few_rows.hpp>
#include <plinth/tensor/element.hpp>
#include <plinth/tensor/queue.hpp>

namespace plinth::cpu {

/// C = f(A B + bias) for a finished block.
template <class F, class T>
struct FinishJob {
  const F& f;
  const FinishedBlock<T>& block;

  template <InstructionSet Set>
  [[gnu::always_inline]] inline void run() const {
    constexpr int width = 2 * GemmTile<Set>::bytes / static_cast<int>(sizeof(A));
    A shift[width] = {};
    for (std::int64_t j = 0; block.bias && j < block.columns; ++j) shift[j] = static_cast<A>(block.bias[j]);
    const FinishedBlock<T> g = block;
    if (g.columns == width)
      rows<width>(g, shift, std::integral_constant<std::int64_t, width>{});  // for the compiler to unroll
    else
      rows<width>(g, shift, g.columns);
  }

 private:
  using A = accumulator_t<T>;

  template <int Width, class Count>
  [[gnu::always_inline]] inline void rows(const FinishedBlock<T>& g, const A* shift, Count columns) const {
    for (std::int64_t i = 0; i < g.rows; ++i) {
      const A* product = g.product + i * g.product_row;
      T* c = g.c + i * g.c_row;
      A z[Width];
      for (std::int64_t j = 0; j < columns; ++j) z[j] = product[j] + shift[j];
      if (g.accumulate)
        for (std::int64_t j = 0; j < columns; ++j) z[j] += static_cast<A>(c[j]);
      if (g.pre_activation)
        for (std::int64_t j = 0; j < columns; ++j) g.pre_activation[i * g.c_row + j] = static_cast<T>(z[j]);
      for (std::int64_t j = 0; j < columns; ++j) c[j] = static_cast<T>(f.forward(z[j]));
    }
  }
};

template <class F, class T>
void finish_block(InstructionSet set, const void* formula, const FinishedBlock<T>& block) {
  run_job(set, FinishJob<F, T>{*static_cast<const F*>(formula), block});
}

template <class T>
void run_gemm(queue<Cpu>& queue, InstructionSet set, const GemmProblem<T>& problem) {
  if (FewRowsGemm<T>::takes(problem.shape)) return FewRowsGemm<T>::run(queue, set, problem);
  if constexpr (std::same_as<T, bfloat16>)
    if (multiplies_bfloat16(set)) return BlockedGemm<T, bfloat16_pair>(queue, set, problem).run();
  BlockedGemm<T>(queue, set, problem).run();
}

/// The products below for an instruction set of the caller's choice, which the processor must have.
template <class T>
void gemm(queue<Cpu>& queue, InstructionSet set, const GemmShape& shape, const T* a, const T* b, T* c,
          bool accumulate) {
  const Identity identity;
  run_gemm<T>(queue, set,
              {shape, a, b, c, nullptr, nullptr, accumulate,
               std::same_as<T, accumulator_t<T>> ? nullptr : &finish_block<Identity, T>, &identity});
}
template <class F, class T>
void gemm_bias_activation(queue<Cpu>& queue, InstructionSet set, const GemmShape& shape, F f, const T* a, const T* b,
                          const T* bias, T* c, T* pre_activation) {
  if (std::same_as<F, Identity> && !bias && !pre_activation) return gemm(queue, set, shape, a, b, c, false);
  run_gemm<T>(queue, set, {shape, a, b, c, bias, pre_activation, false, &finish_block<F, T>, &f});
}

struct CpuGemm {
  /// C = A B, or C += A B. Sums of float, bfloat16 and half are kept in float. Where the processor multiplies bfloat16
  /// itself (multiplies_bfloat16), it adds in another order and takes subnormal numbers for zeros: bits differ from those
  /// of other processors.
  /// Throws MemoryError when there is no scratch memory.
  template <class T>
  static void gemm(queue<Cpu>& queue, const GemmShape& shape, const T* a, const T* b, T* c, bool accumulate) {
    cpu::gemm(queue, instruction_set(), shape, a, b, c, accumulate);
  }

  /// C = f(A B + bias) with bias (N) or null; pre_activation (as C, or null) receives A B + bias.
  template <class F, class T>
  static void gemm_bias_activation(queue<Cpu>& queue, const GemmShape& shape, F f, const T* a, const T* b,
                                   const T* bias, T* c, T* pre_activation) {
    cpu::gemm_bias_activation(queue, instruction_set(), shape, f, a, b, bias, c, pre_activation);
  }
};

}  // namespace plinth::cpu
