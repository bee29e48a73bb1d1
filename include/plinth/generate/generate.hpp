// SPDX-License-Identifier: MIT
// Text generation over token ids.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include <plinth/generate/sample.hpp>
#include <plinth/ops/shape.hpp>

namespace plinth {

/// How many tokens to write and how to choose them. Token i is a function of (seed, i) and the logits.
struct GenerateOptions {
  std::int64_t length = 100;
  double temperature = 1;
  std::int64_t top_k = 0;
  std::uint64_t seed = 1;
};

/// The prompt and `length` tokens after it; the model sees the last `context` tokens of both.
/// Throws ArgumentError for an empty prompt, a token outside the vocabulary or options out of range.
template <class M>
std::vector<std::int32_t> generate(const M& model, std::vector<std::int32_t> tokens, const GenerateOptions& options = {}) {
  using D = typename M::device;
  detail::require<ArgumentError>(!tokens.empty(), "generate: the prompt has no token to start from");
  for (const std::int32_t token : tokens)  // all of them: the model sees only the last ones
    detail::require<ArgumentError>(token >= 0 && token < model.config.vocabulary, "generate: token ", token,
                                   " is outside [0, ", model.config.vocabulary, ")");
  detail::require<ArgumentError>(options.length >= 0, "generate: length ", options.length, " is negative");
  const SamplingOptions sampling{options.temperature, options.top_k};
  detail::check(sampling);
  const NoGradient no_gradient;
  const RandomStream stream{options.seed, RandomPurpose::sample, 0};
  for (std::int64_t i = 0; i < options.length; ++i) {
    const auto seen = std::min(static_cast<std::int64_t>(tokens.size()), model.config.context);
    const std::span<const std::int32_t> window(tokens.end() - seen, tokens.end());
    const auto logits = model(Tensor<std::int32_t, D>({1, seen}, window));    // (1, T, V)
    const auto last = slice(logits, 1, seen - 1, seen).to_vector();           // (V)
    const double uniform = stream.uniform(static_cast<std::uint64_t>(i));
    tokens.push_back(sample<typename M::element>(last, sampling, uniform));
  }
  return tokens;
}

}  // namespace plinth
