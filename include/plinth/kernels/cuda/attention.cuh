// SPDX-License-Identifier: MIT
// Attention of the CUDA backend, without the (queries, keys) matrix in memory: of 16-bit types on tensor cores, of few
// queries with their keys split over blocks; the mask of the composed form for all.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cuda/attention_backward.cuh>
#include <plinth/kernels/cuda/attention_backward_keys.cuh>
#include <plinth/kernels/cuda/attention_backward_queries.cuh>
#include <plinth/kernels/cuda/attention_decode.cuh>
#include <plinth/kernels/cuda/attention_forward.cuh>
#include <plinth/kernels/cuda/attention_walk.cuh>
#include <plinth/kernels/cuda/elementwise.cuh>
#include <plinth/kernels/cuda/launch.cuh>
#include <plinth/kernels/cuda/scratch.cuh>

namespace plinth::cuda {

/// What tensor cores multiply and sum in float.
template <class T>
concept SixteenBits = std::same_as<T, bfloat16> || std::same_as<T, half>;

/// What attention sums in float.
template <class T>
concept SummedInFloat = SixteenBits<T> || std::same_as<T, float>;

template <class T>
struct MaskElement {
  AttentionShape shape;
  const std::int32_t* rows;
  T* mask;

  __device__ void operator()(std::int64_t at) const {
    const std::int64_t j = at % shape.keys, i = at / shape.keys % shape.queries;
    const VisibleKeys visible(shape, rows, at / shape.keys / shape.queries);
    const bool seen = j >= visible.first(i) && j < visible.past(i),
               inside = visible.begin >= 0 && visible.end <= shape.keys;
    mask[at] = inside ? rounded<T>(seen ? 0.0f : -std::numeric_limits<float>::infinity()) : no_value<T>();
  }
};

/// f(width) for the narrowest width of tiles that holds the heads, as an integral constant. Throws ArgumentError
/// where none does.
template <class F>
void with_width(const AttentionShape& shape, const F& f) {
  detail::require<ArgumentError>(shape.head_size <= 256, "attention: heads of ", shape.head_size,
                                 " channels, where the tiles of this device hold 256");
  detail::require<ArgumentError>(std::max(shape.queries, shape.keys) < longest_sequence, "attention: ", shape.queries,
                                 " queries and ", shape.keys, " keys");
  if (shape.head_size <= 32) return f(std::integral_constant<int, 32>());
  if (shape.head_size <= 64) return f(std::integral_constant<int, 64>());
  if (shape.head_size <= 128) return f(std::integral_constant<int, 128>());
  f(std::integral_constant<int, 256>());
}

/// Whether the rows of an operand consist of pieces of 16 bytes, aligned to that.
template <class T>
bool in_pieces(const AttentionShape& shape, const T* x, const HeadLayout& layout) {
  constexpr int size = 16 / sizeof(T);
  return reinterpret_cast<std::uintptr_t>(x) % 16 == 0 && shape.head_size % size == 0 && layout.batch % size == 0 &&
         layout.head % size == 0 && layout.time % size == 0;
}

struct CudaAttention {
  /// mask (batch, queries, keys) = 0 where the query sees the key, else -inf. rows: as in VisibleKeys; where they end
  /// outside the keys, results of their batch row are NaN, here as in the others.
  template <class T>
  static void attention_mask(queue<Cuda>& queue, const AttentionShape& shape, const std::int32_t* rows, T* mask) {
    for_each_index(queue, shape.batch * shape.queries * shape.keys, MaskElement<T>{shape, rows, mask});
  }

  /// Whether a shape has so few queries that its keys are split over blocks, in float too.
  static bool decodes(const AttentionShape& s) {
    return s.queries <= Decode::most_queries && s.head_size <= Decode::channels * warp_size && s.keys < longest_sequence;
  }

  /// log2_sum (B, H, queries) may be null. Throws ArgumentError for heads of more than 256 channels and, in float,
  /// for a shape that decodes() does not name, MemoryError when there is no room for the parts of a split.
  template <SummedInFloat T>
  static void attention(queue<Cuda>& queue, const AttentionShape& s, const std::int32_t* rows, const T* query,
                        const T* key, const T* value, T* output, float* log2_sum) {
    const bool whole = in_pieces(s, query, s.query) && in_pieces(s, key, s.key) && in_pieces(s, value, s.value);
    if (decodes(s)) return decode(queue, s, rows, whole, query, key, value, output, log2_sum);
    if constexpr (SixteenBits<T>)
      with_width(s, [&](auto width) {
        using Tile = ForwardTile<width()>;
        launch(queue, s.batch * s.heads * blocks_for(s.queries, Tile::queries), Tile::block, Tile::bytes,
               attention_forward<T, width()>, s, rows, whole && in_pieces(s, output, s.output),
               exponent_factor(s.scale), query, key, value, output, log2_sum);
      });
    else
      detail::require<ArgumentError>(false, "attention: ", s.queries, " queries of ", s.head_size,
                                     " channels in float, which has no tiles on this device");
  }

  /// Overwrites dquery, dkey and dvalue, which lie as query, key and value do; doutput lies as output. Throws as
  /// attention does, and MemoryError when there is no room for two numbers for each query of each head.
  template <SixteenBits T>
  static void attention_backward(queue<Cuda>& queue, const AttentionShape& s, const std::int32_t* rows, const T* query,
                                 const T* key, const T* value, const T* output, const float* log2_sum,
                                 const T* doutput, T* dquery, T* dkey, T* dvalue) {
    const bool whole = in_pieces(s, query, s.query) && in_pieces(s, key, s.key) && in_pieces(s, value, s.value) &&
                       in_pieces(s, doutput, s.output) && in_pieces(s, dquery, s.query) && in_pieces(s, dkey, s.key) &&
                       in_pieces(s, dvalue, s.value);
    with_width(s, [&](auto width) {
      using Keys = KeyTile<width()>;
      using Queries = QueryTile<width()>;
      const std::int64_t padded = padded_queries(s);
      const Scratch<RowStatistics> statistics(s.batch * s.heads * padded);
      launch(queue, blocks_for(s.batch * s.heads * padded, WarpTeam::rows_per_block), WarpTeam::block, 0,
             attention_statistics<T>, s, padded, output, doutput, log2_sum, statistics.data());
      launch(queue, s.batch * s.key_heads * blocks_for(s.keys, Keys::keys) * Keys::parts, Keys::block, Keys::bytes,
             attention_backward_keys<T, width()>, s, rows, whole, exponent_factor(s.scale), query, key, value,
             statistics.data(), doutput, dkey, dvalue);
      launch(queue, s.batch * s.heads * blocks_for(s.queries, Queries::queries), Queries::block, Queries::bytes,
             attention_backward_queries<T, width()>, s, rows, whole, exponent_factor(s.scale), query, key, value,
             statistics.data(), doutput, dquery);
    });
  }

 private:
  template <class T>
  static void decode(queue<Cuda>& queue, const AttentionShape& s, const std::int32_t* rows, bool whole, const T* query,
                     const T* key, const T* value, T* output, float* log2_sum) {
    const std::int64_t together = s.queries * (s.heads / std::max<std::int64_t>(s.key_heads, 1));
    const auto with = [&](auto count) {
      launch_decode<count()>(queue, s, rows, whole, query, key, value, output, log2_sum);
    };
    if (together <= 1) return with(std::integral_constant<int, 1>());
    if (together <= 2) return with(std::integral_constant<int, 2>());
    if (together <= 4) return with(std::integral_constant<int, 4>());
    with(std::integral_constant<int, Decode::most_rows>());
  }
};

}  // namespace plinth::cuda
