// SPDX-License-Identifier: MIT
// C (M, N) = f(A (M, K) B (K, N) + bias) with one to four rows, as decoding has them: bound by reading B, which is read
// once, 16 bytes at a time.
#pragma once

#include <cstdint>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cuda/elementwise.cuh>
#include <plinth/kernels/cuda/launch.cuh>
#include <plinth/kernels/cuda/team.cuh>
#include <plinth/tensor/element.hpp>

namespace plinth::cuda {

/// A warp for each column of C: lane l adds packs l, l + 32, ... of K, one element after the other, then the lanes are
/// added. So the bits depend neither on the alignment nor on the number of rows.
struct FewRows {
  static constexpr int most = 4, columns_per_block = 4, threads = columns_per_block * warp_size;
  static constexpr int packs_at_once = 4;  // loads that a lane has under way, which a GPU's memory needs to be busy

  /// Whether a product has few rows, and both operands are dense along K.
  static bool take(const GemmShape& shape) {
    return shape.M <= most && (shape.K <= 1 || (shape.a.column == 1 && shape.b.row == 1));
  }
};

template <class F, class T>
__global__ void __launch_bounds__(FewRows::threads)
    multiply_few_rows(GemmShape shape, bool aligned, F f, const T* a, const T* b, const T* bias, T* c,
                      T* pre_activation, bool accumulate) {
  using A = accumulator_t<T>;
  constexpr int width = 16 / sizeof(T), jump = warp_size * width;
  const std::int64_t blocks = blocks_for(shape.N, FewRows::columns_per_block), batch = blockIdx.x / blocks;
  const int lane = static_cast<int>(threadIdx.x) % warp_size;
  const std::int64_t n = blockIdx.x % blocks * FewRows::columns_per_block + threadIdx.x / warp_size;
  if (n >= shape.N) return;
  const T *column = b + batch * shape.b.batch + n * shape.b.column, *rows = a + batch * shape.a.batch;

  A sums[FewRows::most] = {};
  for (std::int64_t k = lane * width; k < shape.K; k += FewRows::packs_at_once * jump) {
    Pack<T, width> weights[FewRows::packs_at_once];
    for_constants<FewRows::packs_at_once>(
        [&](auto p) { weights[p] = load_pack<width>(column, k + p * jump, shape.K, aligned); });
    for_constants<FewRows::packs_at_once * FewRows::most>([&](auto step) {
      constexpr int p = step / FewRows::most, r = step % FewRows::most;
      if (r >= shape.M) return;
      const auto x = load_pack<width>(rows + r * shape.a.row, k + p * jump, shape.K, aligned);
      for (int i = 0; i < width; ++i) sums[r] += widened(x.values[i]) * widened(weights[p].values[i]);
    });
  }

  const A shift = bias ? static_cast<A>(bias[n]) : A(0);
  for_constants<FewRows::most>([&](auto r) {
    if (r >= shape.M) return;
    const A sum = WarpTeam::reduce(sums[r], Sum());
    if (lane != r) return;
    const std::int64_t at = batch * shape.c.batch + r * shape.c.row + n;
    const A z = accumulate ? static_cast<A>(c[at]) + sum : sum + shift;
    if (pre_activation) pre_activation[at] = static_cast<T>(z);
    c[at] = static_cast<T>(f.forward(z));
  });
}

/// Queues C = f(A B + bias), or C += A B, of a product that FewRows takes. bias and pre_activation may be null.
template <class F, class T>
void launch_few_rows(queue<Cuda>& queue, const GemmShape& shape, F f, const T* a, const T* b, const T* bias, T* c,
                     T* pre_activation, bool accumulate) {
  const auto aligned = [](const T* x, std::int64_t line, std::int64_t batch) {
    return reinterpret_cast<std::uintptr_t>(x) % 16 == 0 && (line | batch) * std::int64_t{sizeof(T)} % 16 == 0;
  };
  const bool both = aligned(a, shape.a.row, shape.a.batch) && aligned(b, shape.b.column, shape.b.batch);
  launch(queue, shape.batch * blocks_for(shape.N, FewRows::columns_per_block), FewRows::threads, 0,
         multiply_few_rows<F, T>, shape, both, f, a, b, bias, c, pre_activation, accumulate);
}

}  // namespace plinth::cuda
