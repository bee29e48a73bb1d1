// SPDX-License-Identifier: MIT
// Sums over an axis and the squared norm, in an order fixed by the shape alone.
#pragma once

#include <algorithm>
#include <cstdint>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cpu/elementwise.hpp>
#include <plinth/kernels/cpu/lanes.hpp>

namespace plinth::cpu {

struct CpuReduction {
  template <class T>
  static void reduce_sum(queue<Cpu>& queue, std::int64_t outer, std::int64_t n, std::int64_t inner, const T* x, T* y) {
    using A = accumulator_t<T>;
    if (inner == 1) {
      over_rows(queue, outer, n, [=](std::int64_t o) {
        const T* row = x + o * n;
        y[o] = static_cast<T>(lane_sum<A>(n, [=](std::int64_t i) { return static_cast<A>(row[i]); }));
      });
      return;
    }
    constexpr std::int64_t strip = 64;            // columns summed together
    constexpr std::int64_t rows_together = 128;  // long sums are sums of short ones, as in lane_sum
    const std::int64_t strips = (inner + strip - 1) / strip;
    queue.parallel(outer * strips, [=](std::int64_t block) {
      const std::int64_t o = block / strips, first = block % strips * strip;
      const std::int64_t width = std::min(strip, inner - first);
      const T* column = x + o * n * inner + first;
      A sum[strip] = {};
      for (std::int64_t begin = 0; begin < n; begin += rows_together) {
        A part[strip] = {};
        for (std::int64_t k = begin; k < std::min(begin + rows_together, n); ++k)
          if (width == strip)
            for (std::int64_t i = 0; i < strip; ++i) part[i] += static_cast<A>(column[k * inner + i]);
          else
            for (std::int64_t i = 0; i < width; ++i) part[i] += static_cast<A>(column[k * inner + i]);
        for (std::int64_t i = 0; i < strip; ++i) sum[i] += part[i];
      }
      for (std::int64_t i = 0; i < width; ++i) y[o * inner + first + i] = static_cast<T>(sum[i]);
    });
  }

  template <class T>
  static void squared_norm(queue<Cpu>& queue, std::int64_t n, const DenseArray<T>* arrays, accumulator_t<T>* sum) {
    using A = accumulator_t<T>;
    std::int64_t blocks = 0;
    for (std::int64_t k = 0; k < n; ++k) blocks += blocks_of(arrays[k].count);
    auto* partial = static_cast<A*>(queue.scratch(static_cast<std::size_t>(blocks) * sizeof(A)));
    over_blocks_of_all(queue, n, arrays,
                       [=](std::int64_t k, std::int64_t begin, std::int64_t end, std::int64_t block) {
                         const T* x = arrays[k].data + begin;
                         partial[block] = lane_sum<A>(end - begin, [=](std::int64_t i) {
                           const A value = static_cast<A>(x[i]);
                           return value * value;
                         });
                       });
    for (std::int64_t k = 0; k < n; ++k) {
      double total = 0;
      for (const A* end = partial + blocks_of(arrays[k].count); partial != end; ++partial)
        total += static_cast<double>(*partial);
      *sum += static_cast<A>(total);
    }
  }
};

}  // namespace plinth::cpu
