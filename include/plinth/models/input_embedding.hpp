// SPDX-License-Identifier: MIT
// What a transformer's blocks start from: vectors of tokens, of their positions and of their segments.
// B batch, T sequence, C channels, V vocabulary.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>

#include <plinth/attention/cache.hpp>
#include <plinth/layers/dropout.hpp>
#include <plinth/layers/embedding.hpp>
#include <plinth/models/config.hpp>
#include <plinth/ops/create.hpp>
#include <plinth/position/sinusoidal.hpp>

namespace plinth {

/// token + position + segment, normalised where the config says so; beside sinusoids tokens are multiplied by sqrt(C).
/// Vaswani et al. 2017, section 3.4; segments: Devlin et al. 2019, section 3.2.
template <class T, class D = Cpu>
struct InputEmbedding {
  Embedding<T, D> token_embedding;                    ///< (V, C)
  std::optional<Embedding<T, D>> position_embedding;  ///< (context, C), present for learned positions
  std::optional<Embedding<T, D>> segment_embedding;   ///< (segments, C), present where there are any
  SinusoidalTable<T, D> sinusoidal;                   ///< (context, C), for sinusoidal positions
  std::optional<Norm<T, D>> embedding_norm;           ///< (C), of the sum
  Dropout embedding_dropout;                          ///< of what comes out
  Tensor<std::int32_t, D> places;                     ///< (context), 0, 1, 2 ...; no parameter

  /// Of a completed config.
  explicit InputEmbedding(const TransformerConfig& config)
      : token_embedding(config.vocabulary, config.hidden),
        embedding_dropout{config.dropout},
        places(detail::counted<D>(config.context)) {
    if (config.position == PositionKind::learned) position_embedding.emplace(config.context, config.hidden);
    if (config.position == PositionKind::sinusoidal) sinusoidal = {config.context, config.hidden};
    if (config.segments > 0) segment_embedding.emplace(config.segments, config.hidden);
    if (config.embedding_norm) embedding_norm.emplace(config.norm, config.hidden, config.bias, config.norm_epsilon);
  }

  /// tokens and positions (B, T), segments (B, T) or undefined, which is segment 0 -> (B, T, C).
  /// Throws ArgumentError for a token, position or segment outside its table.
  Tensor<T, D> operator()(const Tensor<std::int32_t, D>& tokens, const Tensor<std::int32_t, D>& positions,
                          const Tensor<std::int32_t, D>& segments = {}) const {
    auto x = token_embedding(tokens);  // (B, T, C)
    if (position_embedding) x = x + (*position_embedding)(positions);
    if (sinusoidal.values.defined()) x = x * std::sqrt(static_cast<double>(x.size(2))) + sinusoidal(positions);
    if (segment_embedding)
      x = x + (*segment_embedding)(segments.defined() ? segments : zeros<std::int32_t, D>(tokens.shape()));
    if (embedding_norm) x = (*embedding_norm)(x);
    return embedding_dropout(x);
  }

  static void visit(auto& self, auto&& f) {
    f("token_embedding", self.token_embedding);
    f("position_embedding", self.position_embedding);
    f("segment_embedding", self.segment_embedding);
    f("embedding_norm", self.embedding_norm);
    f("embedding_dropout", self.embedding_dropout);
  }
};

namespace detail {

/// Positions (B, T) that count on from what each row of the cache holds, or from 0. Throws ShapeError for tokens that
/// are not (B, T), ArgumentError where they pass the context.
template <class T, class D>
Tensor<std::int32_t, D> counted_positions(const char* model, const TransformerConfig& config,
                                          const InputEmbedding<T, D>& input, const Tensor<std::int32_t, D>& tokens,
                                          const KeyValueCache<T, D>* cache = nullptr) {
  require<ShapeError>(tokens.rank() == 2, model, ": tokens ", tokens.shape(), " are not (B, T)");
  const std::int64_t before = cache ? cache->longest() : 0, time = tokens.size(1);
  require<ArgumentError>(before + time <= config.context, model, ": a sequence of ", before + time,
                         " tokens is longer than the context of ", config.context);
  if (cache) return cache->next_positions(time);
  const bool listed = time <= input.places.count();  // not if the context was raised since
  return dense(broadcast_to(listed ? slice(input.places, 0, 0, time) : counted<D>(time), tokens.shape()));
}

}  // namespace detail
}  // namespace plinth
