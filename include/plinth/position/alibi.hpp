// SPDX-License-Identifier: MIT
// ALiBi: attention scores fall with distance, in each head at a rate of its own.
// B batch, H heads, T queries, S keys.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include <plinth/ops/arithmetic.hpp>
#include <plinth/position/relative_pairs.hpp>

namespace plinth {

/// The slopes m_h, h = 1 .. H: 2^(-8 h / H) when H is a power of two; else those of the next lower power P, then the
/// odd ones, h = 1, 3, 5 ..., of 2 P.  Press, Smith & Lewis 2021 (arXiv:2108.12409), section 3 and its get_slopes.
/// Throws ArgumentError when heads is not positive.
inline std::vector<double> alibi_slopes(std::int64_t heads) {
  detail::require<ArgumentError>(heads > 0, "alibi: ", heads, " heads");
  std::int64_t power = 1;
  while (2 * power <= heads) power *= 2;
  std::vector<double> slopes;
  for (std::int64_t h = 1; h <= power; ++h)
    slopes.push_back(std::exp2(-8.0 * static_cast<double>(h) / static_cast<double>(power)));
  for (std::int64_t h = 1; static_cast<std::int64_t>(slopes.size()) < heads; h += 2)
    slopes.push_back(std::exp2(-4.0 * static_cast<double>(h) / static_cast<double>(power)));
  return slopes;
}

namespace detail {

struct MinusDistance {
  template <class T>
  PLINTH_HD static T forward(T query, T key) {
    return query < key ? query - key : key - query;
  }
};

}  // namespace detail

/// What is added to the scores of all layers of one stack. It has no parameters.
template <class T, class D = Cpu>
struct AlibiBias {
  Tensor<accumulator_t<T>, D> slopes;  ///< (H, 1, 1), those of alibi_slopes

  /// Throws ArgumentError when heads is not positive.
  explicit AlibiBias(std::int64_t heads) {
    const auto values = alibi_slopes(heads);
    slopes = Tensor<accumulator_t<T>, D>({heads, 1, 1}, std::vector<accumulator_t<T>>(values.begin(), values.end()));
  }

  /// -m_h |query position - key position|: query_positions (B, T), key_positions (B, S) -> (B, H, T, S), where either
  /// may have one row for all. Same paper; distances to both sides are the symmetric form. Throws ShapeError.
  Tensor<T, D> operator()(const Tensor<std::int32_t, D>& query_positions,
                          const Tensor<std::int32_t, D>& key_positions) const {
    using A = accumulator_t<T>;
    const auto distances = detail::over_pairs<A>("alibi", detail::MinusDistance{}, query_positions, key_positions);
    const Shape all_heads = {distances.size(0), 1, distances.size(1), distances.size(2)};
    const auto shared = detail::TensorAccess::view(distances, all_heads, contiguous_strides(all_heads));
    const auto bias = detail::binary<detail::Times>("alibi", shared, slopes);  // (B, H, T, S)
    return detail::converted<T>(bias);
  }
};

}  // namespace plinth
