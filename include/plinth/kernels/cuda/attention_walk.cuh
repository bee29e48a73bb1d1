// SPDX-License-Identifier: MIT
// Which queries a block takes, and the keys and values that it walks over, which are loaded while the last ones are
// used.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include <plinth/kernels/cuda/attention_mask.cuh>
#include <plinth/kernels/cuda/attention_tile.cuh>

namespace plinth::cuda {

inline constexpr float log2_of_e = 1.44269504f;

/// The factor that makes exponents of 2 of products. Never 0, which would make NaN of hidden scores, -inf.
inline float exponent_factor(double scale) {
  const auto factor = static_cast<float>(scale) * log2_of_e;
  return factor == 0 ? std::numeric_limits<float>::min() : factor;
}

/// Which rows of which head a block takes. The last rows come first: when causal, they see the most keys.
struct QueryPlace {
  std::int64_t b, h;
  int first, end;

  __device__ QueryPlace(const AttentionShape& s, int queries) {
    const auto tiles = static_cast<unsigned>((s.queries + queries - 1) / queries), head = blockIdx.x / tiles;
    b = head / static_cast<unsigned>(s.heads);
    h = head % static_cast<unsigned>(s.heads);
    first = static_cast<int>(tiles - 1 - blockIdx.x % tiles) * queries;
    end = static_cast<int>(std::min<std::int64_t>(first + queries, s.queries));
  }
};

/// The rows of a block's tile that a warp computes.
struct WarpRows {
  int row, first, count;  // the first one's place in the tile and in the sequence; how many there are, if any

  __device__ WarpRows(int rows, int block_first, std::int64_t sequence)
      : row(warp_number() * rows),
        first(block_first + row),
        count(std::min(rows, static_cast<int>(sequence) - first)) {}
  __device__ int last() const { return first + count - 1; }
};

/// The keys and values of the queries at a place. Of both there are two tiles of Keys rows in shared memory.
template <class T, int W, int Keys>
struct KeyWalk {
  static constexpr int tile = Keys * W, elements = 2 * 2 * tile;
  HeadRows<const T> key, value;
  T *keys, *values;  // in shared memory
  Visible visible;
  Range range;  // of all keys to load, none of which is before the first of the batch row

  __device__ KeyWalk(const AttentionShape& s, const std::int32_t* rows, bool in_pieces, const QueryPlace& at,
                     const T* all_keys, const T* all_values, T* shared)
      : key(s, all_keys, s.key, at.b, at.h / (s.heads / s.key_heads), in_pieces),
        value(s, all_values, s.value, at.b, at.h / (s.heads / s.key_heads), in_pieces),
        keys(shared),
        values(shared + 2 * tile),
        visible(s, rows, at.b),
        range(visible.keys_of(at.first, at.end, s.keys)) {}

  /// Begins to load the tile whose first key is j, unless it is behind the last.
  __device__ void load(int j, int buffer) const {
    if (j >= range.past) return;
    load_rows<W, Keys>(keys + buffer * tile, key, j, 0, visible.end);
    load_rows<W, Keys>(values + buffer * tile, value, j, 0, visible.end);
    commit_copies();
  }

  /// How much of `columns` keys from j on a warp's queries see.
  __device__ Part part(const WarpRows& own, int j, int columns) const {
    if (own.count <= 0) return Part::none;
    return seen_part(visible.keys_of(own.first), visible.keys_of(own.last()), j, columns);
  }
};

}  // namespace plinth::cuda
