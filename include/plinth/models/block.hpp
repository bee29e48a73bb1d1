// SPDX-License-Identifier: MIT
// The transformer block of all three architectures: self-attention, cross-attention where there is a memory, and the
// feed-forward part, each in a residual branch.
// B batch, T sequence, S memory sequence, C channels.
#pragma once

#include <cstdint>
#include <optional>

#include <plinth/attention/multi_head.hpp>
#include <plinth/layers/dropout.hpp>
#include <plinth/layers/norm.hpp>
#include <plinth/models/config.hpp>

namespace plinth {

/// What a decoder's cross-attention looks at: the states of an encoder.
template <class T, class D = Cpu>
struct Memory {
  Tensor<T, D> states;            ///< (B, S, C)
  AttentionMask<T, D> mask = {};  ///< which of them are no padding
};

/// Residual branches one after the other: self-attention, cross-attention where there is a memory, feed-forward.
/// Vaswani et al. 2017, section 3.1, with the norms before or behind each branch.
template <class T, class D = Cpu>
struct TransformerBlock {
  /// Cross-attention with its norm and dropout.
  struct Cross {
    Norm<T, D> norm;                     ///< of x
    MultiHeadAttention<T, D> attention;  ///< of x to the memory
    Dropout dropout;                     ///< of what attention adds

    static void visit(auto& self, auto&& f) {
      f("norm", self.norm);
      f("attention", self.attention);
      f("dropout", self.dropout);
    }
  };

  NormPlacement norm_placement = NormPlacement::pre;  ///< of all branches
  Norm<T, D> attention_norm;                          ///< of the first branch
  MultiHeadAttention<T, D> attention;                 ///< of x to itself
  Dropout attention_dropout;                          ///< of what attention adds
  std::optional<Cross> cross;                         ///< where there is a memory
  Norm<T, D> feed_forward_norm;                       ///< of the last branch
  FeedForward<T, D> feed_forward;                     ///< of each token alone
  Dropout feed_forward_dropout;                       ///< of what it adds

  /// Of a completed config.
  TransformerBlock(const TransformerConfig& config, bool with_memory)
      : norm_placement(config.norm_placement),
        attention_norm(norm_of(config)),
        attention(attention_of(config)),
        attention_dropout{config.dropout},
        feed_forward_norm(norm_of(config)),
        feed_forward(config.hidden, config.feed_forward, config.activation, config.gated, config.bias),
        feed_forward_dropout{config.dropout} {
    if (with_memory) cross = Cross{norm_of(config), MultiHeadAttention<T, D>(attention_of(config)), {config.dropout}};
  }

  /// x (B, T, C) -> (B, T, C). The memory, where the block was made for one, is what cross-attention looks at.
  Tensor<T, D> operator()(Tensor<T, D> x, const AttentionMask<T, D>& mask, const SequenceContext<T, D>& context,
                          const Memory<T, D>* memory = nullptr) const {
    x = branch(x, attention_norm, attention_dropout, [&](const auto& h) { return attention(h, mask, context); });
    if (cross)
      x = branch(x, cross->norm, cross->dropout, [&](const auto& h) {
        return cross->attention(h, keys_and_values(*memory, context), memory->mask, context.probe);
      });
    return branch(x, feed_forward_norm, feed_forward_dropout, feed_forward);
  }

  static void visit(auto& self, auto&& f) {
    f("attention_norm", self.attention_norm);
    f("attention", self.attention);
    f("attention_dropout", self.attention_dropout);
    f("cross", self.cross);
    f("feed_forward_norm", self.feed_forward_norm);
    f("feed_forward", self.feed_forward);
    f("feed_forward_dropout", self.feed_forward_dropout);
  }

 private:
  static Norm<T, D> norm_of(const TransformerConfig& c) { return {c.norm, c.hidden, c.bias, c.norm_epsilon}; }
  static AttentionConfig attention_of(const TransformerConfig& c) {
    return {.channels = c.hidden,
            .heads = c.heads,
            .key_heads = c.key_heads,
            .head_size = c.head_size,
            .bias = c.bias,
            .scale = c.attention_scale,
            .dropout = c.attention_dropout};
  }

  template <class F>
  Tensor<T, D> branch(const Tensor<T, D>& x, const Norm<T, D>& norm, const Dropout& dropout, const F& f) const {
    return norm_placement == NormPlacement::pre ? x + dropout(f(norm(x))) : norm(x + dropout(f(x)));
  }

  /// Where there is a cache, taken from the memory with the first tokens, once for all that follow.
  KeyValues<T, D> keys_and_values(const Memory<T, D>& memory, const SequenceContext<T, D>& context) const {
    if (!context.cache) return cross->attention.keys_and_values(memory.states);
    auto& kept = context.cache->memory(context.layer);
    if (!kept.keys.defined() || context.cache->longest() == 0) kept = cross->attention.keys_and_values(memory.states);
    return kept;
  }
};

}  // namespace plinth
