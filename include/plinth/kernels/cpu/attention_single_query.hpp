// SPDX-License-Identifier: MIT
// Attention of a single query, as a model with a cache has them: keys and values are read once where they stand, since
// packing them for tiles would take longer than the sums themselves.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include <plinth/kernels/cpu/attention_blocks.hpp>
#include <plinth/kernels/cpu/lanes.hpp>
#include <plinth/tensor/element.hpp>
#include <plinth/tensor/instruction_set.hpp>
#include <plinth/tensor/scalar_math.hpp>

namespace plinth::cpu {

/// What one query sees: `keys` keys and values, which lie key_time and value_time elements apart.
template <class T>
struct SingleQuery {
  using A = accumulator_t<T>;
  const T *query, *key, *value;
  std::int64_t key_time, value_time, keys, head_size;
  A scale;  // of scores to base 2
  T* output;
  A* log2_sum;           // or null
  A *scores, *gathered;  // room for whole_rounds(keys) and head_size elements

  template <InstructionSet Set>
  [[gnu::always_inline]] inline void run() const {
    constexpr A lowest = -std::numeric_limits<A>::infinity();
    const T* const q = query;
    A *const s = scores, *const y = gathered;
    for (std::int64_t j = 0; j < keys; ++j) {
      const T* const k = key + j * key_time;
      const auto product = [=](std::int64_t d) { return static_cast<A>(q[d]) * static_cast<A>(k[d]); };
      s[j] = scale * lane_sum<A>(head_size, product);
    }
    const std::int64_t filled = whole_rounds(keys);
    for (std::int64_t j = keys; j < filled; ++j) s[j] = lowest;
    const A top = lane_max<A, true>(filled, lowest, [=](std::int64_t j) { return s[j]; });
    const A shift = top == lowest ? A(0) : top;
    const A sum = lane_sum<A, true>(filled, [=](std::int64_t j) { return s[j] = math::exp2_negative(s[j] - shift); });
    for (std::int64_t d = 0; d < head_size; ++d) y[d] = A(0);
    for (std::int64_t j = 0; j < keys; ++j) {
      const T* const v = value + j * value_time;
      const A p = s[j];
      for (std::int64_t d = 0; d < head_size; ++d) y[d] += p * static_cast<A>(v[d]);
    }
    const RowSum<A> all(top, sum);
    for (std::int64_t d = 0; d < head_size; ++d) output[d] = static_cast<T>(y[d] * all.inverse);
    if (log2_sum) *log2_sum = all.log2;
  }
};

}  // namespace plinth::cpu
