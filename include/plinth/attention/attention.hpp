// SPDX-License-Identifier: MIT
// Scaled dot-product attention: the op, tiled where the backend can, else composed of products and a softmax.
// B batch, H heads, G key heads, T queries, S keys, D head size.
#pragma once

#include <cmath>
#include <limits>
#include <tuple>
#include <vector>

#include <plinth/ops/arithmetic.hpp>
#include <plinth/ops/heads.hpp>
#include <plinth/ops/matmul.hpp>
#include <plinth/ops/softmax.hpp>

namespace plinth {

enum class AttentionMask { none, causal };

/// Attention without the (T, S) matrix in memory; backward recomputes it from the log-sum-exp of each row.
template <class T, class D>
  requires FusedAttention<kernels<D>, D, T>
struct AttentionOp {
  using A = accumulator_t<T>;
  static constexpr const char* name = "attention";
  AttentionMask mask = AttentionMask::none;
  Saved<T, D> query, key, value, output;
  Tensor<A, D> log_sum_exp;

  Tensor<T, D> forward(const Tensor<T, D>& q, const Tensor<T, D>& k, const Tensor<T, D>& v) {
    const auto dense_q = detail::with_dense_heads(q), dense_k = detail::with_dense_heads(k),
               dense_v = detail::with_dense_heads(v);
    auto y = detail::heads_like(dense_q);
    log_sum_exp = Tensor<A, D>({q.size(0), q.size(1), q.size(2)});
    kernels<D>::attention(queue<D>::current(), shape(dense_q, dense_k, dense_v, y), dense_q.data(), dense_k.data(),
                          dense_v.data(), y.mutable_data(), log_sum_exp.mutable_data());
    query = dense_q;
    key = dense_k;
    value = dense_v;
    output = y;
    return y;
  }

  std::tuple<Tensor<T, D>, Tensor<T, D>, Tensor<T, D>> backward(const Tensor<T, D>& dy) const {
    const auto &q = query.get(name), &k = key.get(name), &v = value.get(name), &y = output.get(name);
    auto given = dy;
    if (!(dy.strides() == y.strides())) {  // the kernel reads dy in the output's layout
      given = detail::heads_like(dy);
      kernels<D>::copy(queue<D>::current(), dy.shape(), dy.strides(), dy.data(), given.strides(), given.mutable_data());
    }
    auto dq = detail::same_heads(q), dk = detail::same_heads(k), dv = detail::same_heads(v);
    kernels<D>::attention_backward(queue<D>::current(), shape(q, k, v, y), q.data(), k.data(), v.data(), y.data(),
                                   log_sum_exp.data(), given.data(), dq.mutable_data(), dk.mutable_data(),
                                   dv.mutable_data());
    return {dq, dk, dv};
  }

 private:
  AttentionShape shape(const Tensor<T, D>& q, const Tensor<T, D>& k, const Tensor<T, D>& v,
                       const Tensor<T, D>& y) const {
    return {.batch = q.size(0), .heads = q.size(1), .key_heads = k.size(1), .queries = q.size(2), .keys = k.size(2),
            .head_size = q.size(3), .query = detail::head_layout(q), .key = detail::head_layout(k),
            .value = detail::head_layout(v), .output = detail::head_layout(y),
            .causal = mask == AttentionMask::causal,
            .scale = 1 / std::sqrt(static_cast<double>(q.size(3)))};
  }
};

namespace detail {

/// 0 where query i may see key j <= i + S - T, else -inf; (T, S).
template <class T, class D>
Tensor<T, D> causal_mask(std::int64_t queries, std::int64_t keys) {
  std::vector<T> mask(static_cast<std::size_t>(queries * keys), T(0));
  for (std::int64_t i = 0; i < queries; ++i)
    for (std::int64_t j = std::max<std::int64_t>(0, i + keys - queries + 1); j < keys; ++j)
      mask[static_cast<std::size_t>(i * keys + j)] = -std::numeric_limits<T>::infinity();
  return Tensor<T, D>({queries, keys}, mask);
}

template <class T, class D>
void check_attention(const Tensor<T, D>& q, const Tensor<T, D>& k, const Tensor<T, D>& v) {
  const bool fits = q.rank() == 4 && k.rank() == 4 && v.shape() == k.shape() && q.size(0) == k.size(0) &&
                    k.size(1) > 0 && q.size(1) % k.size(1) == 0 && q.size(3) == k.size(3);
  require<ShapeError>(fits, "attention: query ", q.shape(), ", key ", k.shape(), " and value ",
                      v.shape(), " do not fit");
}

}  // namespace detail

/// The definition of attention, step by step; keeps the (T, S) probabilities.
template <Real T, class D>
Tensor<T, D> composed_attention(const Tensor<T, D>& q, const Tensor<T, D>& k, const Tensor<T, D>& v,
                                AttentionMask mask = AttentionMask::none) {
  detail::check_attention(q, k, v);
  const std::int64_t B = q.size(0), H = q.size(1), G = k.size(1), Tq = q.size(2), S = k.size(2), Dh = q.size(3);
  const auto queries = reshape(q, {B, G, H / G, Tq, Dh});                                         // (B, G, H/G, T, D)
  const auto keys = reshape(k, {B, G, 1, S, Dh}), values = reshape(v, {B, G, 1, S, Dh});          // (B, G, 1, S, D)
  auto scores = matmul(queries, transpose(keys)) * (1 / std::sqrt(static_cast<double>(Dh)));      // (B, G, H/G, T, S)
  if (mask == AttentionMask::causal) scores = scores + detail::causal_mask<T, D>(Tq, S);
  return reshape(matmul(softmax(scores), values), {B, H, Tq, Dh});                                // (B, H, T, D)
}

/// softmax(q k^T / sqrt(D) + mask) v: q (B, H, T, D), k and v (B, G, S, D) with G dividing H, result as q. Causal: the
/// last query sees the last key, each earlier one a key less; a query without keys yields zeros.
/// Vaswani et al. 2017, eq. (1); grouped heads: Ainslie et al. 2023.  PyTorch: scaled_dot_product_attention.
/// Throws ShapeError naming all shapes.
template <Real T, class D>
Tensor<T, D> attention(const Tensor<T, D>& q, const Tensor<T, D>& k, const Tensor<T, D>& v,
                       AttentionMask mask = AttentionMask::none) {
  detail::check_attention(q, k, v);
  if constexpr (FusedAttention<kernels<D>, D, T>)
    return apply(AttentionOp<T, D>{mask, {}, {}, {}, {}, {}}, q, k, v);
  else
    return composed_attention(q, k, v, mask);
}

}  // namespace plinth
