// SPDX-License-Identifier: MIT
// Attention backward, the gradients of keys and values: a warp keeps those of some keys in registers and walks over the
// queries that see them. Scores are transposed, a row for each key, so that they are left operands of what is summed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <plinth/kernels/cuda/attention_backward.cuh>
#include <plinth/kernels/cuda/attention_mask.cuh>
#include <plinth/kernels/cuda/attention_tile.cuh>
#include <plinth/kernels/cuda/attention_walk.cuh>

namespace plinth::cuda {

/// Sizes for heads of up to W channels, of which a block sums up a part.
template <int W>
struct KeyTile {
  static constexpr int warps = W > 64 ? 8 : 4, strips = W > 64 ? 1 : 2, block = warps * warp_size;
  static constexpr int rows = strips * 16, keys = warps * rows, queries = W > 128 ? 16 : 64;
  static constexpr int columns = W == 128 ? 32 : 16;  // of the tile of queries, multiplied at once
  static constexpr int channels = W > 128 ? 128 : W, parts = W / channels;
  static constexpr std::size_t bytes =
      (2 * keys + 2 * 2 * queries) * W * sizeof(half) + 2 * queries * sizeof(RowStatistics);
  static_assert(bytes <= most_shared_bytes && queries <= most_queries);
};

/// Which part of the channels of which keys of which key head a block takes. The first keys come first: when causal,
/// they are seen by the most queries.
struct KeyPlace {
  int part, first, end;
  std::int64_t b, g;

  __device__ KeyPlace(const AttentionShape& s, int keys, int parts) {
    const auto tiles = static_cast<unsigned>((s.keys + keys - 1) / keys),
               number = blockIdx.x / static_cast<unsigned>(parts), head = number / tiles;
    part = static_cast<int>(blockIdx.x % static_cast<unsigned>(parts));
    b = head / static_cast<unsigned>(s.key_heads);
    g = head % static_cast<unsigned>(s.key_heads);
    first = static_cast<int>(number % tiles) * keys;
    end = static_cast<int>(std::min<std::int64_t>(first + keys, s.keys));
  }
};

/// The next tile of queries that a block loads: one after the other those of its first head, of its second one, ...
template <class T, int W>
struct QueryWalk {
  using Tile = KeyTile<W>;
  HeadRows<const T> query, doutput;
  const RowStatistics* statistics;
  int first, heads;  // the tile's first query; heads that are left

  /// Begins to load the tile and goes on to the next one, if there is one. seen_by: what is walked over of each head.
  __device__ void load(const AttentionShape& s, const Range& seen_by, T* queries, T* doutputs,
                       RowStatistics* of_queries) {
    if (heads == 0) return;
    load_rows<W, Tile::queries>(queries, query, first, 0, static_cast<int>(s.queries));
    load_rows<W, Tile::queries>(doutputs, doutput, first, 0, static_cast<int>(s.queries));
    load_statistics<Tile::queries>(of_queries, statistics + first);
    commit_copies();
    first += Tile::queries;
    if (first < seen_by.past) return;
    first = seen_by.first;
    --heads;
    query.data += s.query.head;
    doutput.data += s.output.head;
    statistics += padded_queries(s);
  }
};

/// dkey and dvalue of one tile of keys, from all queries of all heads of their group.
template <class T, int W>
__global__ void __launch_bounds__(KeyTile<W>::block)
    attention_backward_keys(AttentionShape s, const std::int32_t* rows, bool in_pieces, float factor, const T* query,
                            const T* key, const T* value, const RowStatistics* statistics, const T* doutput, T* dkey,
                            T* dvalue) {
  using Tile = KeyTile<W>;
  constexpr int tile = Tile::queries * W, all = Tile::keys * W, channels = Tile::channels;
  T *const keys = shared_memory<T>(), *const values = keys + all, *const queries = values + all;
  auto* const of_queries = reinterpret_cast<RowStatistics*>(queries + 4 * tile);
  const KeyPlace at(s, Tile::keys, Tile::parts);
  const Visible visible(s, rows, at.b);
  Range seen_by = visible.queries_of(at.first, at.end, s.queries);
  seen_by.first -= seen_by.first % 2;  // statistics are copied two by two
  const auto group = static_cast<int>(s.heads / s.key_heads);
  const std::int64_t head = at.g * group;
  QueryWalk<T, W> walk{{s, query, s.query, at.b, head, in_pieces},
                       {s, doutput, s.output, at.b, head, in_pieces},
                       statistics + (at.b * s.heads + head) * padded_queries(s),
                       seen_by.first,
                       seen_by.first < seen_by.past ? group : 0};
  if (walk.heads > 0) {
    load_rows<W, Tile::keys>(keys, {s, key, s.key, at.b, at.g, in_pieces}, at.first, visible.begin, visible.end);
    load_rows<W, Tile::keys>(values, {s, value, s.value, at.b, at.g, in_pieces}, at.first, visible.begin, visible.end);
  }
  walk.load(s, seen_by, queries, queries + 2 * tile, of_queries);

  float dk[Tile::strips][channels / 8][4], dv[Tile::strips][channels / 8][4];
  clear(dk);
  clear(dv);
  int buffer = 0;
  for (int h = 0; h < group; ++h)
    for (int i = seen_by.first; i < seen_by.past; i += Tile::queries, buffer ^= 1) {
      wait_for_copies<0>();
      block_barrier();  // the tile is there for all, and nobody reads the other buffer any more
      T *const q = queries + buffer * tile, *const dy = q + 2 * tile, *const other = queries + (buffer ^ 1) * tile;
      walk.load(s, seen_by, other, other + 2 * tile, of_queries + (buffer ^ 1) * Tile::queries);
      for (int c = 0; c < Tile::queries; c += Tile::columns) {
        const WarpRows own(Tile::rows, at.first, s.keys);
        if (own.count <= 0) continue;
        const Part part =
            seen_part(visible.queries_of(own.first), visible.queries_of(own.last()), i + c, Tile::columns);
        if (part == Part::none) continue;
        const StatisticsOfColumns of(of_queries + buffer * Tile::queries + c);
        float p[Tile::strips][Tile::columns / 8][4], dp[Tile::strips][Tile::columns / 8][4];
        multiply_rows<W>(keys + own.row * W, q + c * W, p);
        exponentiate_again(p, factor, of);
        if (part == Part::some) hide_unseen(p, i + c, 0, [&](int r) { return visible.queries_of(own.first + r); });
        add_weighted_rows<W>(p, dy + c * W + at.part * channels, dv);
        multiply_rows<W>(values + own.row * W, dy + c * W, dp);
        differentiate(p, dp, of);
        add_weighted_rows<W>(p, q + c * W + at.part * channels, dk);
      }
    }
  block_barrier();  // nobody reads keys and values any more
  const WarpRows own(Tile::rows, at.first, s.keys);
  put_gradient(dk, s.scale, visible.inside, keys + own.row * channels);
  put_gradient(dv, 1, visible.inside, values + own.row * channels);
  block_barrier();
  const HeadRows<T> dkeys(s, dkey, s.key, at.b, at.g, in_pieces), dvalues(s, dvalue, s.value, at.b, at.g, in_pieces);
  store_rows<channels, Tile::keys>(keys, dkeys.from(at.part * channels), at.first, at.end);
  store_rows<channels, Tile::keys>(values, dvalues.from(at.part * channels), at.first, at.end);
}

}  // namespace plinth::cuda
