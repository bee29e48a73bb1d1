// SPDX-License-Identifier: MIT
// The multi-head attention module: of a sequence to itself or to a memory, with grouped key heads and rotary positions.
// B batch, T sequence, S memory sequence, C channels, H heads, G key heads, D head size.
#pragma once

#include <cstdint>
#include <vector>

#include <plinth/attention/attention.hpp>
#include <plinth/attention/cache.hpp>
#include <plinth/attention/probe.hpp>
#include <plinth/layers/linear.hpp>
#include <plinth/position/rope.hpp>

namespace plinth {

/// Sizes and kinds of MultiHeadAttention.
struct AttentionConfig {
  std::int64_t channels = 0,   ///< C
      heads = 0;               ///< H
  std::int64_t key_heads = 0;  ///< G; 0: as heads
  std::int64_t head_size = 0;  ///< D; 0: channels / heads
  bool bias = true;            ///< whether the four linear layers have one
  double scale = 0;            ///< of the scores; 0: 1 / sqrt(head_size)
  double dropout = 0;          ///< of the probabilities
};

/// What self-attention is told of the tokens besides their channels: where they stand, and what came before them.
template <class T, class D = Cpu>
struct SequenceContext {
  Tensor<std::int32_t, D> positions = {};     ///< (B, T), read where there is a table
  const RotaryTable<T, D>* rotary = nullptr;  ///< by which queries and keys turn
  KeyValueCache<T, D>* cache = nullptr;       ///< of the tokens before, to which these are appended
  std::int64_t layer = 0;                     ///< of the cache
  Probe<T, D>* probe = nullptr;               ///< that is told what the tokens attend to
};

/// output(concat of attention(query(x), key(m), value(m)) of each head), m being x itself or a memory.
/// Vaswani et al. 2017, section 3.2.2; key_heads < heads: Ainslie et al. 2023. PyTorch: MultiheadAttention.
template <class T, class D = Cpu>
struct MultiHeadAttention {
  std::int64_t heads = 0,  ///< H
      key_heads = 0;       ///< G
  double scale = 0;        ///< of the scores; 0: 1 / sqrt(D)
  Linear<T, D> query,      ///< (C -> H D)
      key,                 ///< (C -> G D)
      value,               ///< (C -> G D)
      output;              ///< (H D -> C)
  Dropout dropout;         ///< of the probabilities

  MultiHeadAttention() = default;
  /// Throws ArgumentError when heads does not divide the channels and no head size is given, or key_heads not the
  /// heads.
  explicit MultiHeadAttention(const AttentionConfig& config)
      : heads(config.heads),
        key_heads(config.key_heads ? config.key_heads : config.heads),
        scale(config.scale),
        dropout{config.dropout} {
    const std::int64_t C = config.channels;
    detail::require<ArgumentError>(heads > 0 && (config.head_size > 0 || C % heads == 0), "attention: ", C,
                                   " channels cannot be split into ", heads, " heads");
    detail::require<ArgumentError>(key_heads > 0 && heads % key_heads == 0, "attention: ", heads,
                                   " heads cannot share ", key_heads, " key heads");
    const std::int64_t head_size = config.head_size ? config.head_size : C / heads;
    query = Linear<T, D>(C, heads * head_size, config.bias);
    key = Linear<T, D>(C, key_heads * head_size, config.bias);
    value = Linear<T, D>(C, key_heads * head_size, config.bias);
    output = Linear<T, D>(heads * head_size, C, config.bias);
  }

  /// Self-attention: x (B, T, C) -> (B, T, C). With a cache the keys are those of each row's tokens so far, and a mask
  /// without rows gets the cache's.
  Tensor<T, D> operator()(const Tensor<T, D>& x, AttentionMask<T, D> mask,
                          const SequenceContext<T, D>& context = {}) const {
    auto q = split_heads(query(x), heads);  // (B, H, T, D)
    auto own = keys_and_values(x);          // (B, G, T, D)
    if (context.rotary) {
      q = rope(q, context.positions, *context.rotary);
      own.keys = rope(own.keys, context.positions, *context.rotary);
    }
    if (context.cache) {
      own = context.cache->append(context.layer, own);  // (B, G, S, D)
      if (!mask.rows.defined()) mask.rows = context.cache->mask_rows(x.size(1));
    }
    return attend(q, own, mask, context.probe ? &context.probe->attention : nullptr);  // (B, T, C)
  }

  /// Cross-attention: x (B, T, C) asks a memory, of which keys_and_values were taken -> (B, T, C). A probe is told
  /// where each head looks.
  Tensor<T, D> operator()(const Tensor<T, D>& x, const KeyValues<T, D>& memory, const AttentionMask<T, D>& mask = {},
                          Probe<T, D>* probe = nullptr) const {
    return attend(split_heads(query(x), heads), memory, mask, probe ? &probe->cross_attention : nullptr);
  }

  /// What a sequence x (B, S, C) offers to those who attend to it; of a memory they are taken once for all queries.
  KeyValues<T, D> keys_and_values(const Tensor<T, D>& x) const {
    return {split_heads(key(x), key_heads), split_heads(value(x), key_heads)};
  }

  static void visit(auto& self, auto&& f) {
    f("query", self.query);
    f("key", self.key);
    f("value", self.value);
    f("output", self.output);
    f("dropout", self.dropout);
  }

 private:
  Tensor<T, D> attend(const Tensor<T, D>& q, const KeyValues<T, D>& memory, const AttentionMask<T, D>& mask,
                      std::vector<Tensor<accumulator_t<T>, D>>* probed) const {
    if (probed) {
      const NoGradient no_gradient;
      probed->push_back(attention_probabilities(q, memory.keys, mask, scale));  // (B, H, T, S)
    }
    return output(merge_heads(plinth::attention(q, memory.keys, memory.values, mask, scale, dropout)));  // (B, T, C)
  }
};

}  // namespace plinth
