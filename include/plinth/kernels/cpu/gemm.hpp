// SPDX-License-Identifier: MIT
// The matrix product of the CPU backend, alone or followed by a bias and a pointwise formula.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cpu/gemm_blocks.hpp>
#include <plinth/kernels/cpu/gemm_few_rows.hpp>
#include <plinth/kernels/cpu/lanes.hpp>
#include <plinth/tensor/element.hpp>
#include <plinth/tensor/queue.hpp>

namespace plinth::cpu {

/// C = f(A B + bias) for a finished block: every row as if it had two whole vectors, on copies where it has not.
template <class F, class T>
struct FinishJob {
  const F& f;
  const FinishedBlock<T>& block;

  template <InstructionSet Set>
  [[gnu::always_inline]] inline void run() const {
    constexpr int width = 2 * GemmTile<Set>::bytes / static_cast<int>(sizeof(A));
    const FinishedBlock<T> g = block;
    A shift[width] = {}, padded[width] = {}, z[width];
    T old[width] = {}, rounded[width];
    for (std::int64_t j = 0; g.bias && j < g.columns; ++j) shift[j] = static_cast<A>(g.bias[j]);
    const bool whole = g.columns == width;
    const auto write = [&](T* y, const auto& value) {
      T* const to = whole ? y : rounded;
      independently(0, width, [&](std::int64_t j) { to[j] = static_cast<T>(value(z[j])); });
      if (!whole) copy_row(to, g.columns, y);
    };
    for (std::int64_t i = 0; i < g.rows; ++i) {
      const A* product = g.product + i * g.product_row;
      T* const c = g.c + i * g.c_row;
      if (!whole) product = copy_row(product, g.columns, padded);
      independently(0, width, [&](std::int64_t j) { z[j] = product[j] + shift[j]; });
      if (g.accumulate) {
        const T* before = whole ? c : copy_row(c, g.columns, old);
        independently(0, width, [&](std::int64_t j) { z[j] += static_cast<A>(before[j]); });
      }
      if (g.pre_activation) write(g.pre_activation + i * g.c_row, [](A value) { return value; });
      write(c, [&](A value) { return f.forward(value); });
    }
  }

 private:
  using A = accumulator_t<T>;

  template <class X>
  static const X* copy_row(const X* from, std::int64_t columns, X* to) {
    __builtin_memcpy(static_cast<void*>(to), from, static_cast<std::size_t>(columns) * sizeof(X));
    return to;
  }
};

template <class F, class T>
void finish_block(InstructionSet set, const void* formula, const FinishedBlock<T>& block) {
  run_job(set, FinishJob<F, T>{*static_cast<const F*>(formula), block});
}

/// f(P()) for the type P that tiles multiply where the matrices are of T.
template <class T, class F>
auto with_tile_type(InstructionSet set, const F& f) {
  if constexpr (std::same_as<T, bfloat16>)
    if (multiplies_bfloat16(set)) return f(bfloat16_pair());
  return f(accumulator_t<T>());
}

template <class T>
void run_gemm(queue<Cpu>& queue, InstructionSet set, const GemmProblem<T>& problem) {
  if (FewRowsGemm<T>::takes(problem.shape)) return FewRowsGemm<T>::run(queue, set, problem);
  with_tile_type<T>(set, [&](auto p) { BlockedGemm<T, decltype(p)>(queue, set, problem).run(); });
}

/// Bytes of a packed B (K, N).
template <class T>
std::int64_t packed_bytes(InstructionSet set, std::int64_t N, std::int64_t K) {
  return with_tile_type<T>(set, [&](auto p) {
    using P = decltype(p);
    return round_up(N, tile_size<accumulator_t<T>>(set).columns) * divide_up(K, terms<P>) * std::int64_t{sizeof(P)};
  });
}

/// All panels of B, each with every k: packed[panel][step][width].
template <class T>
void pack_b(queue<Cpu>& queue, InstructionSet set, const GemmShape& shape, const T* b, void* packed) {
  with_tile_type<T>(set, [&](auto p) {
    using P = decltype(p);
    const std::int64_t width = tile_size<accumulator_t<T>>(set).columns, panel = width * divide_up(shape.K, terms<P>);
    queue.each_thread(divide_up(shape.N, width), [&](int, std::int64_t begin, std::int64_t end) {
      pack_columns(set, b + begin * width * shape.b.column, shape.b.row, shape.b.column,
                   std::min(end * width, shape.N) - begin * width, shape.K, width,
                   static_cast<P*>(packed) + begin * panel);
    });
  });
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
                          const T* bias, T* c, T* pre_activation, const void* packed_b = nullptr) {
  const bool finish = !std::same_as<F, Identity> || bias || pre_activation || !std::same_as<T, accumulator_t<T>>;
  run_gemm<T>(queue, set,
              {shape, a, b, c, bias, pre_activation, false, finish ? &finish_block<F, T> : nullptr, &f, packed_b});
}

struct CpuGemm {
  /// C = A B, or C += A B. Sums of float, bfloat16 and half are kept in float. Where the processor multiplies bfloat16
  /// itself (multiplies_bfloat16), it adds in another order and takes subnormal numbers for zeros: bits differ from
  /// those of other processors. Throws MemoryError when there is no scratch memory.
  template <class T>
  static void gemm(queue<Cpu>& queue, const GemmShape& shape, const T* a, const T* b, T* c, bool accumulate) {
    cpu::gemm(queue, instruction_set(), shape, a, b, c, accumulate);
  }

  /// C = f(A B + bias) with bias (N) or null; pre_activation (as C, or null) receives A B + bias. packed_b: what pack_b
  /// wrote of this B, or null; the bits of C are the same.
  template <class F, class T>
  static void gemm_bias_activation(queue<Cpu>& queue, const GemmShape& shape, F f, const T* a, const T* b,
                                   const T* bias, T* c, T* pre_activation, const void* packed_b = nullptr) {
    cpu::gemm_bias_activation(queue, instruction_set(), shape, f, a, b, bias, c, pre_activation, packed_b);
  }

  /// Bytes that pack_b writes for a B (K, N) of T.
  template <class T>
  static std::int64_t packed_bytes(std::int64_t N, std::int64_t K) {
    return cpu::packed_bytes<T>(instruction_set(), N, K);
  }
  /// Lays B of a shape with one product, or one B for all, out as products read it.
  template <class T>
  static void pack_b(queue<Cpu>& queue, const GemmShape& shape, const T* b, void* packed) {
    cpu::pack_b(queue, instruction_set(), shape, b, packed);
  }
};

}  // namespace plinth::cpu
