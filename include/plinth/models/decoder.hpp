// SPDX-License-Identifier: MIT
// The decoder-only transformer: GPT-2 and Llama are two of its configurations.
// B batch, T sequence, C channels (hidden size), V vocabulary.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <plinth/attention/multi_head.hpp>
#include <plinth/autograd/checkpoint.hpp>
#include <plinth/layers/dropout.hpp>
#include <plinth/layers/embedding.hpp>
#include <plinth/layers/norm.hpp>
#include <plinth/models/decoder_config.hpp>
#include <plinth/models/feed_forward.hpp>
#include <plinth/position/alibi.hpp>
#include <plinth/position/sinusoidal.hpp>

namespace plinth {

/// A pre-norm block: x + attention(norm(x)), then x + feed_forward(norm(x)).
template <class T, class D = Cpu>
struct DecoderBlock {
  Norm<T, D> attention_norm;
  MultiHeadAttention<T, D> attention;
  Dropout attention_dropout;
  Norm<T, D> feed_forward_norm;
  FeedForward<T, D> feed_forward;
  Dropout feed_forward_dropout;

  explicit DecoderBlock(const DecoderConfig& config)
      : attention_norm(config.norm, config.hidden, config.bias, config.norm_epsilon),
        attention({.channels = config.hidden, .heads = config.heads, .key_heads = config.key_heads,
                   .bias = config.bias, .dropout = config.attention_dropout}),
        attention_dropout{config.dropout},
        feed_forward_norm(config.norm, config.hidden, config.bias, config.norm_epsilon),
        feed_forward(config.hidden, config.feed_forward, config.activation, config.gated, config.bias),
        feed_forward_dropout{config.dropout} {}

  /// x (B, T, C) -> (B, T, C)
  Tensor<T, D> operator()(const Tensor<T, D>& x, const AttentionMask<T, D>& mask,
                          const SequenceContext<T, D>& context) const {
    const auto h = x + attention_dropout(attention(attention_norm(x), mask, context));
    return h + feed_forward_dropout(feed_forward(feed_forward_norm(h)));
  }

  static void visit(auto& self, auto&& f) {
    f("attention_norm", self.attention_norm);
    f("attention", self.attention);
    f("attention_dropout", self.attention_dropout);
    f("feed_forward_norm", self.feed_forward_norm);
    f("feed_forward", self.feed_forward);
    f("feed_forward_dropout", self.feed_forward_dropout);
  }
};

/// A decoder-only language model. A tied head is an absent head: logits are then products with the token embedding.
template <class T, class D = Cpu>
struct Decoder {
  using element = T;
  using device = D;

  DecoderConfig config;
  Embedding<T, D> token_embedding;                    // (V, C)
  std::optional<Embedding<T, D>> position_embedding;  // (context, C), present for learned positions
  Dropout embedding_dropout;
  std::vector<DecoderBlock<T, D>> blocks;
  Norm<T, D> final_norm;
  std::optional<Linear<T, D>> head;  // (V, C), absent when tied
  SinusoidalTable<T, D> sinusoidal;  // of the kinds of positions that need one
  RotaryTable<T, D> rotary;
  std::int64_t blocks_per_checkpoint = 0;  // in training; 0: no gradient checkpoints, see checkpoint_sequence

  /// Initialises as GPT-2 does: weights N(0, 0.02), the projections that end a residual branch smaller by
  /// sqrt(2 layers), biases 0. Throws ArgumentError for sizes that do not fit.
  explicit Decoder(const DecoderConfig& wanted)
      : config(detail::completed(wanted)),
        token_embedding(config.vocabulary, config.hidden),
        embedding_dropout{config.dropout},
        final_norm(config.norm, config.hidden, config.bias, config.norm_epsilon) {
    if (config.position == PositionKind::learned) position_embedding.emplace(config.context, config.hidden);
    if (config.position == PositionKind::sinusoidal) sinusoidal = {config.context, config.hidden};
    if (config.position == PositionKind::rotary)
      rotary = {config.context, config.hidden / config.heads, config.rope_theta, config.rope_layout, config.rope_scaling};
    for (std::int64_t i = 0; i < config.layers; ++i) blocks.emplace_back(config);
    if (!config.tied_head) head.emplace(config.hidden, config.vocabulary, false);
    name_dropout_sites(*this);
    initialise();
  }

