// SPDX-License-Identifier: MIT
// Choosing the next token from logits.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <numeric>
#include <span>
#include <vector>

#include <plinth/tensor/error.hpp>

namespace plinth {

/// How to choose. temperature 0 takes the most likely token; top_k 0 keeps all tokens.
struct SamplingOptions {
  double temperature = 1;
  std::int64_t top_k = 0;
};

namespace detail {

/// Throws ArgumentError for options out of range.
inline void check(const SamplingOptions& options) {
  require<ArgumentError>(options.temperature >= 0 && std::isfinite(options.temperature), "sample: temperature ",
                         options.temperature, " is not a number >= 0");
  require<ArgumentError>(options.top_k >= 0, "sample: top_k ", options.top_k, " is negative");
}

}  // namespace detail

/// Draws a token with probability proportional to exp(logit / temperature) among the top_k largest logits, by the
/// number `uniform` in [0, 1). Equal logits are ordered by token id. Throws ArgumentError for options out of range or
/// logits without a finite maximum.
template <class T>
std::int32_t sample(std::span<const T> logits, const SamplingOptions& options, double uniform) {
  detail::check(options);
  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto value = [&](std::int32_t id) { return static_cast<double>(logits[static_cast<std::size_t>(id)]); };
  for (const std::int32_t id : order)
    detail::require<ArgumentError>(!std::isnan(value(id)), "sample: the logit of token ", id, " is not a number");
  const auto larger = [&](std::int32_t a, std::int32_t b) { return value(a) != value(b) ? value(a) > value(b) : a < b; };
  const auto size = static_cast<std::int64_t>(order.size());
  const std::int64_t kept = options.temperature == 0 ? 1 : options.top_k == 0 ? size : std::min(options.top_k, size);
  std::partial_sort(order.begin(), order.begin() + std::min(kept, size), order.end(), larger);
  detail::require<ArgumentError>(size > 0 && std::isfinite(value(order[0])), "sample: no finite largest logit");
  order.resize(static_cast<std::size_t>(kept));
  if (kept == 1) return order[0];

  std::vector<double> weights;
  for (const std::int32_t id : order) weights.push_back(std::exp((value(id) - value(order[0])) / options.temperature));
  double left = uniform * std::accumulate(weights.begin(), weights.end(), 0.0);
  for (std::size_t i = 0; i < order.size(); ++i)
    if ((left -= weights[i]) < 0) return order[i];
  return order[0];  // rounding left nothing: the most likely
}

}  // namespace plinth
