// SPDX-License-Identifier: MIT
// T5's relative positions: a learned number for each head and bucket of distances, added to attention scores.
// B batch, H heads, T queries, S keys.
#pragma once

#include <cmath>
#include <cstdint>

#include <plinth/ops/gather.hpp>
#include <plinth/ops/shape.hpp>
#include <plinth/position/relative_pairs.hpp>
#include <plinth/tensor/scalar_math.hpp>

namespace plinth {

/// Which of `count` buckets a distance falls into: half of them hold one distance each, the others ranges that grow
/// logarithmically up to max_distance; the last holds everything beyond. Bidirectional: the upper half of all buckets
/// is for keys after the query; otherwise these share bucket 0. Raffel et al. 2020 (arXiv:1910.10683), section 2.1.
/// transformers: T5Attention._relative_position_bucket.
struct RelativeBuckets {
  std::int64_t count = 32,    ///< buckets for both sides together
      max_distance = 128;     ///< from which on all distances share the last bucket
  bool bidirectional = true;  ///< whether keys after the query have buckets of their own

  /// The bucket of a key as seen from a query, in [0, count).
  template <class T>
  PLINTH_HD T forward(T query_position, T key_position) const {
    const std::int64_t ahead = static_cast<std::int64_t>(key_position - query_position);
    const std::int64_t side = bidirectional ? count / 2 : count, exact = side / 2;
    const std::int64_t first = bidirectional && ahead > 0 ? side : 0;
    const std::int64_t distance = ahead < 0 ? -ahead : bidirectional ? ahead : 0;
    if (distance < exact) return static_cast<T>(first + distance);
    const double share = math::log(static_cast<double>(distance) / static_cast<double>(exact)) /
                           math::log(static_cast<double>(max_distance) / static_cast<double>(exact));
    const std::int64_t bucket = exact + static_cast<std::int64_t>(share * static_cast<double>(side - exact));
    return static_cast<T>(first + (bucket < side ? bucket : side - 1));
  }
};

/// The bias of all layers of one stack. Its weights are zero until they are initialised, loaded or set.
template <class T, class D = Cpu>
struct RelativeBias {
  RelativeBuckets buckets;  ///< of distances
  Tensor<T, D> weight;      ///< (buckets, H)

  RelativeBias() = default;
  /// Throws ArgumentError for buckets that hold no distance.
  RelativeBias(std::int64_t heads, const RelativeBuckets& wanted) : buckets(wanted) {
    const std::int64_t least = buckets.bidirectional ? 4 : 2;
    detail::require<ArgumentError>(heads > 0, "relative bias: ", heads, " heads; there must be at least 1");
    detail::require<ArgumentError>(buckets.count >= least && buckets.count % (least / 2) == 0,
                                   "relative bias: ", buckets.count, " buckets; there must be at least ", least,
                                   buckets.bidirectional ? ", an even number" : "");
    detail::require<ArgumentError>(buckets.max_distance > buckets.count / least, "relative bias: max_distance ",
                                   buckets.max_distance, " is not beyond the ", buckets.count / least,
                                   " distances that have a bucket each");
    weight = zeros<T, D>({buckets.count, heads});
    require_gradient(weight);
  }

  /// query_positions (B, T), key_positions (B, S) -> (B, H, T, S), where either may have one row for all.
  /// Throws ShapeError.
  Tensor<T, D> operator()(const Tensor<std::int32_t, D>& query_positions,
                          const Tensor<std::int32_t, D>& key_positions) const {
    const auto ids = detail::over_pairs<float>("relative bias", buckets, query_positions, key_positions);
    return permute(gather_rows(weight, detail::converted<std::int32_t>(ids)), {0, 3, 1, 2});  // (B, T, S, H) before
  }
  static void visit(auto& self, auto&& f) { f("weight", self.weight); }
};

}  // namespace plinth
