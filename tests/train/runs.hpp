// SPDX-License-Identifier: MIT
// A small training run for tests: a model, data it can learn, and all weights of a model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <plinth/models/decoder.hpp>
#include <plinth/train/token_windows.hpp>

namespace runs {

using namespace plinth;

inline const TransformerConfig tiny = {.vocabulary = 7, .context = 8, .hidden = 16, .layers = 1, .heads = 2, .dropout = 0.1};

/// Tokens that a model can learn: each is the double of the one before, with a 0 now and then.
inline TokenWindows data() {
  std::vector<std::int32_t> tokens = {1};
  for (std::size_t i = 1; i < 500; ++i) tokens.push_back(i % 5 ? tokens.back() * 2 % 7 : tokens.back() % 6 + 1);
  return TokenWindows(tokens);
}

template <class M>
std::vector<float> weights(const M& model) {
  std::vector<float> all;
  for_each_parameter(model, [&](const std::string&, const auto& x) {
    const auto values = x.to_vector();
    all.insert(all.end(), values.begin(), values.end());
  });
  return all;
}

}  // namespace runs