  /// tokens (B, T) -> logits (B, T, V). Positions (B, T) count from 0 unless given, with a cache from what each row of
  /// it holds; the tokens are appended to the cache, whose rows may then attend to them. A probe is told of every layer.
  /// Throws ShapeError, and ArgumentError for a token outside the vocabulary or a position outside the context.
  Tensor<T, D> operator()(const Tensor<std::int32_t, D>& tokens, const Tensor<std::int32_t, D>& positions = {},
                          KeyValueCache<T, D>* cache = nullptr, Probe<T, D>* probe = nullptr) const {
    return logits(hidden_states(tokens, positions, cache, probe));
  }

  /// The same up to the final norm: (B, T, C).
  Tensor<T, D> hidden_states(const Tensor<std::int32_t, D>& tokens, Tensor<std::int32_t, D> positions = {},
                             KeyValueCache<T, D>* cache = nullptr, Probe<T, D>* probe = nullptr) const {
    detail::require<ShapeError>(tokens.rank() == 2, "decoder: tokens ", tokens.shape(), " are not (B, T)");
    if (!positions.defined()) positions = counted_positions(tokens.size(0), tokens.size(1), cache);
    detail::require<ShapeError>(positions.shape() == tokens.shape(), "decoder: tokens ", tokens.shape(),
                                " and positions ", positions.shape(), " differ in shape");
    auto x = embedding_dropout(embedded(tokens, positions));  // (B, T, C)
    AttentionMask<T, D> mask{.causal = true};
    if (config.position == PositionKind::alibi)
      mask.bias = alibi_bias<T>(positions, cache ? cache->key_positions(tokens.size(1)) : positions, config.heads);
    const auto step = [mask, positions, cache, probe, table = rotary, turned = config.position == PositionKind::rotary](
                          const auto& block, std::int64_t layer, const auto& h) {
      if (probe) probe->hidden_states.push_back(detach(h));
      return block(h, mask, {positions, turned ? &table : nullptr, cache, layer, probe});  // (B, T, C)
    };
    const bool once = cache || probe;  // a replay would append and tell once more
    x = final_norm(checkpoint_sequence(blocks, once ? 0 : blocks_per_checkpoint, x, step));
    if (probe) probe->hidden_states.push_back(detach(x));
    if (cache) cache->advance(tokens.size(1));
    return x;
  }

  /// What follows the tokens of which these are the hidden states: (..., C) -> (..., V).
  Tensor<T, D> logits(const Tensor<T, D>& hidden) const {
    return head ? (*head)(hidden) : linear(hidden, token_embedding.weight);
  }

  static void visit(auto& self, auto&& f) {
    f("token_embedding", self.token_embedding);
    f("position_embedding", self.position_embedding);
    f("embedding_dropout", self.embedding_dropout);
    f("blocks", self.blocks);
    f("final_norm", self.final_norm);
    f("head", self.head);
  }

 private:
  Tensor<T, D> embedded(const Tensor<std::int32_t, D>& tokens, const Tensor<std::int32_t, D>& positions) const {
    const auto x = token_embedding(tokens);
    if (position_embedding) return x + (*position_embedding)(positions);
    if (config.position != PositionKind::sinusoidal) return x;
    return x * std::sqrt(static_cast<double>(config.hidden)) + sinusoidal(positions);
  }

  Tensor<std::int32_t, D> counted_positions(std::int64_t B, std::int64_t time, const KeyValueCache<T, D>* cache) const {
    const std::int64_t before = cache ? cache->longest() : 0;
    detail::require<ArgumentError>(before + time <= config.context, "decoder: a sequence of ", before + time,
                                   " tokens is longer than the context of ", config.context);
    return cache ? cache->next_positions(time) : KeyValueCache<T, D>(B, time).next_positions(time);
  }

  void initialise() {
    const double deviation = 0.02, residual = deviation / std::sqrt(2.0 * static_cast<double>(config.layers));
    for_each_parameter(*this, [&](const std::string& name, auto& parameter) {
      if (parameter.rank() < 2) return;
      const std::string_view view = name;
      const bool ends_branch = view.ends_with("attention.output.weight") || view.ends_with("feed_forward.down.weight");
      const RandomStream stream{config.seed, RandomPurpose::initialise, random_site(name)};
      parameter = random_normal<T, D>(parameter.shape(), ends_branch ? residual : deviation, stream);
      require_gradient(parameter);
    });
  }
};

}  // namespace plinth
