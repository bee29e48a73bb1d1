// SPDX-License-Identifier: MIT
// What of a tile of scores may be seen: by queries of keys, and the other way round, of keys by queries.
#pragma once

#include <algorithm>
#include <cstdint>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cuda/attention_tile.cuh>

namespace plinth::cuda {

/// Columns [first, past) of a row of scores, some of which may not exist; none where that is empty.
struct Range {
  int first, past;
};

/// Sequences are shorter than this, so that sums of places fit an int.
inline constexpr int longest_sequence = 1 << 29;

/// VisibleKeys of a batch row in few registers, by query and by key. Neither end of a range falls from a row to the
/// next.
struct Visible {
  bool inside;  // whether the batch row's keys lie within the keys
  int begin, end, window_begin, causal_end;

  __device__ Visible(const AttentionShape& s, const std::int32_t* rows, std::int64_t b) {
    const VisibleKeys keys(s, rows, b);
    inside = keys.begin >= 0 && keys.end <= s.keys;
    begin = place_of(keys.begin);
    end = place_of(keys.end);
    window_begin = place_of(keys.window_begin);
    causal_end = place_of(keys.causal_end);
  }

  /// The keys that query i sees.
  __device__ Range keys_of(int i) const { return {std::max(window_begin + i, begin), std::min(causal_end + i, end)}; }

  /// The queries that see key j.
  __device__ Range queries_of(int j) const {
    if (j < begin) return {-longest_sequence, -longest_sequence};
    if (j >= end) return {longest_sequence, longest_sequence};
    return {j - causal_end + 1, j - window_begin + 1};
  }

  /// From the first to the last of `count` keys that one of the queries [first, past) sees.
  __device__ Range keys_of(int first, int past, std::int64_t count) const {
    return within(count, keys_of(first).first, keys_of(past - 1).past);
  }

  /// From the first to the last of `count` queries that sees one of the keys [first, past).
  __device__ Range queries_of(int first, int past, std::int64_t count) const {
    return within(count, queries_of(std::max(first, begin)).first, queries_of(std::min(past, end) - 1).past);
  }

 private:
  __device__ static int place_of(std::int64_t x) {
    return static_cast<int>(std::clamp<std::int64_t>(x, -longest_sequence, longest_sequence));
  }
  __device__ Range within(std::int64_t count, int first, int past) const {
    return {std::max(first, 0), inside ? std::min(past, static_cast<int>(count)) : 0};
  }
};

enum class Part { none, some, all };

/// How much of columns [first, first + columns) rows see, given what the first and the last of them see.
__device__ inline Part seen_part(const Range& first_row, const Range& last_row, int first, int columns) {
  if (first >= last_row.past || first + columns <= first_row.first) return Part::none;
  return first >= last_row.first && first + columns <= first_row.past ? Part::all : Part::some;
}

/// Elements become `hidden` where seen(row), with rows counted from the warp's first, does not hold their column.
template <int Strips, int Eights, class Seen>
__device__ void hide_unseen(float (&c)[Strips][Eights][4], int first_column, float hidden, const Seen& seen) {
  const int lane = lane_number(), own = first_column + lane % 4 * 2;
  each_element(c, [&](int m, int n, int i, float& x) {
    const Range range = seen(m * 16 + i / 2 * 8 + lane / 4);
    if (const int column = own + n * 8 + i % 2; column < range.first || column >= range.past) x = hidden;
  });
}

}  // namespace plinth::cuda
