// SPDX-License-Identifier: MIT
// What the two halves of attention backward share. Probabilities are computed again from the logarithms of their sums,
// once by blocks that keep the gradients of keys and values in registers, once by blocks that keep those of queries. No
// two blocks add to the same number, so that the order of all sums is fixed.
//
// With S = scale Q K^T, P = 2^(S / ln 2 - log2_sum), dP = dO V^T and delta = the sum over channels of dO O:
//   dS = P (dP - delta), dV = P^T dO, dK = scale dS^T Q, dQ = scale dS K.   Dao 2023 (arXiv:2307.08691), algorithm 2.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cuda/attention_tile.cuh>
#include <plinth/kernels/cuda/attention_walk.cuh>
#include <plinth/kernels/cuda/team.cuh>

namespace plinth::cuda {

/// Of one query: log2 of its sum of exponentials, and delta.
struct alignas(8) RowStatistics {
  float log2_sum, delta;
};

inline constexpr int most_queries = 128;  // of a tile

/// How many RowStatistics each head has: behind those of its queries there are as many zeros as the last tile may want.
PLINTH_HD inline std::int64_t padded_queries(const AttentionShape& s) {
  return (s.queries / most_queries + 2) * most_queries;
}

/// The statistics of all queries of all heads.
template <class T>
__global__ void __launch_bounds__(WarpTeam::block)
    attention_statistics(AttentionShape s, std::int64_t padded, const T* output, const T* doutput,
                         const float* log2_sum, RowStatistics* statistics) {
  const std::int64_t row = WarpTeam::row(), n = row / padded, i = row % padded;
  if (n >= s.batch * s.heads) return;
  RowStatistics result = {0, 0};
  if (i < s.queries) {
    const std::int64_t at = n / s.heads * s.output.batch + n % s.heads * s.output.head + i * s.output.time;
    result.delta = reduce_row<WarpTeam>(s.head_size, 0.0f, Sum(), [=](std::int64_t d) {
      return static_cast<float>(output[at + d]) * static_cast<float>(doutput[at + d]);
    });
    result.log2_sum = log2_sum[n * s.queries + i];
  }
  if (WarpTeam::member() == 0) statistics[row] = result;
}

/// Begins to copy those of `Count` queries to shared memory. `from` is aligned to 16 bytes.
template <int Count>
__device__ void load_statistics(RowStatistics* to, const RowStatistics* from) {
  if (const int at = static_cast<int>(threadIdx.x) * 2; at < Count) copy_async(to + at, from + at, true);
}

/// Where the columns of scores are queries: their statistics, in shared memory.
struct StatisticsOfColumns {
  const Pack<RowStatistics, 2>* own;

  __device__ explicit StatisticsOfColumns(const RowStatistics* of_queries)
      : own(aligned_cast<const Pack<RowStatistics, 2>>(of_queries) + lane_number() % 4) {}
  __device__ const RowStatistics& operator()(int, int n, int i) const { return own[n * 4].values[i % 2]; }
};

/// Where the rows are queries: their statistics, in shared memory.
struct StatisticsOfRows {
  const RowStatistics* own;

  __device__ explicit StatisticsOfRows(const RowStatistics* of_queries) : own(of_queries + lane_number() / 4) {}
  __device__ const RowStatistics& operator()(int m, int, int i) const { return own[m * 16 + i / 2 * 8]; }
};

/// Products of queries and keys become probabilities. of(m, n, i): the statistics of the query there.
template <int Strips, int Eights, class Of>
__device__ void exponentiate_again(float (&scores)[Strips][Eights][4], float factor, const Of& of) {
  each_element(scores,
               [&](int m, int n, int i, float& x) { x = fast_exp2(std::fma(x, factor, -of(m, n, i).log2_sum)); });
}

/// Probabilities, given their gradients, become the gradients of the scores.
template <int Strips, int Eights, class Of>
__device__ void differentiate(float (&p)[Strips][Eights][4], const float (&dp)[Strips][Eights][4], const Of& of) {
  each_element(p, [&](int m, int n, int i, float& x) { x *= dp[m][n][i] - of(m, n, i).delta; });
}

/// A warp's gradient, times a factor and rounded, in the rows of a tile; NaN unless valid.
template <class T, int Strips, int Eights>
__device__ void put_gradient(float (&c)[Strips][Eights][4], double factor, bool valid, T* rows) {
  const float by = valid ? static_cast<float>(factor) : std::numeric_limits<float>::quiet_NaN();
  each_element(c, [&](int, int, int, float& x) { x *= by; });
  put_rows(c, rows);
}

}  // namespace plinth::cuda
