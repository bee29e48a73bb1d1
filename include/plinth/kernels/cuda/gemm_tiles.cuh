// SPDX-License-Identifier: MIT
// C (M, N) = A (M, K) B (K, N) without tensor cores: tiles in shared memory, a square of C in each thread's registers.
// Takes any strides. K is walked from its first to its last element, so the bits do not depend on the tile.
#pragma once

#include <cstddef>
#include <cstdint>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cuda/elementwise.cuh>
#include <plinth/kernels/cuda/launch.cuh>
#include <plinth/tensor/element.hpp>

namespace plinth::cuda {

/// A block computes edge x edge elements of C, `each` x `each` per thread, `depth` steps of K at a time.
template <int Edge, int Each, int Depth>
struct GemmTile {
  static constexpr int edge = Edge, each = Each, depth = Depth;
  static constexpr int threads_across = edge / each, threads = threads_across * threads_across;
  static constexpr int pitch = edge + 4;  // of a step in shared memory; 4 spread a warp's stores over the banks
  static constexpr int group = 4;         // neighbouring elements that a thread reads from shared memory at once
  /// Where in the tile element number e of `each` of thread t of threads_across lies, along either side.
  __device__ static int position(int t, int e) { return e / group * (edge / (each / group)) + t * group + e % group; }
};
using LargeTile = GemmTile<128, 8, 8>;
using SmallTile = GemmTile<64, 4, 16>;

/// A block's strip of one operand: edge rows of A, or edge columns of B ("lines"), on its way to shared memory.
template <class Tile, class T>
class GemmStrip {
  using A = accumulator_t<T>;
  static constexpr int count = Tile::edge * Tile::depth / Tile::threads;
  static_assert(Tile::threads % Tile::depth == 0 && Tile::threads % Tile::edge == 0);

 public:
  /// Lines [first, lines) of an operand. Threads walk along whichever side is dense in memory.
  __device__ GemmStrip(const T* operand, std::int64_t first, std::int64_t lines, std::int64_t line_stride,
                       std::int64_t depth_stride)
      : depth_stride_(depth_stride) {
    const int thread = static_cast<int>(threadIdx.x);
    const bool along_depth = depth_stride == 1;
    const int line = along_depth ? thread / Tile::depth : thread % Tile::edge;
    const int line_jump = along_depth ? Tile::threads / Tile::depth : 0;
    step_ = along_depth ? thread % Tile::depth : thread / Tile::edge;
    step_jump_ = along_depth ? 0 : Tile::threads / Tile::edge;
    source_ = operand + (first + line) * line_stride + step_ * depth_stride;
    jump_ = line_jump * line_stride + step_jump_ * depth_stride;
    place_ = step_ * Tile::pitch + line;
    place_jump_ = step_jump_ * Tile::pitch + line_jump;
    for (int e = 0; e < count; ++e) lines_ |= first + line + e * line_jump < lines ? 1u << e : 0;
  }

  /// Reads the next Tile::depth steps, of which there are so many, into registers; zeros beyond the operand's end.
  __device__ void load(int steps) {
    for_constants<count>([&](auto e) {
      const bool inside = (lines_ >> e & 1) && step_ + e * step_jump_ < steps;
      values_[e] = inside ? static_cast<A>(source_[e * jump_]) : A(0);
    });
    source_ += Tile::depth * depth_stride_;
  }

  __device__ void store(A* shared) const {
    for_constants<count>([&](auto e) { shared[place_ + e * place_jump_] = values_[e]; });
  }

