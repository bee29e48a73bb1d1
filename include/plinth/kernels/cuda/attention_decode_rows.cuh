// SPDX-License-Identifier: MIT
// What the two kernels of attention for few queries share: sizes, which rows of queries a block takes, which channels a
// thread has, and the softmax that is kept while keys pass by.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cuda/attention_walk.cuh>
#include <plinth/kernels/cuda/elementwise.cuh>
#include <plinth/kernels/cuda/launch.cuh>
#include <plinth/kernels/cuda/softmax.cuh>

namespace plinth::cuda {

/// How a block reads: `lanes` threads share a key, each has `channels` of its channels, in packs of 16 bytes.
struct Decode {
  static constexpr int warps = 4, block = warps * warp_size, channels = 8, most_rows = 8;
  static constexpr int most_queries = 8;     // with more, tiles on tensor cores read no more than this does
  static constexpr int wanted_blocks = 512;  // that keep the memory of a large GPU busy
  static constexpr int least_keys = 64;      // of a part, which is worth a block

  /// Blocks that a multiprocessor has registers for, and keys that a thread loads at once, with their values: together
  /// at least 32 KB under way for up to 4 rows, which is what the memory of a large GPU takes to answer.
  static constexpr int blocks_at_once(int rows) { return rows == most_rows ? 2 : rows == 4 ? 3 : 4; }
  template <class T>
  static constexpr int keys_at_once(int rows) {
    return static_cast<int>(blocks_for(rows == most_rows ? 4 : rows == 4 ? 6 : 8, sizeof(T)));
  }

  /// A power of two.
  static int lanes(const AttentionShape& s) {
    int lanes = 1;
    while (lanes * channels < s.head_size) lanes *= 2;
    return lanes;
  }

  /// Into how many parts keys are split for so many heads, given the shape alone.
  static int parts(const AttentionShape& s, std::int64_t heads) {
    const std::int64_t seen = s.causal && s.window > 0 ? std::min(s.keys, s.window + s.queries - 1) : s.keys;
    return static_cast<int>(std::clamp<std::int64_t>(blocks_for(wanted_blocks, std::max<std::int64_t>(heads, 1)), 1,
                                                     std::max<std::int64_t>(seen / least_keys, 1)));
  }
};

/// A query's softmax over some keys, and a thread's channels of its output.
struct RunningRow {
  float top = lowest<float>, sum = 0, output[Decode::channels] = {};  // top: the largest exponent of 2

  /// Corrects what was summed for a top of at least `largest`; returns what is subtracted from exponents.
  __device__ float raise(float largest) {
    const float now = std::fmax(top, largest), shift = now == lowest<float> ? 0.0f : now;
    if (const float correction = fast_exp2(top - shift); correction != 1) {  // tops seldom rise
      sum *= correction;
      for (float& y : output) y *= correction;
    }
    top = now;
    return shift;
  }

  /// What other keys gave is added.
  __device__ void add(const RunningRow& other) {
    const float weight = fast_exp2(other.top - raise(other.top));
    sum += weight * other.sum;
    for (int c = 0; c < Decode::channels; ++c) output[c] += weight * other.output[c];
  }

  /// The row of another lane.
  __device__ RunningRow of_lane(int lanes) const {
    RunningRow other;
    other.top = shuffle_xor(top, lanes);
    other.sum = shuffle_xor(sum, lanes);
    for (int c = 0; c < Decode::channels; ++c) other.output[c] = shuffle_xor(output[c], lanes);
    return other;
  }
};

/// Some queries of a key head: row n of the head is query n / group of its query head n % group, and a tile has `rows`
/// of them.
struct DecodeRows {
  int group, count, first;  // query heads; rows of the key head; of which the tile's begin here
  std::int64_t b, g;

  __device__ DecodeRows(const AttentionShape& s, int rows, std::int64_t tile)
      : group(static_cast<int>(s.heads / s.key_heads)), count(group * static_cast<int>(s.queries)) {
    const std::int64_t tiles = blocks_for(count, rows), head = tile / tiles;
    first = static_cast<int>(tile % tiles) * rows;
    b = head / s.key_heads;
    g = head % s.key_heads;
  }

  __device__ bool exists(int r) const { return first + r < count; }
  __device__ int query(int r) const { return std::min(first + r, count - 1) / group; }
  __device__ std::int64_t head(int r) const { return g * group + (first + r) % group; }
  __device__ std::int64_t place(const HeadLayout& x, int r) const {
    return b * x.batch + head(r) * x.head + query(r) * x.time;
  }
};

/// Which channels a thread has.
template <class T>
struct DecodeChannels {
  static constexpr int width = 16 / sizeof(T), packs = Decode::channels / width;
  using Packs = Pack<T, width>[packs];
  int lanes, own;

  /// Of the thread's pack p, of whose place every thread of the key has the next.
  __device__ int first(int p) const { return (p * lanes + own) * width; }
  __device__ void load(const T* row, std::int64_t size, bool whole, Packs& to) const {
    for_constants<packs>([&](auto p) { to[p] = load_pack<width>(row, first(p), size, whole); });
  }
  /// f(c, element) for the thread's channels.
  template <class F>
  __device__ static void each(const Packs& from, const F& f) {
    for_constants<Decode::channels>([&](auto c) { f(c, widened(from[c / width].values[c % width])); });
  }
};

/// Output and, unless null, log2_sum of a row, of which the calling thread has some channels.
template <class T>
__device__ void store_row(const AttentionShape& s, const DecodeRows& rows, int r, const DecodeChannels<T>& channels,
                          const RunningRow& row, bool valid, T* output, float* log2_sum) {
  const float sum = valid ? row.sum : std::numeric_limits<float>::quiet_NaN(), inverse = sum == 0 ? 0.0f : 1 / sum;
  T* const to = output + rows.place(s.output, r);
  for_constants<Decode::channels>([&](auto c) {
    constexpr int width = DecodeChannels<T>::width;
    if (const int d = channels.first(c / width) + c % width; d < s.head_size)
      to[d] = static_cast<T>(row.output[c] * inverse);
  });
  if (log2_sum && channels.own == 0)
    log2_sum[(rows.b * s.heads + rows.head(r)) * s.queries + rows.query(r)] = row.top + std::log2(sum);
}

}  // namespace plinth::cuda
