// SPDX-License-Identifier: MIT
// The encoder-decoder transformer: the original one and T5 are two of its configurations.
// B batch, S source, T target, C channels, V vocabulary.
#pragma once

#include <cstdint>
#include <utility>

#include <plinth/models/initialise.hpp>
#include <plinth/models/input_embedding.hpp>
#include <plinth/models/language_model_head.hpp>
#include <plinth/models/stack.hpp>

namespace plinth {

/// Writes a target sequence while it looks at a source sequence. Both share one vocabulary and its embedding, as does
/// the head when it is tied.  Vaswani et al. 2017, section 3; Raffel et al. 2020.
template <class T, class D = Cpu>
struct EncoderDecoder {
  using element = T;
  using device = D;

  TransformerConfig config;        ///< with every size filled in
  InputEmbedding<T, D> input;      ///< of source and target alike
  TransformerStack<T, D> encoder,  ///< of the source
      decoder;                     ///< of the target, with cross-attention
  LanguageModelHead<T, D> head;    ///< hidden states to logits

  /// Initialises as Decoder does. Throws ArgumentError for sizes that do not fit.
  explicit EncoderDecoder(const TransformerConfig& wanted)
      : config(detail::completed(wanted)),
        input(config),
        encoder(config, false, false),
        decoder(config, true, true),
        head(config) {
    detail::initialise(*this, config, 3 * config.layers);
  }

  /// source (B, S) and target (B, T) -> logits (B, T, V) of what follows each target token. The mask says which source
  /// tokens are no padding: {.rows = right_padding(lengths)}; padding behind a target needs none.
  /// Throws ShapeError, and ArgumentError for a token outside the vocabulary or a sequence longer than the context.
  Tensor<T, D> operator()(const Tensor<std::int32_t, D>& source, const Tensor<std::int32_t, D>& target,
                          const AttentionMask<T, D>& mask = {}) const {
    return logits(hidden_states(target, encode(source, mask)));
  }

  /// The mean loss in nats of the wanted tokens (B, T): wanted[t] follows target[t], so they are the target moved by one
  /// place; negative ones do not count. It is cross_entropy of the logits, which do not all exist at once. Throws as the
  /// call and cross_entropy do.
  Tensor<accumulator_t<T>, D> loss(const Tensor<std::int32_t, D>& source, const Tensor<std::int32_t, D>& target,
                                   const Tensor<std::int32_t, D>& wanted, const AttentionMask<T, D>& mask = {},
                                   double label_smoothing = 0) const {
    return head.loss(hidden_states(target, encode(source, mask)), input.token_embedding, config.logit_scale, wanted,
                     label_smoothing);
  }

  /// source (B, S) -> what the decoder looks at. The whole mask is the encoder's; the decoder sees what is no padding.
  Memory<T, D> encode(const Tensor<std::int32_t, D>& source, const AttentionMask<T, D>& mask = {}) const {
    const auto positions = detail::counted_positions("encoder", config, input, source);
    return {encoder(input(source, positions), positions, mask), {.rows = mask.rows}};
  }

  /// target (B, T), behind what the cache holds -> the decoder's hidden states (B, T, C). A probe is told of every
  /// layer of the decoder.
  Tensor<T, D> hidden_states(const Tensor<std::int32_t, D>& target, const Memory<T, D>& memory,
                             KeyValueCache<T, D>* cache = nullptr, Probe<T, D>* probe = nullptr) const {
    const auto positions = detail::counted_positions("decoder", config, input, target, cache);
    return decoder(input(target, positions), positions, {.causal = true, .window = config.window}, cache, probe,
                   &memory);
  }

  /// What follows the target tokens of which these are the hidden states: (..., C) -> (..., V).
  Tensor<T, D> logits(const Tensor<T, D>& hidden) const {
    return head(hidden, input.token_embedding, config.logit_scale);
  }

  static void visit(auto& self, auto&& f) {
    InputEmbedding<T, D>::visit(self.input, f);
    f("encoder", self.encoder);
    f("decoder", self.decoder);
    f("head", self.head);
  }
};

/// The decoder of a model before one source: a language model, which generate takes.
///   generate(given(model, source), {start}, options)
template <class T, class D = Cpu>
struct ConditionedDecoder {
  using element = T;
  using device = D;

  const EncoderDecoder<T, D>& model;  ///< not owned
  const TransformerConfig& config;    ///< the model's
  Memory<T, D> memory;                ///< what it made of the source

  /// target (B, T) -> hidden states (B, T, C)
  Tensor<T, D> hidden_states(const Tensor<std::int32_t, D>& target, const Tensor<std::int32_t, D>&,
                             KeyValueCache<T, D>* cache) const {
    return model.hidden_states(target, memory, cache);
  }
  /// hidden (..., C) -> (..., V)
  Tensor<T, D> logits(const Tensor<T, D>& hidden) const { return model.logits(hidden); }
};

/// The decoder before a source (1, S), of which the mask says what is no padding. The model must live as long as the
/// result.
template <class T, class D>
ConditionedDecoder<T, D> given(const EncoderDecoder<T, D>& model, const Tensor<std::int32_t, D>& source,
                               const AttentionMask<T, D>& mask = {}) {
  return {model, model.config, model.encode(source, mask)};
}

}  // namespace plinth
