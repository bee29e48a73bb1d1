// SPDX-License-Identifier: MIT
// What relative positions share: a number for every pair of a query's and a key's position.
// B batch, T queries, S keys.
#pragma once

#include <cstdint>

#include <plinth/ops/cast.hpp>

namespace plinth::detail {

/// formula(query position, key position) for all pairs, on the device: queries (B, T), keys (B, S) -> (B, T, S), where
/// either may have one row for all. Positions below 2^24 are exact. Throws ShapeError naming both shapes.
template <class A, class F, class D>
Tensor<A, D> over_pairs(const char* name, const F& formula, const Tensor<std::int32_t, D>& query_positions,
                        const Tensor<std::int32_t, D>& key_positions) {
  const Shape& q = query_positions.shape();
  const Shape& k = key_positions.shape();
  require<ShapeError>(q.rank() == 2 && k.rank() == 2 && (q[0] == k[0] || q[0] == 1 || k[0] == 1), name, ": query positions ", q,
                      " and key positions ", k, " are not (B, T) and (B, S)");
  const auto queries = converted<A>(query_positions), keys = converted<A>(key_positions);
  Tensor<A, D> y({q[0] == 1 ? k[0] : q[0], q[1], k[1]});
  kernels<D>::binary(queue<D>::current(), y.shape(), formula, {q[0] == 1 ? 0 : q[1], 1, 0}, queries.data(),
                     {k[0] == 1 ? 0 : k[1], 0, 1}, keys.data(), y.mutable_data());
  return y;
}

}  // namespace plinth::detail
