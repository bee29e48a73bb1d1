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

}  // namespace plinth
