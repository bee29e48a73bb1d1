// SPDX-License-Identifier: MIT
// Tiles of 16-bit rows in shared memory, and products of them on tensor cores.
//
// A row has W channels, those that the head does not have are zeros. Its pieces of 8 channels, 16 bytes, are exchanged
// by the number of the row, so that the same piece of 8 rows, which one load of a matrix reads, lies in different
// banks.
//
// A warp's product has strips of 16 rows and eights of columns: element (r, c) of strip m and eight n is with lane
// 4 (r % 8) + c / 2 at [m][n][r / 8 * 2 + c % 2].
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cuda/elementwise.cuh>
#include <plinth/kernels/cuda/intrinsics.cuh>

namespace plinth::cuda {

__device__ inline int lane_number() { return static_cast<int>(forgotten(threadIdx.x) % warp_size); }
__device__ inline int warp_number() { return static_cast<int>(forgotten(threadIdx.x) / warp_size); }

/// What a block may have on compute capability 8.0, and more on 9.0.
inline constexpr std::size_t most_shared_bytes = 163 * 1024;

inline constexpr int piece = 8;  // elements of 16 bytes

/// Where piece p of row r lies; 16 rows on it is 16 W further.
template <int W>
__device__ constexpr int place(int r, int p) {
  constexpr int pieces = W / piece, rows_of_banks = std::max(1, 8 / pieces);
  return r * W + (p ^ (r / rows_of_banks % std::min(8, pieces))) * piece;
}

/// From at = place(r, p) to place(r, p + k / piece), for p at most 1 and k a multiple of 16.
__device__ constexpr int channels_on(int at, int k) {
  constexpr int exchanged = 8 * piece;
  return (at ^ k % exchanged) + k / exchanged * exchanged;
}

/// The rows of one head in the device's memory.
template <class T>
struct HeadRows {
  T* data;
  std::int64_t stride;
  int channels;
  bool whole;  // whether rows consist of aligned pieces

  __device__ HeadRows(const AttentionShape& s, T* x, const HeadLayout& layout, std::int64_t b, std::int64_t h,
                      bool in_pieces)
      : data(x + b * layout.batch + h * layout.head),
        stride(layout.time),
        channels(static_cast<int>(s.head_size)),
        whole(in_pieces) {}

