// SPDX-License-Identifier: MIT
// The multi-head self-attention module, with grouped key heads and rotary positions.
// B batch, T sequence, C channels, H heads, G key heads, D head size.
#pragma once

#include <cstdint>

#include <plinth/attention/attention.hpp>
#include <plinth/layers/linear.hpp>
#include <plinth/position/rope.hpp>

namespace plinth {

/// Self-attention. Vaswani et al. 2017, section 3.2.2; key_heads < heads: Ainslie et al. 2023.
template <class T, class D = Cpu>
struct MultiHeadAttention {
  std::int64_t heads = 0, key_heads = 0;
  Linear<T, D> query, key, value, output;

  MultiHeadAttention() = default;
  /// Throws ArgumentError when heads does not divide the channels or key_heads not the heads.
  MultiHeadAttention(std::int64_t channels, std::int64_t query_heads, std::int64_t shared_heads, bool bias)
      : heads(query_heads), key_heads(shared_heads) {
    detail::require<ArgumentError>(heads > 0 && channels % heads == 0, "attention: ", channels,
                                   " channels cannot be split into ", heads, " heads");
    detail::require<ArgumentError>(key_heads > 0 && heads % key_heads == 0, "attention: ", heads,
                                   " heads cannot share ", key_heads, " key heads");
    const std::int64_t key_channels = channels / heads * key_heads;
    query = Linear<T, D>(channels, channels, bias);
    key = Linear<T, D>(channels, key_channels, bias);
    value = Linear<T, D>(channels, key_channels, bias);
    output = Linear<T, D>(channels, channels, bias);
  }

  /// x (B, T, C) -> (B, T, C). With a table, queries and keys turn by their positions (B, T).
  Tensor<T, D> operator()(const Tensor<T, D>& x, AttentionMask mask, const Tensor<std::int32_t, D>& positions = {},
                          const RotaryTable<T, D>* table = nullptr) const {
    auto q = split_heads(query(x), heads);            // (B, H, T, D)
    auto k = split_heads(key(x), key_heads);          // (B, G, T, D)
    const auto v = split_heads(value(x), key_heads);  // (B, G, T, D)
    if (table) {
      q = rope(q, positions, *table);
      k = rope(k, positions, *table);
    }
    return output(merge_heads(attention(q, k, v, mask)));  // (B, T, C)
  }

  static void visit(auto& self, auto&& f) {
    f("query", self.query);
    f("key", self.key);
    f("value", self.value);
    f("output", self.output);
  }
};

}  // namespace plinth
