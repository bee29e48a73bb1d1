// SPDX-License-Identifier: MIT
// Attention of few queries, as a model with a cache has them: bound by reading keys and values. Blocks share the keys
// of a head among them and read their part once, 16 bytes at a time, for all query heads of the key head; what they
// find is combined by a second kernel.
//
// Dao, Haziza, Massa & Sizov 2023, "Flash-Decoding for long-context inference" (crfm.stanford.edu/2023/10/12).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cuda/attention_decode_rows.cuh>
#include <plinth/kernels/cuda/attention_mask.cuh>
#include <plinth/kernels/cuda/attention_tile.cuh>
#include <plinth/kernels/cuda/attention_walk.cuh>
#include <plinth/kernels/cuda/elementwise.cuh>
#include <plinth/kernels/cuda/launch.cuh>
#include <plinth/kernels/cuda/scratch.cuh>
#include <plinth/kernels/cuda/softmax.cuh>

namespace plinth::cuda {

/// Some queries against some keys: scores, and what they add to the output. A thread has some channels of Rows queries
/// and of `U` keys at a time.
template <class T, int Rows>
struct DecodeQueries {
  static constexpr int U = Decode::keys_at_once<T>(Rows);
  using Channels = DecodeChannels<T>;
  using Packs = typename Channels::Packs;
  using Scores = float[Rows][U];
  float query[Rows][Decode::channels];
  RunningRow running[Rows];

  /// factor: of the scores, as exponents of 2.
  __device__ DecodeQueries(const AttentionShape& s, const DecodeRows& rows, const Channels& channels, bool whole,
                           float factor, const T* queries) {
    for_constants<Rows>([&](auto r) {
      const bool exists = rows.exists(r);
      Packs packs;
      channels.load(queries + (exists ? rows.place(s.query, r) : 0), exists ? s.head_size : 0, whole, packs);
      Channels::each(packs, [&](auto c, float x) { query[r][c] = x * factor; });
    });
  }

  /// Products of the queries and the keys, the same in all threads of a key.
  __device__ void score(const Packs (&keys)[U], int lanes, Scores& scores) const {
    for_constants<U>([&](auto u) {
      Channels::each(keys[u],
                     [&](auto c, float x) { for_constants<Rows>([&](auto r) { scores[r][u] += query[r][c] * x; }); });
    });
    for (int n = lanes / 2; n > 0; n /= 2)
      for_constants<Rows * U>([&](auto i) { scores[i / U][i % U] += shuffle_xor(scores[i / U][i % U], n); });
  }

  /// Scores become exponentials, by which values are weighed.
  __device__ void add(Scores& scores, const Packs (&values)[U]) {
    for_constants<Rows>([&](auto r) {
      float largest = scores[r][0];
      for_constants<U>([&](auto u) { largest = std::fmax(largest, scores[r][u]); });
      const float shift = running[r].raise(largest);
      for_constants<U>([&](auto u) { running[r].sum += scores[r][u] = fast_exp2(scores[r][u] - shift); });
    });
    for_constants<U>([&](auto u) {
      Channels::each(values[u], [&](auto c, float x) {
        for_constants<Rows>([&](auto r) { running[r].output[c] += scores[r][u] * x; });
      });
    });
  }
};

/// The keys of a block's part, and what of them the first and the last of its rows both see.
struct DecodeKeys {
  int first, past, step;
  Range common;

