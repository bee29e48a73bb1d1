// SPDX-License-Identifier: MIT
// Attention masks: which keys a query sees, and what is added to its scores.
// B batch, H heads, T queries, S keys.
#pragma once

#include <cstdint>
#include <vector>

#include <plinth/ops/create.hpp>

namespace plinth {

/// Which keys each query sees. Everything by default; the parts are combined, and a query that sees no key yields
/// zeros.
///   attention(q, k, v, {.causal = true})                                      a language model
///   attention(q, k, v, {.rows = right_padding(lengths)})                      an encoder over padded sequences
///   attention(q, k, v, {.causal = true, .window = 4096})                      Mistral; Beltagy et al. 2020,
///   section 3.1
template <class T, class D = Cpu>
struct AttentionMask {
  /// Query i stands at key place + i and sees no later one.
  bool causal = false;
  /// Of the keys that a causal query sees, the last `window`, itself among them; 0: all.
  std::int64_t window = 0;
  /// (B, 3): of each batch row the place of its first query, the first key it may see, and the key behind the last.
  /// Undefined: S - T, 0 and S, so that the last query stands at the last key.
  Tensor<std::int32_t, D> rows = {};
  /// Added to the scores: broadcasts to (B, H, T, S), -inf hides a key, may need a gradient. Attention then keeps the
  /// (T, S) matrix in memory.
  Tensor<T, D> bias = {};
};

/// AttentionMask::rows of sequences with so many tokens, followed by padding.
template <class D = Cpu>
Tensor<std::int32_t, D> right_padding(const std::vector<std::int64_t>& lengths) {
  std::vector<std::int32_t> rows;
  for (const std::int64_t length : lengths) rows.insert(rows.end(), {0, 0, static_cast<std::int32_t>(length)});
  return Tensor<std::int32_t, D>({static_cast<std::int64_t>(lengths.size()), 3}, rows);
}

/// AttentionMask::rows of sequences with so many tokens, preceded by padding up to `time` of them.
template <class D = Cpu>
Tensor<std::int32_t, D> left_padding(const std::vector<std::int64_t>& lengths, std::int64_t time) {
  std::vector<std::int32_t> rows;
  for (const std::int64_t length : lengths)
    rows.insert(rows.end(), {0, static_cast<std::int32_t>(time - length), static_cast<std::int32_t>(time)});
  return Tensor<std::int32_t, D>({static_cast<std::int64_t>(lengths.size()), 3}, rows);
}

namespace detail {

/// Throws ShapeError or ArgumentError when the mask does not fit attention scores (B, H, T, S).
template <class T, class D>
void check(const AttentionMask<T, D>& mask, const Shape& scores) {
  require<ArgumentError>(mask.window >= 0 && (mask.causal || mask.window == 0), "attention: window ", mask.window,
                         " must not be negative and needs a causal mask");
  require<ShapeError>(!mask.rows.defined() || mask.rows.shape() == Shape({scores[0], 3}), "attention: mask rows ",
                      mask.rows.shape(), " are not (B, 3) with B ", scores[0]);
  require<ShapeError>(!mask.bias.defined() || broadcast_shapes("attention bias", mask.bias.shape(), scores) == scores,
                      "attention: bias ", mask.bias.shape(), " does not broadcast to scores ", scores);
}

/// 0 where a query sees a key, else -inf: (B, 1, T, S), or (1, 1, T, S) without rows.
template <class A, class T, class D>
Tensor<A, D> hidden_keys(const AttentionMask<T, D>& mask, const Shape& scores) {
  const std::int64_t B = mask.rows.defined() ? scores[0] : 1;
  Tensor<A, D> hidden({B, 1, scores[2], scores[3]});
  const AttentionShape shape{
      .batch = B, .queries = scores[2], .keys = scores[3], .causal = mask.causal, .window = mask.window};
  const auto rows = dense(mask.rows);
  kernels<D>::attention_mask(queue<D>::current(), shape, rows.data(), hidden.mutable_data());
  return hidden;
}

}  // namespace detail
}  // namespace plinth
