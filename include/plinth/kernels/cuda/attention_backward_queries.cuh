// SPDX-License-Identifier: MIT
// Attention backward, the gradients of queries: a warp keeps those of some queries in registers and walks over the keys
// that they see.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <plinth/kernels/cuda/attention_backward.cuh>
#include <plinth/kernels/cuda/attention_mask.cuh>
#include <plinth/kernels/cuda/attention_tile.cuh>

namespace plinth::cuda {

/// Sizes for heads of up to W channels.
template <int W>
struct QueryTile {
  static constexpr int warps = W > 128 ? 8 : 4, strips = W > 128 ? 1 : 2, block = warps * warp_size;
  static constexpr int rows = strips * 16, queries = warps * rows, keys = 32;
  static constexpr std::size_t elements = (2 * queries + 2 * 2 * keys) * W;  // two tiles each of keys and values
};

/// The statistics of a warp's queries: rows lane / 4 and lane / 4 + 8 of each strip, zeros from `count` on.
template <int Strips>
struct OwnStatistics {
  RowStatistics of[Strips][2];

  __device__ OwnStatistics(const RowStatistics* from, std::int64_t count) {
    const int lane = static_cast<int>(threadIdx.x) % warp_size;
    for (int m = 0; m < Strips; ++m)
      for (int r = 0; r < 2; ++r) {
        const int row = m * 16 + r * 8 + lane / 4;
        of[m][r] = row < count ? from[row] : RowStatistics{0, 0};
      }
  }
  __device__ const RowStatistics& operator()(int m, int, int i) const { return of[m][i / 2]; }
};

/// dquery of one tile of queries.
template <class T, int W>
__global__ void __launch_bounds__(QueryTile<W>::block)
    attention_backward_queries(AttentionShape s, const std::int32_t* rows, bool in_pieces, const T* query, const T* key,
                               const T* value, const RowStatistics* statistics, const T* doutput, T* dquery) {
  using Tile = QueryTile<W>;
  constexpr int tile = Tile::keys * W, all = Tile::queries * W, threads = Tile::block;
  T *const queries = shared_memory<T>(), *const doutputs = queries + all, *const keys = doutputs + all,
    *const values = keys + 2 * tile;
  const QueryPlace at(s, Tile::queries);
  const Visible visible(s, rows, at.b);
  const std::int64_t g = at.h / (s.heads / s.key_heads);
  const auto begin = static_cast<int>(visible.keys.begin), end = static_cast<int>(visible.keys.end);
  const HeadRows<const T> key_rows(s, key, s.key, at.b, g, in_pieces), value_rows(s, value, s.value, at.b, g, in_pieces);
  const auto load = [&](int j, int buffer) {
    load_rows<W, Tile::keys, threads>(keys + buffer * tile, key_rows, j, begin, end);
    load_rows<W, Tile::keys, threads>(values + buffer * tile, value_rows, j, begin, end);
    commit_copies();
  };
  const Range walk = visible.keys_of(at.first, at.end);
  if (walk.first < walk.past) {
    const HeadRows<const T> q(s, query, s.query, at.b, at.h, in_pieces), dy(s, doutput, s.output, at.b, at.h, in_pieces);
    load_rows<W, Tile::queries, threads>(queries, q, at.first, 0, at.end);
    load_rows<W, Tile::queries, threads>(doutputs, dy, at.first, 0, at.end);
    load(walk.first, 0);
  }

  const int row = static_cast<int>(threadIdx.x) / warp_size * Tile::rows;
  const int own = at.first + row, own_end = std::min(own + Tile::rows, at.end);
  const Range first_row = visible.keys_of(own), last_row = visible.keys_of(own_end - 1);
  const OwnStatistics<Tile::strips> of(statistics + (at.b * s.heads + at.h) * padded_queries(s) + own, own_end - own);
  const float factor = exponent_factor(s.scale);
  float dq[Tile::strips][W / 8][4];
  clear(dq);
  int buffer = 0;
  for (int j = walk.first; j < walk.past; j += Tile::keys, buffer ^= 1) {
    wait_for_copies<0>();
    block_barrier();  // the tile is there for all, and nobody reads the other buffer any more
    if (j + Tile::keys < walk.past) load(j + Tile::keys, buffer ^ 1);
    const Part part = own < own_end ? seen_part(first_row, last_row, j, Tile::keys) : Part::none;
    if (part == Part::none) continue;
    float p[Tile::strips][Tile::keys / 8][4], dp[Tile::strips][Tile::keys / 8][4];
    multiply_rows<W>(queries + row * W, keys + buffer * tile, p);
    exponentiate_again(p, factor, of);
    if (part == Part::some) hide_unseen(p, j, 0, [&, seen = Visible(s, rows, at.b)](int r) { return seen.keys_of(own + r); });
    multiply_rows<W>(doutputs + row * W, values + buffer * tile, dp);
    differentiate(p, dp, of);
    add_weighted_rows<W>(p, keys + buffer * tile, dq);
  }
  block_barrier();  // nobody reads the queries any more
  put_gradient(dq, s.scale, visible.inside(), queries + row * W);
  block_barrier();
  store_rows<W, Tile::queries, threads>(queries, HeadRows<T>(s, dquery, s.query, at.b, at.h, in_pieces), at.first, at.end);
}

}  // namespace plinth::cuda