  /// step: keys that the block takes at once.
  __device__ DecodeKeys(const AttentionShape& s, const Visible& visible, int first_query, int last_query, int part,
                        int parts, int keys_at_once)
      : step(keys_at_once), common{visible.keys_of(last_query).first, visible.keys_of(first_query).past} {
    const Range all = visible.keys_of(first_query, last_query + 1, s.keys);
    const int share = static_cast<int>(blocks_for(blocks_for(std::max(all.past - all.first, 0), parts), step)) * step;
    first = all.first + part * share;
    past = std::min(first + share, all.past);
    common.past = std::min(common.past, past);
  }
  __device__ bool seen_by_all(int from) const { return from >= common.first && from + step <= common.past; }
};

/// Running rows of all threads become those of the part, each with `lanes` threads of a warp. f(r, row, lane).
template <int Rows, class F>
__device__ void combine_block(RunningRow (&running)[Rows], int lanes, const F& f) {
  const int lane = lane_number(), warp = warp_number();
  for (int n = lanes; n < warp_size; n *= 2)
    for_constants<Rows>([&](auto r) { running[r].add(running[r].of_lane(n)); });
  RunningRow* const shared = shared_memory<RunningRow>();  // (warps, Rows, lanes)
  if (lane < lanes) for_constants<Rows>([&](auto r) { shared[(warp * Rows + r) * lanes + lane] = running[r]; });
  block_barrier();
  if (lane >= lanes) return;
  for (int r = warp; r < Rows; r += Decode::warps) {
    RunningRow total = shared[r * lanes + lane];
    for (int w = 1; w < Decode::warps; ++w) total.add(shared[(w * Rows + r) * lanes + lane]);
    f(r, total);
  }
}

/// A part of the keys for Rows rows of a key head. With one part the result is stored, else what is to be combined:
/// (tiles, Rows, parts, lanes).
template <class T, int Rows>
__global__ void __launch_bounds__(Decode::block, Decode::blocks_at_once(Rows))
    attention_decode(AttentionShape s, const std::int32_t* of_batch, bool whole, int lanes, int parts, float factor,
                     const T* query, const T* key, const T* value, T* output, float* log2_sum, RunningRow* partial) {
  using Queries = DecodeQueries<T, Rows>;
  constexpr int U = Queries::U;
  const int part = static_cast<int>(blockIdx.x) % parts,
            apart = Decode::block / lanes;  // from a thread's key to the next
  const std::int64_t tile = static_cast<int>(blockIdx.x) / parts;
  const DecodeRows rows(s, Rows, tile);
  const DecodeChannels<T> channels{lanes, lane_number() % lanes};
  const Visible visible(s, of_batch, rows.b);
  const DecodeKeys walk(s, visible, rows.query(0), rows.query(Rows - 1), part, parts, apart * U);
  const T *keys = key + rows.b * s.key.batch + rows.g * s.key.head,
          *values = value + rows.b * s.value.batch + rows.g * s.value.head;

  Queries queries(s, rows, channels, whole, factor, query);
  for (int from = walk.first; from < walk.past; from += walk.step) {
    const int own = from + static_cast<int>(threadIdx.x) / lanes;
    typename Queries::Packs k[U], v[U];
    const auto load = [&](const T* head, std::int64_t time, auto& to) {
      for_constants<U>([&](auto u) {
        const int j = own + u * apart;
        channels.load(head + j * time, j < walk.past ? s.head_size : 0, whole, to[u]);
      });
    };
    load(keys, s.key.time, k);
    load(values, s.value.time, v);
    typename Queries::Scores scores = {};
    queries.score(k, lanes, scores);
    if (!walk.seen_by_all(from))
      for_constants<Rows * U>([&](auto i) {
        const Range seen = visible.keys_of(rows.query(i / U));
        const int j = own + i % U * apart;
        if (j < seen.first || j >= std::min(seen.past, walk.past)) scores[i / U][i % U] = lowest<float>;
      });
    queries.add(scores, v);
  }
  combine_block(queries.running, lanes, [&](int r, const RunningRow& row) {
    if (!rows.exists(r)) return;
    if (parts == 1)
      store_row(s, rows, r, channels, row, visible.inside, output, log2_sum);
    else
      partial[((tile * Rows + r) * parts + part) * lanes + channels.own] = row;
  });
}

/// The parts of each row, `rows` to a tile, become one. A warp takes a row.
template <class T>
__global__ void __launch_bounds__(Decode::block)
    combine_parts(AttentionShape s, const std::int32_t* of_batch, std::int64_t tiles, int rows_of_tile, int lanes,
                  int parts, const RunningRow* partial, T* output, float* log2_sum) {
  const std::int64_t at = std::int64_t{blockIdx.x} * Decode::warps + threadIdx.x / warp_size;
  const int lane = static_cast<int>(threadIdx.x) % warp_size, r = static_cast<int>(at % rows_of_tile);
  if (at >= tiles * rows_of_tile) return;
  const DecodeRows rows(s, rows_of_tile, at / rows_of_tile);
  if (!rows.exists(r)) return;
  RunningRow total;
  for (int p = lane / lanes; p < parts; p += warp_size / lanes)
    total.add(partial[(at * parts + p) * lanes + lane % lanes]);
  for (int n = lanes; n < warp_size; n *= 2) total.add(total.of_lane(n));
  if (lane >= lanes) return;
  const Visible visible(s, of_batch, rows.b);
  store_row(s, rows, r, DecodeChannels<T>{lanes, lane}, total, visible.inside, output, log2_sum);
}

/// Queues attention of any number of queries of heads of up to 256 channels, Rows of them to a block. `whole`: rows of
/// keys, values and queries are aligned pieces. Throws MemoryError where there is no room for the parts.
template <int Rows, class T>
void launch_decode(queue<Cuda>& queue, const AttentionShape& s, const std::int32_t* of_batch, bool whole,
                   const T* query, const T* key, const T* value, T* output, float* log2_sum) {
  const std::int64_t tiles = s.batch * s.key_heads * blocks_for(s.heads / s.key_heads * s.queries, Rows);
  const int lanes = Decode::lanes(s), parts = Decode::parts(s, tiles);
  const Scratch<RunningRow> partial(parts > 1 ? tiles * Rows * parts * lanes : 0);
  launch(queue, tiles * parts, Decode::block,
         sizeof(RunningRow) * Decode::warps * Rows * static_cast<std::size_t>(lanes), attention_decode<T, Rows>, s,
         of_batch, whole, lanes, parts, static_cast<float>(s.scale) * log2_of_e, query, key, value, output, log2_sum,
         partial.data());
  if (parts > 1)
    launch(queue, blocks_for(tiles * Rows, Decode::warps), Decode::block, 0, combine_parts<T>, s, of_batch, tiles, Rows,
           lanes, parts, partial.data(), output, log2_sum);
}

}  // namespace plinth::cuda
