// SPDX-License-Identifier: MIT
// What a transformer looks like: sizes and kinds, as plain data, and the shapes of well-known families.
#pragma once

#include <cmath>
#include <cstdint>

#include <plinth/layers/norm.hpp>
#include <plinth/models/feed_forward.hpp>
#include <plinth/position/relative_bias.hpp>
#include <plinth/position/rope.hpp>

namespace plinth {

/// How a model knows where its tokens stand. The last three have no table: a trained model reads further when its
/// config.context is raised.
enum class PositionKind {
  learned,     ///< a learned vector for each position is added to the token embedding
  sinusoidal,  ///< a sinusoidal one is, the token embedding being multiplied by sqrt(hidden)
  rotary,      ///< queries and keys turn
  alibi,       ///< attention scores fall with distance
  relative,    ///< attention scores have a learned number for each range of distances, T5's
  none         ///< by causality alone
};

/// Where a residual branch is normalised. Xiong et al. 2020 (arXiv:2002.04745) compares them.
enum class NormPlacement {
  pre,  ///< at its beginning: x + f(norm(x)), with a norm behind the last block
  post  ///< behind the sum: norm(x + f(x))
};

/// Sizes and kinds of a Decoder, Encoder or EncoderDecoder. The defaults are GPT-2's shape; key_heads, head_size and
/// feed_forward follow from the others when left at 0.
struct TransformerConfig {
  std::int64_t vocabulary = 0,      ///< V, tokens there are
      context = 0,                  ///< the most tokens of a sequence
      hidden = 0,                   ///< C, channels of a token
      layers = 0,                   ///< blocks of each stack
      heads = 0;                    ///< H, attention heads of a block
  std::int64_t key_heads = 0;       ///< G, heads of keys and values, a divisor of heads; 0: as heads
  std::int64_t head_size = 0;       ///< D, channels of a head; 0: hidden / heads
  std::int64_t feed_forward = 0;    ///< F, channels within the feed-forward part; 0: 4 hidden
  std::int64_t segments = 0;        ///< kinds of tokens that have a vector each, as BERT's two sentences; 0: none
  NormKind norm = NormKind::layer;  ///< of all norms
  NormPlacement norm_placement = NormPlacement::pre;      ///< in all branches
  double norm_epsilon = 1e-5;                             ///< added to the variance, or to the mean square
  bool embedding_norm = false;                            ///< a norm behind the embeddings
  ActivationKind activation = ActivationKind::gelu_tanh;  ///< of the feed-forward part
  bool gated = false;                                     ///< whether it is a gated linear unit
  PositionKind position = PositionKind::learned;          ///< how tokens know their places
  double rope_theta = 10000;                              ///< the base of rotary frequencies
  RotaryLayout rope_layout = RotaryLayout::half_split;    ///< which channels turn together
  RopeScaling rope_scaling = {};                          ///< dynamic_ntk: always as for `context` positions
  std::int64_t relative_buckets = 32,                     ///< ranges of distances, T5's
      relative_distance = 128;                            ///< the last of them holds all from here on
  std::int64_t window = 0;          ///< keys that a query of a decoder sees, itself among them; 0: all
  double attention_scale = 0;       ///< of attention scores; 0: 1 / sqrt(head_size)
  double logit_scale = 1;           ///< of what the head reads
  bool bias = true;                 ///< whether linear layers and layer norms have one
  bool tied_head = true;            ///< whether logits are products with the token embedding
  double dropout = 0;               ///< of the embeddings and of what blocks add
  double attention_dropout = 0;     ///< of attention probabilities
  double initial_deviation = 0.02;  ///< of weights, BERT's initializer_range; narrow models may need 1 / sqrt(hidden)
  std::uint64_t seed = 1;           ///< of the first weights
};

/// The same sizes in Llama's shape: RMS norm, SiLU gates, rotary positions, no biases, a head of its own.
/// Touvron et al. 2023 (arXiv:2302.13971), section 2.2.
inline TransformerConfig llama_shape(TransformerConfig config) {
  config.norm = NormKind::rms;
  config.activation = ActivationKind::silu;
  config.gated = true;
  config.position = PositionKind::rotary;
  config.bias = false;
  config.tied_head = false;
  return config;
}

/// The same sizes in BERT's shape: norms behind each branch and the embeddings, exact GELU, two segments.
/// Devlin et al. 2019 (arXiv:1810.04805), section 3.
inline TransformerConfig bert_shape(TransformerConfig config) {
  config.norm_placement = NormPlacement::post;
  config.norm_epsilon = 1e-12;
  config.embedding_norm = true;
  config.activation = ActivationKind::gelu;
  config.segments = 2;
  return config;
}

/// The same sizes in T5's first shape: RMS norm, ReLU, relative positions, no biases, unscaled scores, and a tied head
/// that reads hidden states over sqrt(C).  Raffel et al. 2020 (arXiv:1910.10683), section 2.1.
inline TransformerConfig t5_shape(TransformerConfig config) {
  config.norm = NormKind::rms;
  config.norm_epsilon = 1e-6;
  config.activation = ActivationKind::relu;
  config.position = PositionKind::relative;
  config.attention_scale = 1;
  config.logit_scale = 1 / std::sqrt(static_cast<double>(config.hidden));
  config.bias = false;
  return config;
}

/// The same sizes in the shape of the original Transformer: norms behind each branch, ReLU, sinusoidal positions.
/// Vaswani et al. 2017, section 3.
inline TransformerConfig original_shape(TransformerConfig config) {
  config.norm_placement = NormPlacement::post;
  config.activation = ActivationKind::relu;
  config.position = PositionKind::sinusoidal;
  return config;
}

namespace detail {

/// The config with every size filled in. Throws ArgumentError naming the field that does not fit.
inline TransformerConfig completed(TransformerConfig config) {
  const auto check = [](const char* field, std::int64_t value) {  // products of two sizes must not overflow
    require<ArgumentError>(value > 0 && value < std::int64_t{1} << 31, "config: ", field, " is ", value,
                           ", must be positive and below 2^31");
  };
  check("vocabulary", config.vocabulary);
  check("context", config.context);
  check("hidden", config.hidden);
  check("layers", config.layers);
  check("heads", config.heads);
  if (config.key_heads == 0) config.key_heads = config.heads;
  if (config.feed_forward == 0) config.feed_forward = 4 * config.hidden;
  require<ArgumentError>(config.head_size != 0 || config.hidden % config.heads == 0, "config: hidden ", config.hidden,
                         " is not a multiple of heads ", config.heads);
  if (config.head_size == 0) config.head_size = config.hidden / config.heads;
  check("key_heads", config.key_heads);
  check("head_size", config.head_size);
  check("feed_forward", config.feed_forward);
  require<ArgumentError>(config.heads % config.key_heads == 0, "config: heads ", config.heads,
                         " is not a multiple of key_heads ", config.key_heads);
  if (config.position == PositionKind::rotary) {
    require<ArgumentError>(config.head_size % 2 == 0, "config: rotary positions need an even head size, not ",
                           config.head_size);
    require<ArgumentError>(config.rope_theta > 0, "config: rope_theta ", config.rope_theta, " is not positive");
    check_rope_scaling(config.rope_scaling);
  }
  require<ArgumentError>(config.segments >= 0, "config: segments ", config.segments, " is negative");
  require<ArgumentError>(config.window >= 0, "config: window ", config.window, " is negative");
  require<ArgumentError>(config.norm_epsilon >= 0, "config: norm_epsilon ", config.norm_epsilon, " is negative");
  require<ArgumentError>(config.initial_deviation > 0 && std::isfinite(config.initial_deviation),
                         "config: initial_deviation ", config.initial_deviation, " is not positive and finite");
  const auto probability = [](const char* field, double value) {
    require<ArgumentError>(value >= 0 && value < 1, "config: ", field, " ", value, " is outside [0, 1)");
  };
  probability("dropout", config.dropout);
  probability("attention_dropout", config.attention_dropout);
  return config;
}

}  // namespace detail
}  // namespace plinth
