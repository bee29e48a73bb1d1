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

namespace plinth::cuda {

/// Sizes for heads of up to W channels, of which a block sums up a part.
template <int W>
struct KeyTile {
  static constexpr int warps = W > 64 ? 8 : 4, strips = W > 64 ? 1 : 2, block = warps * warp_size;
  static constexpr int rows = strips * 16, keys = warps * rows, queries = W == 128 ? 64 : 32;
  static constexpr int channels = W > 128 ? 128 : W, parts = W / channels;
  static constexpr std::size_t elements = (2 * keys + 2 * 2 * queries) * W;  // two tiles each of queries and doutput
  static_assert(statistics_padding % queries == 0);
};

/// Which part of the channels of which keys of which key head a block takes. The first keys come first: when causal, they
/// are seen by the most queries.
struct KeyPlace {
  int part, first, end;
  std::int64_t b, g;

  __device__ KeyPlace(const AttentionShape& s, int keys, int parts) {
    const auto tiles = static_cast<unsigned>((s.keys + keys - 1) / keys), number = blockIdx.x / static_cast<unsigned>(parts),
               head = number / tiles;
    part = static_cast<int>(blockIdx.x % static_cast<unsigned>(parts));
    b = head / static_cast<unsigned>(s.key_heads);
    g = head % static_cast<unsigned>(s.key_heads);
    first = static_cast<int>(number % tiles) * keys;
    end = static_cast<int>(std::min<std::int64_t>(first + keys, s.keys));
  }
};

/// The tiles of queries that a block walks over: all of the group's first head, all of its second one, ...
template <class T, int W>
struct QueryWalk {
  using Tile = KeyTile<W>;
  static constexpr int tile = Tile::queries * W;
  const AttentionShape& s;
  const T *query, *doutput;
  const RowStatistics* statistics;
  std::int64_t b, head, padded;
  bool in_pieces;
  int start, tiles, count;  // tiles: of one head, of all
  T *queries, *doutputs;  // in shared memory: two tiles each
  RowStatistics* of_queries;

  __device__ int first_query(int n) const { return start + n % tiles * Tile::queries; }

  __device__ void load(int n) const {
    const std::int64_t h = head + n / tiles;
    const int i = first_query(n), buffer = n % 2, at = static_cast<int>(threadIdx.x) * 2;
    const auto end = static_cast<int>(s.queries);
    const HeadRows<const T> q(s, query, s.query, b, h, in_pieces), dy(s, doutput, s.output, b, h, in_pieces);
    load_rows<W, Tile::queries, Tile::block>(queries + buffer * tile, q, i, 0, end);
    load_rows<W, Tile::queries, Tile::block>(doutputs + buffer * tile, dy, i, 0, end);
    if (at < Tile::queries)
      copy_async(of_queries + buffer * Tile::queries + at, statistics + (b * s.heads + h) * padded + i + at, true);
    commit_copies();
  }
};

/// dkey and dvalue of one tile of keys, from all queries of all heads of their group.
template <class T, int W>
__global__ void __launch_bounds__(KeyTile<W>::block)
    attention_backward_keys(AttentionShape s, const std::int32_t* rows, bool in_pieces, const T* query, const T* key,
                            const T* value, const RowStatistics* statistics, const T* doutput, T* dkey, T* dvalue) {
  using Tile = KeyTile<W>;
  constexpr int tile = Tile::queries * W, all = Tile::keys * W, threads = Tile::block, channels = Tile::channels;
  T *const keys = shared_memory<T>(), *const values = keys + all, *const queries = values + all;
  const KeyPlace at(s, Tile::keys, Tile::parts);
  const Visible visible(s, rows, at.b);
  const Range seen_by = visible.queries_of(at.first, at.end);
  const int start = seen_by.first / Tile::queries * Tile::queries, group = static_cast<int>(s.heads / s.key_heads);
  const int tiles = seen_by.first < seen_by.past ? (seen_by.past - start + Tile::queries - 1) / Tile::queries : 0;
  const QueryWalk<T, W> walk{s, query, doutput, statistics, at.b, at.g * group, padded_queries(s), in_pieces, start,
                             tiles, tiles * group, queries, queries + 2 * tile,
                             reinterpret_cast<RowStatistics*>(queries + 4 * tile)};
  if (walk.count > 0) {
    const HeadRows<const T> k(s, key, s.key, at.b, at.g, in_pieces), v(s, value, s.value, at.b, at.g, in_pieces);
    const auto begin = static_cast<int>(visible.keys.begin), end = static_cast<int>(visible.keys.end);
    load_rows<W, Tile::keys, threads>(keys, k, at.first, begin, end);
    load_rows<W, Tile::keys, threads>(values, v, at.first, begin, end);
    walk.load(0);
  }

  const int lane = static_cast<int>(threadIdx.x) % warp_size, row = static_cast<int>(threadIdx.x) / warp_size * Tile::rows;
  const int own = at.first + row;
  const Range first_row = visible.queries_of(own), last_row = visible.queries_of(own + Tile::rows - 1);
  const float factor = exponent_factor(s.scale);
  float dk[Tile::strips][channels / 8][4], dv[Tile::strips][channels / 8][4];
  clear(dk);
  clear(dv);
  for (int n = 0; n < walk.count; ++n) {
    wait_for_copies<0>();
    block_barrier();  // the tile is there for all, and nobody reads the other buffer any more
    if (n + 1 < walk.count) walk.load(n + 1);
    const int i = walk.first_query(n);
    const Part part = seen_part(first_row, last_row, i, Tile::queries);
    if (part == Part::none) continue;
    const T *const q = queries + n % 2 * tile, *const dy = q + 2 * tile;
    const auto* of_queries = reinterpret_cast<const Pack<RowStatistics, 2>*>(walk.of_queries + n % 2 * Tile::queries);
    const auto of = [=](int, int c, int e) { return of_queries[c * 4 + lane % 4].values[e % 2]; };
    float p[Tile::strips][Tile::queries / 8][4], dp[Tile::strips][Tile::queries / 8][4];
    multiply_rows<W>(keys + row * W, q, p);
    exponentiate_again(p, factor, of);
    if (part == Part::some) hide_unseen(p, i, 0, [&, seen = Visible(s, rows, at.b)](int r) { return seen.queries_of(own + r); });
    add_weighted_rows<W>(p, dy + at.part * channels, dv);
    multiply_rows<W>(values + row * W, dy, dp);
    differentiate(p, dp, of);
    add_weighted_rows<W>(p, q + at.part * channels, dk);
  }
  block_barrier();  // nobody reads keys and values any more
  put_gradient(dk, s.scale, visible.inside(), keys + row * channels);
  put_gradient(dv, 1, visible.inside(), values + row * channels);
  block_barrier();
  const int channel = at.part * channels;
  store_rows<channels, Tile::keys, threads>(keys, HeadRows<T>(s, dkey, s.key, at.b, at.g, in_pieces).from(channel), at.first, at.end);
  store_rows<channels, Tile::keys, threads>(values, HeadRows<T>(s, dvalue, s.value, at.b, at.g, in_pieces).from(channel), at.first, at.end);
}

}  // namespace plinth::cuda
