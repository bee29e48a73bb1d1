// SPDX-License-Identifier: MIT
// What a language model ends with: hidden states become logits.
// C channels, V vocabulary.
#pragma once

#include <plinth/layers/embedding.hpp>
#include <plinth/layers/linear.hpp>
#include <plinth/models/config.hpp>
#include <plinth/ops/linear_cross_entropy.hpp>

namespace plinth {

/// logits = scale h W^T, where W is a matrix of the head's own, or when tied that of the token embedding.
/// Press & Wolf 2017 (arXiv:1608.05859).
template <class T, class D = Cpu>
struct LanguageModelHead {
  Linear<T, D> linear;  ///< (C -> V), absent when tied: one parameter never has two names

  /// Of a completed config.
  explicit LanguageModelHead(const TransformerConfig& config) {
    if (!config.tied_head) linear = Linear<T, D>(config.hidden, config.vocabulary, false);
  }

  /// hidden (..., C) -> (..., V)
  Tensor<T, D> operator()(const Tensor<T, D>& hidden, const Embedding<T, D>& token_embedding, double scale) const {
    return plinth::linear(scaled(hidden, scale), weight(token_embedding));
  }

  /// The cross-entropy of these logits and targets (...), of which not all exist at once.
  Tensor<accumulator_t<T>, D> loss(const Tensor<T, D>& hidden, const Embedding<T, D>& token_embedding, double scale,
                                   const Tensor<std::int32_t, D>& targets, double label_smoothing) const {
    return linear_cross_entropy(scaled(hidden, scale), weight(token_embedding), targets, label_smoothing);
  }

  static void visit(auto& self, auto&& f) { Linear<T, D>::visit(self.linear, f); }

 private:
  static Tensor<T, D> scaled(const Tensor<T, D>& hidden, double scale) { return scale == 1 ? hidden : hidden * scale; }
  const Tensor<T, D>& weight(const Embedding<T, D>& token_embedding) const {
    return linear.weight.defined() ? linear.weight : token_embedding.weight;
  }
};

}  // namespace plinth
