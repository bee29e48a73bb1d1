// SPDX-License-Identifier: MIT
// Scaled dot-product attention: the op, tiled where the backend can, else composed of products and a softmax.
// B batch, H heads, G key heads, T queries, S keys, D head size.
#pragma once

#include <cmath>
#include <cstdint>
#include <tuple>

#include <plinth/attention/mask.hpp>
#include <plinth/layers/dropout.hpp>
#include <plinth/ops/arithmetic.hpp>
#include <plinth/ops/cast.hpp>
#include <plinth/ops/heads.hpp>
#include <plinth/ops/matmul.hpp>
#include <plinth/ops/softmax.hpp>

namespace plinth {

namespace detail {

/// Of query, key and value, and of the output, whose channels lie side by side.
template <class T, class D>
AttentionShape attention_shape(const Tensor<T, D>& q, const Tensor<T, D>& k, const Tensor<T, D>& v,
                               const Tensor<T, D>& y, bool causal, std::int64_t window, double scale) {
  return {.batch = q.size(0), .heads = q.size(1), .key_heads = k.size(1), .queries = q.size(2), .keys = k.size(2),
          .head_size = q.size(3), .query = head_layout(q), .key = head_layout(k), .value = head_layout(v),
          .output = head_layout(y), .causal = causal, .window = window, .scale = scale};
}

/// By the backend's kernel, of heads with whole channels; log2_sum (B, H, T) may be null.
template <class T, class D>
Tensor<T, D> kernel_attention(const Tensor<T, D>& q, const Tensor<T, D>& k, const Tensor<T, D>& v,
                              const Tensor<std::int32_t, D>& rows, bool causal, std::int64_t window, double scale,
                              accumulator_t<T>* log2_sum) {
  auto y = heads_like(q);
  kernels<D>::attention(queue<D>::current(), attention_shape(q, k, v, y, causal, window, scale), rows.data(), q.data(),
                        k.data(), v.data(), y.mutable_data(), log2_sum);
  return y;
}

}  // namespace detail

/// Attention without the (T, S) matrix in memory; backward recomputes it from the log-sum-exp of each row.
template <class T, class D>
  requires FusedAttention<kernels<D>, D, T>
struct AttentionOp {
  /// What scores are summed in.
  using A = accumulator_t<T>;
  static constexpr const char* name = "attention";
  bool causal = false;          ///< as in AttentionMask
  std::int64_t window = 0;      ///< as in AttentionMask
  double scale = 1;             ///< of the scores, never 0
  Saved<std::int32_t, D> rows;  ///< (B, 3), or undefined: as in AttentionMask
  Saved<T, D> query,            ///< (B, H, T, D)
      key,                      ///< (B, G, S, D)
      value,                    ///< (B, G, S, D)
      output;                   ///< (B, H, T, D)
  Tensor<A, D> log2_sum;        ///< (B, H, T), of each query's sum of exp(score)

  /// q (B, H, T, D), k and v (B, G, S, D) -> (B, H, T, D)
  Tensor<T, D> forward(const Tensor<T, D>& q, const Tensor<T, D>& k, const Tensor<T, D>& v) {
    const auto whole_q = detail::with_whole_channels(q), whole_k = detail::with_whole_channels(k),
               whole_v = detail::with_whole_channels(v);
    log2_sum = Tensor<A, D>({q.size(0), q.size(1), q.size(2)});
    const auto y = detail::kernel_attention(whole_q, whole_k, whole_v, rows.get(name), causal, window, scale,
                                            log2_sum.mutable_data());
    query = whole_q;
    key = whole_k;
    value = whole_v;
    output = y;
    return y;
  }

