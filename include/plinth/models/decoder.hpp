// SPDX-License-Identifier: MIT
// The decoder-only transformer: GPT-2 and Llama are two of its configurations.
// B batch, T sequence, C channels (hidden size), V vocabulary.
#pragma once

#include <cstdint>

#include <plinth/models/initialise.hpp>
#include <plinth/models/input_embedding.hpp>
#include <plinth/models/language_model_head.hpp>
#include <plinth/models/stack.hpp>

namespace plinth {

/// A decoder-only language model.
template <class T, class D = Cpu>
struct Decoder {
  using element = T;
  using device = D;

  TransformerConfig config;      ///< with every size filled in
  InputEmbedding<T, D> input;    ///< tokens to channels
  TransformerStack<T, D> stack;  ///< its blocks and the last norm
  LanguageModelHead<T, D> head;  ///< hidden states to logits

  /// Initialises as GPT-2 does: weights N(0, 0.02^2), or with another initial_deviation; the projections that end a
  /// residual branch smaller by sqrt(2 layers), biases 0. Throws ArgumentError for sizes that do not fit.
  explicit Decoder(const TransformerConfig& wanted)
      : config(detail::completed(wanted)), input(config), stack(config, true, false), head(config) {
    detail::initialise(*this, config, 2 * config.layers);
  }

  /// tokens (B, T) -> logits (B, T, V). Positions (B, T) count from 0 unless given, with a cache from what each row of
  /// it holds; the tokens are appended to the cache, whose rows may then attend to them. A probe is told of every
  /// layer. Throws ShapeError, and ArgumentError for a token outside the vocabulary or a position outside the context.
  Tensor<T, D> operator()(const Tensor<std::int32_t, D>& tokens, const Tensor<std::int32_t, D>& positions = {},
                          KeyValueCache<T, D>* cache = nullptr, Probe<T, D>* probe = nullptr) const {
    return logits(hidden_states(tokens, positions, cache, probe));
  }

  /// The mean loss in nats of targets (B, T), those that follow the tokens (B, T); negative ones do not count. It is
  /// cross_entropy of the logits, which do not all exist at once. Throws as the call and cross_entropy do.
  Tensor<accumulator_t<T>, D> loss(const Tensor<std::int32_t, D>& tokens, const Tensor<std::int32_t, D>& targets,
                                   double label_smoothing = 0) const {
    return head.loss(hidden_states(tokens), input.token_embedding, config.logit_scale, targets, label_smoothing);
  }

  /// What the logits are computed from, the final norm's output: tokens (B, T) -> (B, T, C). Arguments and errors are
  /// those of the call.
  Tensor<T, D> hidden_states(const Tensor<std::int32_t, D>& tokens, Tensor<std::int32_t, D> positions = {},
                             KeyValueCache<T, D>* cache = nullptr, Probe<T, D>* probe = nullptr) const {
    if (!positions.defined()) positions = detail::counted_positions("decoder", config, input, tokens, cache);
    detail::require<ShapeError>(positions.shape() == tokens.shape(), "decoder: tokens ", tokens.shape(),
                                " and positions ", positions.shape(), " differ in shape");
    return stack(input(tokens, positions), positions, {.causal = true, .window = config.window}, cache, probe);
  }

  /// What follows the tokens of which these are the hidden states: (..., C) -> (..., V).
  Tensor<T, D> logits(const Tensor<T, D>& hidden) const {
    return head(hidden, input.token_embedding, config.logit_scale);
  }

  static void visit(auto& self, auto&& f) {
    InputEmbedding<T, D>::visit(self.input, f);
    TransformerStack<T, D>::visit(self.stack, f);
    f("head", self.head);
  }
};

}  // namespace plinth
