// SPDX-License-Identifier: MIT
// Tiles of 16-bit rows in shared memory, and products of them on tensor cores.
//
// A row has W channels, those that the head does not have are zeros. Its pieces of 8 channels, 16 bytes, are exchanged
// by the number of the row, so that the same piece of 8 rows, which one load of a matrix reads, lies in different banks.
//
// A warp's product has strips of 16 rows and eights of columns: element (r, c) of strip m and eight n is with lane
// 4 (r % 8) + c / 2 at [m][n][r / 8 * 2 + c % 2].
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cuda/elementwise.cuh>
#include <plinth/kernels/cuda/intrinsics.cuh>

namespace plinth::cuda {

inline constexpr float log2_of_e = 1.44269504f, ln_2 = 0.693147181f;

/// The factor that makes exponents of 2 of products: never 0, which would make NaN of hidden scores, -inf.
PLINTH_HD inline float exponent_factor(double scale) {
  const auto factor = static_cast<float>(scale) * log2_of_e;
  return factor == 0 ? std::numeric_limits<float>::min() : factor;
}

inline constexpr int piece = 8;  // elements of 16 bytes

/// Where channel `piece` p of row r lies. With k a multiple of 16 and p at most 1, place(r, p + k / piece) is
/// place(r, p) ^ k; 16 rows on it is place(r, p) + 16 W.
template <int W>
__device__ constexpr int place(int r, int p) {
  constexpr int pieces = W / piece, rows_of_banks = std::max(1, 8 / pieces);
  return r * W + (p ^ (r / rows_of_banks % std::min(8, pieces))) * piece;
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

/// The rows of one head in the device's memory.
template <class T>
struct HeadRows {
  T* data;
  std::int64_t stride;
  int channels;
  bool whole;  // whether rows consist of aligned pieces

  __device__ HeadRows(const AttentionShape& s, T* x, const HeadLayout& layout, std::int64_t b, std::int64_t h, bool in_pieces)
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

/// c = 0
template <int Strips, int Eights>
__device__ void clear(float (&c)[Strips][Eights][4]) {
  for (int m = 0; m < Strips; ++m)
    for (int n = 0; n < Eights; ++n)
      for (int i = 0; i < 4; ++i) c[m][n][i] = 0;
}

/// Begins to load rows [first, first + Rows) into a tile, zeros for those outside [begin, end).
template <int W, int Rows, int Threads, class T>
__device__ void load_rows(T* tile, const HeadRows<const T>& from, int first, int begin, int end) {
  for (int n = 0; n < Rows * W / piece; n += Threads) {
    const int at = n + static_cast<int>(threadIdx.x), r = at / (W / piece), p = at % (W / piece);
    const T* row = from.data + (first + r) * from.stride + p * piece;
    const bool inside = first + r >= begin && first + r < end;
    T* to = tile + place<W>(r, p);
    if (from.whole)
      copy_async(to, row, inside && p * piece < from.channels);
    else
      for (int e = 0; e < piece; ++e) to[e] = inside && p * piece + e < from.channels ? row[e] : T(0.0f);
  }
}

/// Stores rows of a tile as rows [first, first + Rows) but for those from `end` on.
template <int W, int Rows, int Threads, class T>
__device__ void store_rows(const T* tile, const HeadRows<T>& to, int first, int end) {
  using Piece = Pack<T, piece>;
  for (int n = 0; n < Rows * W / piece; n += Threads) {
    const int at = n + static_cast<int>(threadIdx.x), r = at / (W / piece), p = at % (W / piece);
    if (first + r >= end) continue;
    T* row = to.data + (first + r) * to.stride + p * piece;
    const Piece& values = *reinterpret_cast<const Piece*>(tile + place<W>(r, p));
    if (to.whole && p * piece < to.channels) *reinterpret_cast<Piece*>(row) = values;
    if (!to.whole)
      for (int e = 0; e < piece && p * piece + e < to.channels; ++e) row[e] = values.values[e];
  }
}

/// Accumulators, rounded, become the rows of a tile.
template <class T, int Strips, int Eights>
__device__ void put_rows(const float (&c)[Strips][Eights][4], T* rows) {
  using Pair = Pack<T, 2>;
  const int lane = static_cast<int>(threadIdx.x) % warp_size;
  for (int m = 0; m < Strips; ++m)
    for (int n = 0; n < Eights; ++n)
      for (int r = 0; r < 2; ++r)
        *reinterpret_cast<Pair*>(rows + place<Eights * 8>(m * 16 + r * 8 + lane / 4, n) + lane % 4 * 2) =
            __builtin_bit_cast(Pair, packed_pair<T>(c[m][n][2 * r], c[m][n][2 * r + 1]));
}

template <int Strips, int Eights>
__device__ void negate(float (&c)[Strips][Eights][4]) {
  for (int m = 0; m < Strips; ++m)
    for (int n = 0; n < Eights; ++n)
      for (int i = 0; i < 4; ++i) c[m][n][i] = -c[m][n][i];
}

/// c[i][j] = the sum over channels of a[i] b[j], for rows of two tiles of W channels.
template <int W, class T, int Strips, int Eights>
__device__ void multiply_rows(const T* a, const T* b, float (&c)[Strips][Eights][4]) {
  const int lane = static_cast<int>(threadIdx.x) % warp_size;
  const int left = place<W>(lane % 16, lane / 16), right = place<W>(lane % 8 + lane / 16 * 8, lane / 8 % 2);
  clear(c);
  for (int k = 0; k < W; k += 16) {
    std::uint32_t x[Strips][4], y[4];
    for (int m = 0; m < Strips; ++m) load_matrices(x[m], a + m * 16 * W + (left ^ k));
    for (int n = 0; n < Eights; n += 2) {
      load_matrices(y, b + n * 8 * W + (right ^ k));
      for (int m = 0; m < Strips; ++m) {
        multiply_add<T>(c[m][n], x[m], y[0], y[1]);
        multiply_add<T>(c[m][n + 1], x[m], y[2], y[3]);
      }
    }
  }
}

/// c[i] += the sum over j of p[i][j], rounded, times row j of a tile of W channels. The accumulators of p are, two by two,
/// what the product takes on its left.
template <int W, class T, int Strips, int Inner, int Eights>
__device__ void add_weighted_rows(const float (&p)[Strips][Inner][4], const T* rows, float (&c)[Strips][Eights][4]) {
  const int lane = static_cast<int>(threadIdx.x) % warp_size, right = place<W>(lane % 16, lane / 16);
  for (int k = 0; k < Inner; k += 2) {
    std::uint32_t x[Strips][4], y[4];
    for (int m = 0; m < Strips; ++m)
      for (int i = 0; i < 4; ++i)
        x[m][i] = packed_pair<T>(p[m][k + i / 2][i % 2 * 2], p[m][k + i / 2][i % 2 * 2 + 1]);
    for (int n = 0; n < Eights; n += 2) {
      load_matrices_transposed(y, rows + k * 8 * W + (right ^ n * 8));
      for (int m = 0; m < Strips; ++m) {
        multiply_add<T>(c[m][n], x[m], y[0], y[1]);
        multiply_add<T>(c[m][n + 1], x[m], y[2], y[3]);
      }
    }
  }
}

}  // namespace plinth::cuda