  /// {dq, dk, dv}: with P = softmax(scale q k^T), dP = dy v^T and dS = P (dP - sum_j dy_j y_j), dv = P^T dy,
  /// dq = scale dS k, dk = scale dS^T q.  Dao et al. 2022 (arXiv:2205.14135), appendix B.2.
  std::tuple<Tensor<T, D>, Tensor<T, D>, Tensor<T, D>> backward(const Tensor<T, D>& dy) const {
    const auto q = detail::with_dense_heads(query.get(name)), k = detail::with_dense_heads(key.get(name)),
               v = detail::with_dense_heads(value.get(name));
    const auto& y = output.get(name);
    auto given = dy;
    if (!(dy.strides() == y.strides())) {  // the kernel reads dy in the output's layout
      given = detail::heads_like(dy);
      kernels<D>::copy(queue<D>::current(), dy.shape(), dy.strides(), dy.data(), given.strides(), given.mutable_data());
    }
    auto dq = detail::same_heads(q), dk = detail::same_heads(k), dv = detail::same_heads(v);
    const auto shape = detail::attention_shape(q, k, v, y, causal, window, scale);
    kernels<D>::attention_backward(queue<D>::current(), shape, rows.get(name).data(), q.data(), k.data(), v.data(),
                                   y.data(), log2_sum.data(), given.data(), dq.mutable_data(), dk.mutable_data(),
                                   dv.mutable_data());
    return {dq, dk, dv};
  }
};

namespace detail {

template <class T, class D>
void check_attention(const Tensor<T, D>& q, const Tensor<T, D>& k, const Tensor<T, D>& v,
                     const AttentionMask<T, D>& mask) {
  const bool fits = q.rank() == 4 && k.rank() == 4 && v.shape() == k.shape() && q.size(0) == k.size(0) &&
                    k.size(1) > 0 && q.size(1) % k.size(1) == 0 && q.size(3) == k.size(3);
  require<ShapeError>(fits, "attention: query ", q.shape(), ", key ", k.shape(), " and value ",
                      v.shape(), " do not fit");
  check(mask, {q.size(0), q.size(1), q.size(2), k.size(2)});
}

/// The factor of the scores: 1 / sqrt(D) unless another one is given.
inline double attention_scale(double scale, std::int64_t head_size) {
  return scale != 0 ? scale : 1 / std::sqrt(static_cast<double>(head_size));
}

}  // namespace detail

/// What each query attends to, softmax(scale q k^T + mask): q (B, H, T, D), k (B, G, S, D) -> (B, H, T, S), in float or
/// wider; zeros where a query sees no key. Scale 0 stands for 1 / sqrt(D). Throws as attention does.
template <Real T, class D>
Tensor<accumulator_t<T>, D> attention_probabilities(const Tensor<T, D>& q, const Tensor<T, D>& k,
                                                    const AttentionMask<T, D>& mask = {}, double scale = 0) {
  detail::check_attention(q, k, k, mask);
  using A = accumulator_t<T>;
  const std::int64_t B = q.size(0), H = q.size(1), G = k.size(1), Tq = q.size(2), S = k.size(2), Dh = q.size(3);
  const auto scaled = cast<A>(q) * detail::attention_scale(scale, Dh);                          // (B, H, T, D)
  const auto queries = reshape(scaled, {B, G, H / G, Tq, Dh});                                  // (B, G, H/G, T, D)
  const auto keys = reshape(cast<A>(k), {B, G, 1, S, Dh});                                      // (B, G, 1, S, D)
  auto scores = reshape(matmul(queries, transpose(keys)), {B, H, Tq, S});                       // (B, H, T, S)
  if (mask.bias.defined()) scores = scores + cast<A>(mask.bias);
  if (mask.causal || mask.rows.defined()) scores = scores + detail::hidden_keys<A>(mask, scores.shape());
  return softmax(scores);
}

/// The definition of attention, step by step; keeps the (T, S) probabilities. 16-bit types are computed in float.
template <Real T, class D>
Tensor<T, D> composed_attention(const Tensor<T, D>& q, const Tensor<T, D>& k, const Tensor<T, D>& v,
                                const AttentionMask<T, D>& mask = {}, double scale = 0, const Dropout& dropout = {}) {
  detail::check_attention(q, k, v, mask);
  const std::int64_t B = q.size(0), H = q.size(1), G = k.size(1), Tq = q.size(2), S = k.size(2), Dh = q.size(3);
  const auto probabilities = dropout(attention_probabilities(q, k, mask, scale));               // (B, H, T, S)
  const auto values = reshape(cast<accumulator_t<T>>(v), {B, G, 1, S, Dh});                     // (B, G, 1, S, D)
  const auto y = matmul(reshape(probabilities, {B, G, H / G, Tq, S}), values);                  // (B, G, H/G, T, D)
  return cast<T>(reshape(y, {B, H, Tq, Dh}));                                                   // (B, H, T, D)
}

/// softmax(scale q k^T + mask) v: q (B, H, T, D), k and v (B, G, S, D) with G dividing H, result as q. A query that
/// sees no key yields zeros. Scale 0 stands for 1 / sqrt(D); dropout is of the probabilities. A bias, and dropout in
/// training, take the composed form.
/// Vaswani et al. 2017, eq. (1); grouped heads: Ainslie et al. 2023.  PyTorch: scaled_dot_product_attention.
/// Throws ShapeError naming all shapes, ArgumentError for a mask whose numbers do not fit.
template <Real T, class D>
Tensor<T, D> attention(const Tensor<T, D>& q, const Tensor<T, D>& k, const Tensor<T, D>& v,
                       const AttentionMask<T, D>& mask = {}, double scale = 0, const Dropout& dropout = {}) {
  detail::check_attention(q, k, v, mask);
  const bool dropped = dropout.probability != 0 && TrainingScope<D>::current();
  if constexpr (FusedAttention<kernels<D>, D, T>) {
    if (!mask.bias.defined() && !dropped)
      return apply(AttentionOp<T, D>{mask.causal, mask.window, detail::attention_scale(scale, q.size(3)),
                                     detail::dense(mask.rows), {}, {}, {}, {}, {}},
                   q, k, v);
  } else if constexpr (DecodeAttention<kernels<D>, D, T>) {
    const auto few = detail::attention_shape(q, k, v, q, mask.causal, mask.window,
                                             detail::attention_scale(scale, q.size(3)));
    if (!mask.bias.defined() && !dropped && kernels<D>::decodes(few) &&
        !(needs_gradient(q) || needs_gradient(k) || needs_gradient(v)))
      return detail::kernel_attention(detail::with_whole_channels(q), detail::with_whole_channels(k),
                                      detail::with_whole_channels(v), detail::dense(mask.rows), mask.causal,
                                      mask.window, few.scale, nullptr);
  }
  return composed_attention(q, k, v, mask, scale, dropout);
}

}  // namespace plinth
