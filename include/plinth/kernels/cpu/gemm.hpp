// SPDX-License-Identifier: MIT
// The matrix product of the CPU backend, alone or followed by a bias and a pointwise formula.
#pragma once

#include <cstdint>

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
    using A = accumulator_t<T>;
    constexpr int width = 2 * GemmTile<Set>::bytes / static_cast<int>(sizeof(A));
    const FinishedBlock<T> g = block;
    A shift[width] = {};
    for (std::int64_t j = 0; g.bias && j < g.columns; ++j) shift[j] = static_cast<A>(g.bias[j]);
    for (std::int64_t i = 0; i < g.rows; ++i) {
      A z[width] = {};
      move<width>(g.product + i * g.product_row, g.columns, z);
      for (int j = 0; j < width; ++j) z[j] += shift[j];
      T* c = g.c + i * g.c_row;
      if (g.accumulate)
        for (std::int64_t j = 0; j < g.columns; ++j) z[j] += static_cast<A>(c[j]);
      if (g.pre_activation) move<width>(z, g.columns, g.pre_activation + i * g.c_row);
      for (int j = 0; j < width; ++j) z[j] = f.forward(z[j]);
      move<width>(z, g.columns, c);
    }
  }

 private:
  /// to = from for `count` elements; a whole row with a constant count, for the compiler to unroll.
  template <int Width, class From, class To>
  [[gnu::always_inline]] static inline void move(const From* from, std::int64_t count, To* to) {
    if (count == Width)
      for (int j = 0; j < Width; ++j) to[j] = static_cast<To>(from[j]);
    else
      for (std::int64_t j = 0; j < count; ++j) to[j] = static_cast<To>(from[j]);
  }
};

template <class F, class T>
void finish_block(InstructionSet set, const void* formula, const FinishedBlock<T>& block) {
  run_job(set, FinishJob<F, T>{*static_cast<const F*>(formula), block});
}

template <class T>
void run_gemm(queue<Cpu>& queue, InstructionSet set, const GemmProblem<T>& problem) {
  if (FewRowsGemm<T>::takes(problem.shape))
    FewRowsGemm<T>::run(queue, set, problem);
  else
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
  /// C = A B, or C += A B. Sums of float, bfloat16 and half are kept in float. Throws MemoryError when there is no
  /// scratch memory.
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
