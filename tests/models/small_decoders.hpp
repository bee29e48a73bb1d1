// SPDX-License-Identifier: MIT
// Configurations of tiny decoders in GPT-2's and Llama's shape, and tokens for them.
#pragma once

#include <cstdint>

#include <plinth/models/config.hpp>
#include <plinth/tensor/tensor.hpp>

#include "kernels/numbers.hpp"

namespace small_decoders {

using namespace plinth;
using Ids = Tensor<std::int32_t>;

inline const TransformerConfig gpt = {.vocabulary = 11, .context = 8, .hidden = 12, .layers = 2, .heads = 3};
inline const TransformerConfig llama = llama_shape(
    {.vocabulary = 11, .context = 8, .hidden = 16, .layers = 2, .heads = 4, .key_heads = 2, .feed_forward = 24});

inline Ids some_ids(std::int64_t B, std::int64_t T, std::uint32_t site = 1) {
  return Ids({B, T}, numbers::below(11, B * T, site));
}

}  // namespace small_decoders
