// SPDX-License-Identifier: MIT
// Attention backward, the gradients of queries: a warp keeps those of some queries in registers and walks over the keys
// that they see.
#pragma once

#include <cstddef>
#include <cstdint>

#include <plinth/kernels/cuda/attention_backward.cuh>
#include <plinth/kernels/cuda/attention_mask.cuh>
#include <plinth/kernels/cuda/attention_tile.cuh>
#include <plinth/kernels/cuda/attention_walk.cuh>

namespace plinth::cuda {

/// Sizes for heads of up to W channels.
template <int W>
struct QueryTile {
  static constexpr int warps = W > 128 ? 8 : 4, strips = W > 128 ? 1 : 2, block = warps * warp_size;
  static constexpr int rows = strips * 16, queries = warps * rows, keys = W > 128 ? 16 : W > 64 ? 32 : 64;
  static constexpr int columns = W > 64 ? 16 : 32;  // of the tile of keys, multiplied at once
  static constexpr std::size_t bytes =
      (2 * queries + 2 * 2 * keys) * W * sizeof(half) + queries * sizeof(RowStatistics);
  static_assert(bytes <= most_shared_bytes && queries <= most_queries);
};

/// dquery of one tile of queries.
template <class T, int W>
__global__ void __launch_bounds__(QueryTile<W>::block)
    attention_backward_queries(AttentionShape s, const std::int32_t* rows, bool in_pieces, float factor, const T* query,
                               const T* key, const T* value, const RowStatistics* statistics, const T* doutput,
                               T* dquery) {
  using Tile = QueryTile<W>;
  using Walk = KeyWalk<T, W, Tile::keys>;
  T *const queries = shared_memory<T>(), *const doutputs = queries + Tile::queries * W,
           *const keys = doutputs + Tile::queries * W;
  auto* const of_queries = reinterpret_cast<RowStatistics*>(keys + Walk::elements);
  const QueryPlace at(s, Tile::queries);
  const Walk walk(s, rows, in_pieces, at, key, value, keys);
  if (walk.range.first < walk.range.past) {
    load_rows<W, Tile::queries>(queries, {s, query, s.query, at.b, at.h, in_pieces}, at.first, 0, at.end);
    load_rows<W, Tile::queries>(doutputs, {s, doutput, s.output, at.b, at.h, in_pieces}, at.first, 0, at.end);
    load_statistics<Tile::queries>(of_queries, statistics + (at.b * s.heads + at.h) * padded_queries(s) + at.first);
  }
  walk.load(walk.range.first, 0);

  float dq[Tile::strips][W / 8][4];
  clear(dq);
  int buffer = 0;
  for (int j = walk.range.first; j < walk.range.past; j += Tile::keys, buffer ^= 1) {
    wait_for_copies<0>();
    block_barrier();  // the tile is there for all, and nobody reads the other buffer any more
    walk.load(j + Tile::keys, buffer ^ 1);
    for (int c = 0; c < Tile::keys; c += Tile::columns) {
      const WarpRows own(Tile::rows, at.first, s.queries);
      const Part part = walk.part(own, j + c, Tile::columns);
      if (part == Part::none) continue;
      const int from = buffer * Walk::tile + c * W;
      const StatisticsOfRows of(of_queries + own.row);
      float p[Tile::strips][Tile::columns / 8][4], dp[Tile::strips][Tile::columns / 8][4];
      multiply_rows<W>(queries + own.row * W, walk.keys + from, p);
      exponentiate_again(p, factor, of);
      if (part == Part::some) hide_unseen(p, j + c, 0, [&](int r) { return walk.visible.keys_of(own.first + r); });
      multiply_rows<W>(doutputs + own.row * W, walk.values + from, dp);
      differentiate(p, dp, of);
      add_weighted_rows<W>(p, walk.keys + from, dq);
    }
  }
  block_barrier();  // nobody reads the queries any more
  const WarpRows own(Tile::rows, at.first, s.queries);
  put_gradient(dq, s.scale, walk.visible.inside, queries + own.row * W);
  block_barrier();
  store_rows<W, Tile::queries>(queries, HeadRows<T>(s, dquery, s.query, at.b, at.h, in_pieces), at.first, at.end);
}

}  // namespace plinth::cuda
