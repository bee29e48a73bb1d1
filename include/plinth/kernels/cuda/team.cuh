// SPDX-License-Identifier: MIT
// The threads that share a row, and reductions over them. All members get the same bits, in an order fixed by the team.
#pragma once

#include <cstddef>
#include <cstdint>

#include <plinth/kernels/cuda/intrinsics.cuh>
#include <plinth/tensor/host_device.hpp>

namespace plinth::cuda {

struct Sum {
  template <class A>
  PLINTH_HD A operator()(A a, A b) const {
    return a + b;
  }
};

struct Max {
  template <class A>
  PLINTH_HD A operator()(A a, A b) const {
    return b > a ? b : a;
  }
};

/// The longest row that a warp takes; longer ones take a block.
inline constexpr std::int64_t short_row = 1024;

/// One warp for each row, several rows to a block.
struct WarpTeam {
  static constexpr int size = warp_size, rows_per_block = 8, block = size * rows_per_block;
  static constexpr std::size_t shared_values = 0;

  __device__ static std::int64_t row() { return std::int64_t{blockIdx.x} * rows_per_block + threadIdx.x / warp_size; }
  __device__ static int member() { return static_cast<int>(threadIdx.x) % warp_size; }

  /// All members' values, combined. All members of all of the block's teams with a row must come here.
  template <class A, class Combine>
  __device__ static A reduce(A value, Combine combine) {
    for (int lanes = warp_size / 2; lanes > 0; lanes /= 2) value = combine(value, shuffle_xor(value, lanes));
    return value;
  }
};

/// One block for each row. A reduction uses the first `shared_values` values of the shared memory.
template <int Size>
struct BlockTeamOf {
  static constexpr int size = Size, rows_per_block = 1, block = size;
  static constexpr std::size_t shared_values = size / warp_size;

  __device__ static std::int64_t row() { return blockIdx.x; }
  __device__ static int member() { return static_cast<int>(threadIdx.x); }

  template <class A, class Combine>
  __device__ static A reduce(A value, Combine combine) {
    A* partial = shared_memory<A>();
    value = WarpTeam::reduce(value, combine);
    block_barrier();  // the last reduction has been read
    if (member() % warp_size == 0) partial[member() / warp_size] = value;
    block_barrier();
    value = partial[0];
    for (std::size_t warp = 1; warp < shared_values; ++warp) value = combine(value, partial[warp]);
    return value;
  }
};

using BlockTeam = BlockTeamOf<512>;

/// f(Team()) for the team that takes rows of so many columns.
template <class F>
void with_team(std::int64_t columns, const F& f) {
  if (columns <= short_row)
    f(WarpTeam());
  else
    f(BlockTeam());
}

/// `first` and f(i) for i in [0, n), combined by a team: each member takes every Team::size-th.
template <class Team, class A, class Combine, class F>
__device__ A reduce_row(std::int64_t n, A first, Combine combine, const F& f) {
  A value = first;
  for (std::int64_t i = Team::member(); i < n; i += Team::size) value = combine(value, f(i));
  return Team::reduce(value, combine);
}

}  // namespace plinth::cuda
