// SPDX-License-Identifier: MIT
// What a decoder looks like: sizes and kinds, as plain data.
#pragma once

#include <cstdint>

#include <plinth/layers/norm.hpp>
#include <plinth/models/feed_forward.hpp>
#include <plinth/position/rope.hpp>

namespace plinth {

/// How a model knows where its tokens stand: a learned or a sinusoidal vector for each position is added to the token
/// embedding (with the sinusoids that one is multiplied by sqrt(hidden)); queries and keys turn (RoPE); attention scores
/// fall with distance (ALiBi); or by causality alone. The last two have no table: a trained model reads further when its
/// config.context is raised.
enum class PositionKind { learned, sinusoidal, rotary, alibi, none };

/// Sizes and kinds of a Decoder. The defaults are GPT-2's shape; key_heads and feed_forward follow from the others
/// when left at 0.
struct DecoderConfig {
  std::int64_t vocabulary = 0, context = 0, hidden = 0, layers = 0, heads = 0;
  std::int64_t key_heads = 0;     // 0: as heads
  std::int64_t feed_forward = 0;  // 0: 4 hidden
  NormKind norm = NormKind::layer;
  double norm_epsilon = 1e-5;
  ActivationKind activation = ActivationKind::gelu_tanh;
  bool gated = false;
  PositionKind position = PositionKind::learned;
  double rope_theta = 10000;
  RotaryLayout rope_layout = RotaryLayout::half_split;
  RopeScaling rope_scaling = {};  // dynamic_ntk: always as for `context` positions
  bool bias = true;
  bool tied_head = true;
  double dropout = 0;            // of the embeddings and of what blocks add
  double attention_dropout = 0;  // of attention probabilities
  std::uint64_t seed = 1;
};

/// The same sizes in Llama's shape: RMS norm, SiLU gates, rotary positions, no biases, a head of its own.
/// Touvron et al. 2023 (arXiv:2302.13971), section 2.2.
inline DecoderConfig llama_shape(DecoderConfig config) {
  config.norm = NormKind::rms;
  config.activation = ActivationKind::silu;
  config.gated = true;
  config.position = PositionKind::rotary;
  config.bias = false;
  config.tied_head = false;
  return config;
}

namespace detail {

/// The config with every size filled in. Throws ArgumentError naming the field that does not fit.
inline DecoderConfig completed(DecoderConfig config) {
  const auto check = [](const char* field, std::int64_t value) {  // products of two sizes must not overflow
    require<ArgumentError>(value > 0 && value < std::int64_t{1} << 31, "decoder config: ", field, " is ", value,
                           ", must be positive and below 2^31");
  };
  check("vocabulary", config.vocabulary);
  check("context", config.context);
  check("hidden", config.hidden);
  check("layers", config.layers);
  check("heads", config.heads);
  if (config.key_heads == 0) config.key_heads = config.heads;
  if (config.feed_forward == 0) config.feed_forward = 4 * config.hidden;
  check("key_heads", config.key_heads);
  check("feed_forward", config.feed_forward);
  require<ArgumentError>(config.hidden % config.heads == 0, "decoder config: hidden ", config.hidden,
                         " is not a multiple of heads ", config.heads);
  require<ArgumentError>(config.heads % config.key_heads == 0, "decoder config: heads ", config.heads,
                         " is not a multiple of key_heads ", config.key_heads);
  if (config.position == PositionKind::rotary) {
    const std::int64_t head_size = config.hidden / config.heads;
    require<ArgumentError>(head_size % 2 == 0, "decoder config: rotary positions need an even head size, not ", head_size);
    require<ArgumentError>(config.rope_theta > 0, "decoder config: rope_theta ", config.rope_theta, " is not positive");
    check_rope_scaling(config.rope_scaling);
  }
  require<ArgumentError>(config.norm_epsilon >= 0, "decoder config: norm_epsilon ", config.norm_epsilon, " is negative");
  require<ArgumentError>(config.dropout >= 0 && config.dropout < 1, "decoder config: dropout ", config.dropout,
                         " is outside [0, 1)");
  require<ArgumentError>(config.attention_dropout >= 0 && config.attention_dropout < 1,
                         "decoder config: attention_dropout ", config.attention_dropout, " is outside [0, 1)");
  return config;
}

}  // namespace detail
}  // namespace plinth
