// SPDX-License-Identifier: MIT
// Attention forward on tensor cores: a warp keeps the outputs of some queries in registers and walks over the keys that
// they see; the softmax is corrected from tile to tile.
//
// Dao 2023 (arXiv:2307.08691), algorithm 1. Milakov & Gimelshein 2018 (arXiv:1805.02867) is the running softmax.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <plinth/kernels/cuda/attention_mask.cuh>
#include <plinth/kernels/cuda/attention_tile.cuh>
#include <plinth/kernels/cuda/attention_walk.cuh>
#include <plinth/kernels/cuda/softmax.cuh>

namespace plinth::cuda {

/// Sizes for heads of up to W channels, as many as registers and shared memory hold.
template <int W>
struct ForwardTile {
  static constexpr int warps = W > 128 ? 8 : 4, strips = W > 128 ? 1 : 2, block = warps * warp_size;
  static constexpr int rows = strips * 16, queries = warps * rows;
  static constexpr int keys = W > 128 ? 32 : 64,
                       columns = W > 64 ? 32 : 64;  // that are loaded, and multiplied, at once
  static constexpr std::size_t bytes = (queries + 2 * 2 * keys) * W * sizeof(half);
  static_assert(bytes <= most_shared_bytes);
};

/// A warp's outputs over the keys seen so far, for rows lane / 4 and lane / 4 + 8 of each strip.
template <int W, int Strips>
struct RunningAttention {
  float output[Strips][W / 8][4];
  float top[Strips][2];  // the largest exponent
  float sum[Strips][2];  // of the lane's columns

  __device__ RunningAttention() {
    clear(output);
    for (int m = 0; m < Strips; ++m)
      for (int r = 0; r < 2; ++r) top[m][r] = lowest<float>, sum[m][r] = 0;
  }

  /// scores become their exponentials; what was summed under the old top is corrected.
  template <int Eights>
  __device__ void exponentiate(float (&scores)[Strips][Eights][4], float factor) {
    for (int m = 0; m < Strips; ++m)
      for (int r = 0; r < 2; ++r) {
        float largest = lowest<float>;
        for (int n = 0; n < Eights; ++n)
          largest = std::fmax(largest, std::fmax(scores[m][n][2 * r], scores[m][n][2 * r + 1]));
        for (const int lanes : {1, 2}) largest = std::fmax(largest, shuffle_xor(largest, lanes));
        const float before = top[m][r], now = std::fmax(before, largest * factor);
        const float shift = now == lowest<float> ? 0.0f : now;
        float added = 0;
        for (int n = 0; n < Eights; ++n)
          for (int i = 2 * r; i < 2 * r + 2; ++i)
            added += scores[m][n][i] = fast_exp2(std::fma(scores[m][n][i], factor, -shift));
        const float correction = fast_exp2(before - shift);
        if (correction != 1) multiply(m, r, correction);  // tops seldom rise
        sum[m][r] = sum[m][r] * correction + added;
        top[m][r] = now;
      }
  }

  /// Sums are completed, outputs divided by them: zeros for a sum of nothing, NaN unless valid.
  __device__ void finish(bool valid) {
    for (int m = 0; m < Strips; ++m)
      for (int r = 0; r < 2; ++r) {
        for (const int lanes : {1, 2}) sum[m][r] += shuffle_xor(sum[m][r], lanes);
        if (!valid) sum[m][r] = std::numeric_limits<float>::quiet_NaN();
        multiply(m, r, sum[m][r] == 0 ? 0.0f : 1 / sum[m][r]);
      }
  }

  /// After finish(): the logarithms to base 2 of the sums, for the first `count` rows.
  __device__ void store_log2_sum(int count, float* to) const {
    const int lane = lane_number();
    for (int m = 0; m < Strips; ++m)
      for (int r = 0; r < 2; ++r)
        if (const int row = m * 16 + r * 8 + lane / 4; lane % 4 == 0 && row < count)
          to[row] = top[m][r] + std::log2(sum[m][r]);
  }

 private:
  __device__ void multiply(int m, int r, float factor) {
    for (int n = 0; n < W / 8; ++n)
      for (int i = 2 * r; i < 2 * r + 2; ++i) output[m][n][i] *= factor;
  }
};

/// output and, unless null, log2_sum of one tile of queries. in_pieces: all of the operands' rows are aligned
/// pieces.
template <class T, int W>
__global__ void __launch_bounds__(ForwardTile<W>::block)
    attention_forward(AttentionShape s, const std::int32_t* rows, bool in_pieces, float factor, const T* query,
                      const T* key, const T* value, T* output, float* log2_sum) {
  using Tile = ForwardTile<W>;
  T* const queries = shared_memory<T>();
  const QueryPlace at(s, Tile::queries);
  const KeyWalk<T, W, Tile::keys> walk(s, rows, in_pieces, at, key, value, queries + Tile::queries * W);
  if (walk.range.first < walk.range.past)
    load_rows<W, Tile::queries>(queries, {s, query, s.query, at.b, at.h, in_pieces}, at.first, 0, at.end);
  walk.load(walk.range.first, 0);

  RunningAttention<W, Tile::strips> running;
  int buffer = 0;
  for (int j = walk.range.first; j < walk.range.past; j += Tile::keys, buffer ^= 1) {
    wait_for_copies<0>();
    block_barrier();  // the tile is there for all, and nobody reads the other buffer any more
    walk.load(j + Tile::keys, buffer ^ 1);
    for (int c = 0; c < Tile::keys; c += Tile::columns) {
      const WarpRows own(Tile::rows, at.first, s.queries);
      const Part part = walk.part(own, j + c, Tile::columns);
      if (part == Part::none) continue;
      const int from = buffer * walk.tile + c * W;
      float scores[Tile::strips][Tile::columns / 8][4];
      multiply_rows<W>(queries + own.row * W, walk.keys + from, scores);
      if (factor < 0) each_element(scores, [](int, int, int, float& x) { x = -x; });
      if (part == Part::some)
        hide_unseen(scores, j + c, lowest<float>, [&](int r) { return walk.visible.keys_of(own.first + r); });
      running.exponentiate(scores, std::fabs(factor));
      add_weighted_rows<W>(scores, walk.values + from, running.output);
    }
  }
  const WarpRows own(Tile::rows, at.first, s.queries);
  running.finish(walk.visible.inside);
  if (log2_sum) running.store_log2_sum(own.count, log2_sum + (at.b * s.heads + at.h) * s.queries + own.first);
  block_barrier();  // nobody reads the queries any more
  put_rows(running.output, queries + own.row * W);
  block_barrier();
  store_rows<W, Tile::queries>(queries, HeadRows<T>(s, output, s.output, at.b, at.h, in_pieces), at.first, at.end);
}

}  // namespace plinth::cuda