 private:
  const T* source_;
  std::int64_t depth_stride_, jump_;  // of what a thread reads next: from step to step, and from value to value
  int step_, step_jump_, place_, place_jump_;  // the steps of these values, and where they go in shared memory
  unsigned lines_ = 0;                         // a bit for each value whose line there is
  A values_[count];
};

/// `each` values of thread t, out of one step of a strip.
template <class Tile, class A>
__device__ void read_strip(const A* step, int t, A (&values)[Tile::each]) {
  struct alignas(16) Group {
    A values[Tile::group];
  };
  for (int e = 0; e < Tile::each; e += Tile::group) {
    const Group group = *aligned_cast<const Group>(step + Tile::position(t, e));
    for (int i = 0; i < Tile::group; ++i) values[e + i] = group.values[i];
  }
}

/// sums += left * right over the Tile::depth steps in shared memory.
template <class Tile, class A>
__device__ void multiply_strips(const A* left, const A* right, int y, int x, A (&sums)[Tile::each][Tile::each]) {
  for (int step = 0; step < Tile::depth; ++step) {
    A a[Tile::each], b[Tile::each];
    read_strip<Tile>(left + step * Tile::pitch, y, a);
    read_strip<Tile>(right + step * Tile::pitch, x, b);
    for (int i = 0; i < Tile::each; ++i)
      for (int j = 0; j < Tile::each; ++j) sums[i][j] += a[i] * b[j];
  }
}

template <class Tile, class T>
__global__ void __launch_bounds__(Tile::threads, sizeof(T) == 8 ? 1 : 2)  // two blocks on a multiprocessor
    gemm_tiles(GemmShape shape, const T* a, const T* b, T* c, bool accumulate) {
  using A = accumulator_t<T>;
  const std::int64_t across = blocks_for(shape.N, Tile::edge), down = blocks_for(shape.M, Tile::edge);
  const std::int64_t column = blockIdx.x % across * Tile::edge, row = blockIdx.x / across % down * Tile::edge;
  const std::int64_t batch = blockIdx.x / across / down;
  const int x = static_cast<int>(threadIdx.x) % Tile::threads_across,
            y = static_cast<int>(threadIdx.x) / Tile::threads_across;
  A *left = shared_memory<A>(), *right = left + Tile::depth * Tile::pitch;

  A sums[Tile::each][Tile::each] = {};
  GemmStrip<Tile, T> left_strip(a + batch * shape.a.batch, row, shape.M, shape.a.row, shape.a.column);
  GemmStrip<Tile, T> right_strip(b + batch * shape.b.batch, column, shape.N, shape.b.column, shape.b.row);
  const auto load = [&](std::int64_t k) {
    const int steps = static_cast<int>(k + Tile::depth < shape.K ? Tile::depth : shape.K - k);
    left_strip.load(steps);
    right_strip.load(steps);
  };
  load(0);
  for (std::int64_t k = 0; k < shape.K; k += Tile::depth) {
    left_strip.store(left);
    right_strip.store(right);
    block_barrier();
    if (k + Tile::depth < shape.K) load(k + Tile::depth);  // arrives while these are multiplied
    multiply_strips<Tile>(left, right, y, x, sums);
    block_barrier();
  }

  for_constants<Tile::each * Tile::each>([&](auto at) {
    constexpr int i = at / Tile::each, j = at % Tile::each;
    const std::int64_t m = row + Tile::position(y, i), n = column + Tile::position(x, j);
    if (m >= shape.M || n >= shape.N) return;
    T& to = c[batch * shape.c.batch + m * shape.c.row + n];
    to = static_cast<T>(accumulate ? static_cast<A>(to) + sums[i][j] : sums[i][j]);
  });
}

template <class Tile, class T>
void launch_tiles(queue<Cuda>& queue, const GemmShape& shape, const T* a, const T* b, T* c, bool accumulate) {
  const std::int64_t tiles = blocks_for(shape.M, Tile::edge) * blocks_for(shape.N, Tile::edge);
  constexpr std::size_t strips = 2 * Tile::depth * Tile::pitch;
  launch(queue, shape.batch * tiles, Tile::threads, strips * sizeof(accumulator_t<T>), gemm_tiles<Tile, T>, shape, a, b,
         c, accumulate);
}

/// Queues C = A B, or C += A B, `shape.batch` times.
template <class T>
void multiply_by_tiles(queue<Cuda>& queue, const GemmShape& shape, const T* a, const T* b, T* c, bool accumulate) {
  constexpr std::int64_t enough = 96;  // large tiles, to keep most of a GPU's multiprocessors busy
  const std::int64_t large = blocks_for(shape.M, LargeTile::edge) * blocks_for(shape.N, LargeTile::edge);
  if (shape.batch * large >= enough && shape.M > SmallTile::edge && shape.N > SmallTile::edge)
    launch_tiles<LargeTile>(queue, shape, a, b, c, accumulate);
  else
    launch_tiles<SmallTile>(queue, shape, a, b, c, accumulate);
}

}  // namespace plinth::cuda
