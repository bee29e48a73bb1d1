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
  static constexpr int columns = W == 128 ? 16 : 32;  // of the tile of keys, multiplied at once
  // Queries, gradients of their outputs and statistics; two tiles each of keys and values.
  static constexpr std::size_t bytes = (2 * queries + 2 * 2 * keys) * W * 2 + queries * sizeof(RowStatistics);
};

/// dquery of one tile of queries.
template <class T, int W>
__global__ void __launch_bounds__(QueryTile<W>::block)
    attention_backward_queries(AttentionShape s, const std::int32_t* rows, bool in_pieces, float factor, const T* query, const T* key,
                               const T* value, const RowStatistics* statistics, const T* doutput, T* dquery) {
  using Tile = QueryTile<W>;
  constexpr int tile = Tile::keys * W, all = Tile::queries * W;
  T *const queries = shared_memory<T>(), *const doutputs = queries + all, *const keys = doutputs + all,
    *const values = keys + 2 * tile;
  auto* const of_queries = reinterpret_cast<RowStatistics*>(values + 2 * tile);
  const QueryPlace at(s, Tile::queries);
  const Visible visible(s, rows, at.b);
  const std::int64_t g = at.h / (s.heads / s.key_heads);
  const HeadRows<const T> key_rows(s, key, s.key, at.b, g, in_pieces), value_rows(s, value, s.value, at.b, g, in_pieces);
  const auto load = [&](int j, int buffer) {
    load_rows<W, Tile::keys>(keys + buffer * tile, key_rows, j, visible.begin, visible.end);
    load_rows<W, Tile::keys>(values + buffer * tile, value_rows, j, visible.begin, visible.end);
    commit_copies();
  };
  const Range walk = visible.keys_of(at.first, at.end, s.keys);
  if (walk.first < walk.past) {
    load_rows<W, Tile::queries>(queries, {s, query, s.query, at.b, at.h, in_pieces}, at.first, 0, at.end);
    load_rows<W, Tile::queries>(doutputs, {s, doutput, s.output, at.b, at.h, in_pieces}, at.first, 0, at.end);
    load_statistics<Tile::queries>(of_queries, statistics + (at.b * s.heads + at.h) * padded_queries(s) + at.first);
    load(walk.first, 0);
  }

  float dq[Tile::strips][W / 8][4];
  clear(dq);
  int buffer = 0;
  for (int j = walk.first; j < walk.past; j += Tile::keys, buffer ^= 1) {
    wait_for_copies<0>();
    block_barrier();  // the tile is there for all, and nobody reads the other buffer any more
    if (j + Tile::keys < walk.past) load(j + Tile::keys, buffer ^ 1);
    for (int c = 0; c < Tile::keys; c += Tile::columns) {
      const WarpRows own(Tile::rows, at.first, s.queries);
      if (own.count <= 0) continue;
      const Part part = seen_part(visible.keys_of(own.first), visible.keys_of(own.last()), j + c, Tile::columns);
      if (part == Part::none) continue;
      const T *const k = keys + buffer * tile + c * W, *const v = k + 2 * tile;
      const StatisticsOfRows of(of_queries + own.row);
      float p[Tile::strips][Tile::columns / 8][4], dp[Tile::strips][Tile::columns / 8][4];
      multiply_rows<W>(queries + own.row * W, k, p);
      exponentiate_again(p, factor, of);
      if (part == Part::some) hide_unseen(p, j + c, 0, [&](int r) { return visible.keys_of(own.first + r); });
      multiply_rows<W>(doutputs + own.row * W, v, dp);
      differentiate(p, dp, of);
      add_weighted_rows<W>(p, k, dq);
    }
  }
  block_barrier();  // nobody reads the queries any more
  const WarpRows own(Tile::rows, at.first, s.queries);
  put_gradient(dq, s.scale, visible.inside, queries + own.row * W);
  block_barrier();
  store_rows<W, Tile::queries>(queries, HeadRows<T>(s, dquery, s.query, at.b, at.h, in_pieces), at.first, at.end);
}

}  // namespace plinth::cuda
