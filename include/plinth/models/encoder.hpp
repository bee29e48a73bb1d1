// SPDX-License-Identifier: MIT
// The encoder-only transformer, as BERT, and the models that are an encoder with a head: masked language modelling,
// classification of sequences and of tokens.
// B batch, T sequence, C channels, V vocabulary.
#pragma once

#include <cstdint>

#include <plinth/activation/gelu.hpp>
#include <plinth/activation/tanh.hpp>
#include <plinth/models/initialise.hpp>
#include <plinth/models/input_embedding.hpp>
#include <plinth/models/stack.hpp>
#include <plinth/ops/shape.hpp>

namespace plinth {

/// The tokens of an encoder, and what is known of them.
template <class T, class D = Cpu>
struct EncoderInput {
  Tensor<std::int32_t, D> tokens;         ///< (B, T)
  AttentionMask<T, D> mask = {};          ///< {.rows = right_padding(lengths)} for sequences of several lengths
  Tensor<std::int32_t, D> segments = {};  ///< (B, T); undefined: all 0
};

/// Hidden states in which every token sees every other one.  Devlin et al. 2019 (arXiv:1810.04805), section 3.
/// transformers: BertModel.
template <class T, class D = Cpu>
struct Encoder {
  using element = T;
  using device = D;

  TransformerConfig config;      ///< with every size filled in
  InputEmbedding<T, D> input;    ///< tokens to channels
  TransformerStack<T, D> stack;  ///< its blocks

  /// Initialises as Decoder does. Throws ArgumentError for sizes that do not fit, and for a window: here every token
  /// sees every other one, but for what the bias of a mask hides.
  explicit Encoder(const TransformerConfig& wanted) : Encoder(wanted, detail::Uninitialised()) {
    detail::initialise(*this, config, 2 * config.layers);
  }
  /// For a model around it, which initialises all of its weights at once.
  Encoder(const TransformerConfig& wanted, detail::Uninitialised)
      : config(detail::completed(wanted)), input(config), stack(config, false, false) {
    detail::require<ArgumentError>(config.window == 0, "encoder: a window of ", config.window,
                                   " keys is for decoders; leave it at 0, hide keys by the bias of the mask");
  }

  /// -> hidden states (B, T, C). Throws ShapeError, and ArgumentError for a token outside the vocabulary or a sequence
  /// longer than the context. A probe is told of every layer.
  Tensor<T, D> operator()(const EncoderInput<T, D>& x, Probe<T, D>* probe = nullptr) const {
    const auto positions = detail::counted_positions("encoder", config, input, x.tokens);
    return stack(input(x.tokens, positions, x.segments), positions, x.mask, nullptr, probe);
  }

  static void visit(auto& self, auto&& f) {
    InputEmbedding<T, D>::visit(self.input, f);
    TransformerStack<T, D>::visit(self.stack, f);
  }
};

/// An encoder that guesses tokens which were hidden from it. Logits are products with the token embedding.
/// Devlin et al. 2019, section 3.1, task 1.  transformers: BertForMaskedLM.
template <class T, class D = Cpu>
struct MaskedLanguageModel {
  using element = T;
  using device = D;

  Encoder<T, D> encoder;      ///< of the hidden states
  Linear<T, D> transform;     ///< (C -> C), followed by GELU
  Norm<T, D> transform_norm;  ///< (C), of what the GELU yields
  Tensor<T, D> output_bias;   ///< (V), of the logits

  /// Initialises as Decoder does. Throws ArgumentError for sizes that do not fit.
  explicit MaskedLanguageModel(const TransformerConfig& config)
      : encoder(config, detail::Uninitialised()),
        transform(encoder.config.hidden, encoder.config.hidden),
        transform_norm(NormKind::layer, encoder.config.hidden, true, encoder.config.norm_epsilon),
        output_bias(zeros<T, D>({encoder.config.vocabulary})) {
    require_gradient(output_bias);
    detail::initialise(*this, encoder.config, 2 * encoder.config.layers);
  }

  /// -> logits (B, T, V). Throws as Encoder does.
  Tensor<T, D> operator()(const EncoderInput<T, D>& x) const {
    const auto h = transform_norm(transform(encoder(x), Gelu{}));         // (B, T, C)
    return linear(h, encoder.input.token_embedding.weight, output_bias);  // (B, T, V)
  }

  static void visit(auto& self, auto&& f) {
    f("encoder", self.encoder);
    f("transform", self.transform);
    f("transform_norm", self.transform_norm);
    f("output_bias", self.output_bias);
  }
};

/// An encoder that sorts sequences into classes by their first token.
/// Devlin et al. 2019, section 4.1.  transformers: BertForSequenceClassification.
template <class T, class D = Cpu>
struct SequenceClassifier {
  using element = T;
  using device = D;

  Encoder<T, D> encoder;    ///< of the hidden states
  Linear<T, D> pooler;      ///< (C -> C), followed by tanh
  Dropout dropout;          ///< of what the tanh yields
  Linear<T, D> classifier;  ///< (C -> classes)

  /// Throws ArgumentError for sizes that do not fit.
  SequenceClassifier(const TransformerConfig& config, std::int64_t classes)
      : encoder(config, detail::Uninitialised()),
        pooler(encoder.config.hidden, encoder.config.hidden),
        dropout{encoder.config.dropout},
        classifier(encoder.config.hidden, classes) {
    detail::initialise(*this, encoder.config, 2 * encoder.config.layers);
  }

  /// -> logits (B, classes). Throws as Encoder does, and ShapeError for empty sequences.
  Tensor<T, D> operator()(const EncoderInput<T, D>& x) const {
    const auto states = encoder(x);                                                        // (B, T, C)
    const auto first = reshape(slice(states, 1, 0, 1), {states.size(0), states.size(2)});  // (B, C)
    return classifier(dropout(tanh(pooler(first))));                                       // (B, classes)
  }

  static void visit(auto& self, auto&& f) {
    f("encoder", self.encoder);
    f("pooler", self.pooler);
    f("dropout", self.dropout);
    f("classifier", self.classifier);
  }
};

/// An encoder that gives every token a class, as the recognition of entities needs it.
/// Devlin et al. 2019, section 5.3.  transformers: BertForTokenClassification.
template <class T, class D = Cpu>
struct TokenClassifier {
  using element = T;
  using device = D;

  Encoder<T, D> encoder;    ///< of the hidden states
  Dropout dropout;          ///< of the hidden states
  Linear<T, D> classifier;  ///< (C -> classes)

  /// Throws ArgumentError for sizes that do not fit.
  TokenClassifier(const TransformerConfig& config, std::int64_t classes)
      : encoder(config, detail::Uninitialised()),
        dropout{encoder.config.dropout},
        classifier(encoder.config.hidden, classes) {
    detail::initialise(*this, encoder.config, 2 * encoder.config.layers);
  }

  /// -> logits (B, T, classes). Throws as Encoder does.
  Tensor<T, D> operator()(const EncoderInput<T, D>& x) const { return classifier(dropout(encoder(x))); }

  static void visit(auto& self, auto&& f) {
    f("encoder", self.encoder);
    f("dropout", self.dropout);
    f("classifier", self.classifier);
  }
};

}  // namespace plinth
