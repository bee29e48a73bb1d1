// SPDX-License-Identifier: MIT
// Hides bytes from a model that is to guess them.
#pragma once

#include <cstdint>
#include <vector>

#include <plinth/tensor/random.hpp>
#include <plinth/tensor/tensor.hpp>

constexpr std::int32_t mask_id = 256;  // the token behind the 256 bytes
constexpr std::int64_t vocabulary_size = 257;

/// What the model sees, and what it must say of it: -1 where it is not asked. Both (B, T).
struct MaskedBatch {
  plinth::Tensor<std::int32_t> inputs, targets;
};

/// Chooses 15 % of the tokens as targets; of these 80 % are hidden, 10 % become another byte at random and 10 % stay,
/// so that the model cannot rely on any byte it sees. A function of the stream, step and place alone.
/// Devlin et al. 2019 (arXiv:1810.04805), section 3.1.
inline MaskedBatch masked(const plinth::Tensor<std::int32_t>& tokens, const plinth::RandomStream& stream,
                          std::uint32_t step) {
  auto inputs = tokens.to_vector();
  std::vector<std::int32_t> targets(inputs.size(), -1);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const plinth::RandomWords random = stream.words(i, step);
    const auto share = [&](int word) { return random.word[word] * 0x1p-32; };
    if (share(0) >= 0.15) continue;
    targets[i] = inputs[i];
    if (share(1) < 0.8)
      inputs[i] = mask_id;
    else if (share(1) < 0.9)
      inputs[i] = static_cast<std::int32_t>(random.word[2] % 256);
  }
  return {plinth::Tensor<std::int32_t>(tokens.shape(), inputs), plinth::Tensor<std::int32_t>(tokens.shape(), targets)};
}
