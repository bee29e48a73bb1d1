// SPDX-License-Identifier: MIT
// What of a tile of scores may be seen: by queries of keys, and the other way round, of keys by queries.
#pragma once

#include <algorithm>
#include <cstdint>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cuda/intrinsics.cuh>

namespace plinth::cuda {

/// Columns [first, past) of a row of scores; none where that is empty.
struct Range {
  int first, past;
};

/// VisibleKeys of a batch row, by query and by key. Neither end of a range falls from a row to the next.
struct Visible {
  const AttentionShape& s;
  VisibleKeys keys;

  __device__ Visible(const AttentionShape& shape, const std::int32_t* rows, std::int64_t b)
      : s(shape), keys(shape, rows, b) {}

  /// Whether the batch row's keys lie within the keys.
  __device__ bool inside() const { return keys.begin >= 0 && keys.end <= s.keys; }

  /// The keys that query i sees.
  __device__ Range keys_of(std::int64_t i) const { return within(s.keys, keys.first(i), keys.past(i)); }

  /// The queries that see key j.
  __device__ Range queries_of(std::int64_t j) const {
    if (j < keys.begin) return {0, 0};
    if (j >= keys.end) return within(s.queries, s.queries, s.queries);
    return within(s.queries, j - keys.causal_end + 1, j - keys.window_begin + 1);
  }

  /// From the first to the last key that one of the queries [first, past) sees.
  __device__ Range keys_of(std::int64_t first, std::int64_t past) const {
    if (!inside()) return {0, 0};
    return {keys_of(first).first, keys_of(past - 1).past};
  }

  /// From the first to the last query that sees one of the keys [first, past).
  __device__ Range queries_of(std::int64_t first, std::int64_t past) const {
    if (!inside()) return {0, 0};
    return {queries_of(std::max(first, keys.begin)).first, queries_of(std::min(past, keys.end) - 1).past};
  }

 private:
  __device__ static Range within(std::int64_t count, std::int64_t first, std::int64_t past) {
    constexpr std::int64_t zero = 0;
    return {static_cast<int>(std::clamp(first, zero, count)), static_cast<int>(std::clamp(past, zero, count))};
  }
};

enum class Part { none, some, all };

/// How much of columns [first, first + columns) rows see, given the ranges of the first and the last of them.
__device__ inline Part seen_part(const Range& first_row, const Range& last_row, int first, int columns) {
  if (first >= last_row.past || first + columns <= first_row.first) return Part::none;
  return first >= last_row.first && first + columns <= first_row.past ? Part::all : Part::some;
}

/// Elements become `hidden` where seen(row), with rows counted from the warp's first, does not hold their column.
template <int Strips, int Eights, class Seen>
__device__ void hide_unseen(float (&c)[Strips][Eights][4], int first_column, float hidden, const Seen& seen) {
  const int own = first_column + static_cast<int>(threadIdx.x) % 4 * 2;
  for (int m = 0; m < Strips; ++m)
    for (int r = 0; r < 2; ++r) {
      const Range range = seen(m * 16 + r * 8 + static_cast<int>(threadIdx.x) % warp_size / 4);
      for (int n = 0; n < Eights; ++n)
        for (int e = 0; e < 2; ++e)
          if (const int column = own + n * 8 + e; column < range.first || column >= range.past) c[m][n][2 * r + e] = hidden;
    }
}

}  // namespace plinth::cuda
