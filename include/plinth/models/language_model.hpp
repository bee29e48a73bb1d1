// SPDX-License-Identifier: MIT
// What training and evaluation ask of a language model.
#pragma once

#include <cstdint>

#include <plinth/tensor/tensor.hpp>

namespace plinth {

/// A model with the loss in nats of targets (B, T), those that follow the tokens (B, T).
template <class M>
concept LanguageModel = requires(const M& model, const Tensor<std::int32_t, typename M::device>& ids) {
  model.loss(ids, ids);
};

namespace detail {

/// The tokens of a window to train on: `wanted`, or for 0 the model's config.context. Throws ArgumentError where it has
/// none: a model of one's own needs no config.
template <class M>
std::int64_t training_context(const M& model, std::int64_t wanted) {
  if constexpr (requires { model.config.context; })
    if (wanted == 0) return model.config.context;
  require<ArgumentError>(wanted > 0, "trainer: context is 0, and the model has no config.context to take it from");
  return wanted;
}

}  // namespace detail
}  // namespace plinth