  /// The same without the first channels.
  __device__ HeadRows from(int channel) const {
    HeadRows rest = *this;
    rest.data += channel;
    rest.channels -= channel;
    return rest;
  }
};

/// f(m, n, i, c[m][n][i]) for all elements.
template <int Strips, int Eights, class F>
__device__ void each_element(float (&c)[Strips][Eights][4], const F& f) {
  for_constants<Strips * Eights>([&](int at) {
    for (int i = 0; i < 4; ++i) f(at / Eights, at % Eights, i, c[at / Eights][at % Eights][i]);
  });
}

template <int Strips, int Eights>
__device__ void clear(float (&c)[Strips][Eights][4]) {
  each_element(c, [](int, int, int, float& x) { x = 0; });
}

/// f(place, r, p) for pieces p of rows r that the calling thread moves: all of a tile, with the block's other threads.
template <int W, int Rows, class F>
__device__ void each_piece(const F& f) {
  constexpr unsigned pieces = W / piece;
  const int step = static_cast<int>(blockDim.x / pieces);  // a multiple of 8: pieces are exchanged alike
  const unsigned thread = forgotten(threadIdx.x);
  const int p = static_cast<int>(thread % pieces);
  int r = static_cast<int>(thread / pieces);
  for (int at = place<W>(r, p); r < Rows; r += step, at += step * W) f(at, r, p);
}

/// Begins to load rows [first, first + Rows) into a tile, zeros for those outside [begin, end).
template <int W, int Rows, class T>
__device__ void load_rows(T* tile, const HeadRows<const T>& from, int first, int begin, int end) {
  each_piece<W, Rows>([&](int at, int r, int p) {
    const T* row = from.data + (first + r) * from.stride + p * piece;
    const bool inside = first + r >= begin && first + r < end;
    if (from.whole)
      copy_async(tile + at, row, inside && p * piece < from.channels);
    else
      for (int e = 0; e < piece; ++e) tile[at + e] = inside && p * piece + e < from.channels ? row[e] : T(0.0f);
  });
}

/// Stores rows of a tile as rows [first, first + Rows) but for those from `end` on.
template <int W, int Rows, class T>
__device__ void store_rows(const T* tile, const HeadRows<T>& to, int first, int end) {
  each_piece<W, Rows>([&](int at, int r, int p) {
    if (first + r >= end) return;
    using Piece = Pack<T, piece>;
    const Piece& values = *aligned_cast<const Piece>(tile + at);
    T* row = to.data + (first + r) * to.stride + p * piece;
    if (to.whole && p * piece < to.channels) *aligned_cast<Piece>(row) = values;
    if (!to.whole)
      for (int e = 0; e < piece && p * piece + e < to.channels; ++e) row[e] = values.values[e];
  });
}

/// Accumulators, rounded, become the rows of a tile.
template <class T, int Strips, int Eights>
__device__ void put_rows(const float (&c)[Strips][Eights][4], T* rows) {
  using Pair = Pack<T, 2>;
  static_assert(sizeof(Pair) == sizeof(std::uint32_t));  // completes it, as __builtin_bit_cast of CUDA 12 does not
  const int lane = lane_number();
  for_constants<Strips * Eights>([&](int at) {
    const int m = at / Eights, n = at % Eights;
    for (int r = 0; r < 2; ++r)
      *aligned_cast<Pair>(rows + place<Eights * 8>(m * 16 + r * 8 + lane / 4, n) + lane % 4 * 2) =
          __builtin_bit_cast(Pair, packed_pair<T>(c[m][n][2 * r], c[m][n][2 * r + 1]));
  });
}

/// c[i][j] = the sum over channels of a[i] b[j], for rows of two tiles of W channels.
template <int W, class T, int Strips, int Eights>
__device__ void multiply_rows(const T* a, const T* b, float (&c)[Strips][Eights][4]) {
  const int lane = lane_number();
  const int left = place<W>(lane % 16, lane / 16), right = place<W>(lane % 8 + lane / 16 * 8, lane / 8 % 2);
  clear(c);
  for (int k = 0; k < W; k += 16) {
    std::uint32_t x[Strips][4], y[4];
    for (int m = 0; m < Strips; ++m) load_matrices(x[m], a + m * 16 * W + channels_on(left, k));
    for (int n = 0; n < Eights; n += 2) {
      load_matrices(y, b + n * 8 * W + channels_on(right, k));
      for (int m = 0; m < Strips; ++m) {
        multiply_add<T>(c[m][n], x[m], y[0], y[1]);
        multiply_add<T>(c[m][n + 1], x[m], y[2], y[3]);
      }
    }
  }
}

/// c[i] += the sum over j of p[i][j], rounded, times row j of a tile of W channels. The accumulators of p are, two by
/// two, what the product takes on its left.
template <int W, class T, int Strips, int Inner, int Eights>
__device__ void add_weighted_rows(const float (&p)[Strips][Inner][4], const T* rows, float (&c)[Strips][Eights][4]) {
  const int lane = lane_number(), right = place<W>(lane % 16, lane / 16);
  for_constants<Inner / 2>([&](int half) {
    const int k = 2 * half;
    std::uint32_t x[Strips][4], y[4];
    for (int m = 0; m < Strips; ++m)
      for (int i = 0; i < 4; ++i) x[m][i] = packed_pair<T>(p[m][k + i / 2][i % 2 * 2], p[m][k + i / 2][i % 2 * 2 + 1]);
    for (int n = 0; n < Eights; n += 2) {
      load_matrices_transposed(y, rows + k * 8 * W + channels_on(right, n * 8));
      for (int m = 0; m < Strips; ++m) {
        multiply_add<T>(c[m][n], x[m], y[0], y[1]);
        multiply_add<T>(c[m][n + 1], x[m], y[2], y[3]);
      }
    }
  });
}

}  // namespace plinth::cuda
