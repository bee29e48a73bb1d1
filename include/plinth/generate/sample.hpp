// SPDX-License-Identifier: MIT
// Choosing the next token from logits.
// V vocabulary.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include <plinth/kernels/arguments.hpp>
#include <plinth/tensor/error.hpp>

namespace plinth {

/// A token that may come next.
struct Candidate {
  std::int32_t token;  ///< its id
  double probability;  ///< among the tokens that are left, which sum to 1
};

namespace detail {

/// Throws ArgumentError for options out of range.
inline void check(const SamplingOptions& options) {
  require<ArgumentError>(options.temperature >= 0 && std::isfinite(options.temperature), "sample: temperature ",
                         options.temperature, " is not a number >= 0");
  require<ArgumentError>(options.top_k >= 0, "sample: top_k ", options.top_k, " is negative");
  require<ArgumentError>(options.top_p >= 0 && options.top_p <= 1, "sample: top_p ", options.top_p,
                         " is outside [0, 1]");
  require<ArgumentError>(options.min_p >= 0 && options.min_p <= 1, "sample: min_p ", options.min_p,
                         " is outside [0, 1]");
  require<ArgumentError>(options.repetition_penalty > 0 && std::isfinite(options.repetition_penalty),
                         "sample: repetition_penalty ", options.repetition_penalty, " is not a number > 0");
}

/// The logits in double, those of tokens already seen made less likely.
template <class T>
std::vector<double> penalised(std::span<const T> logits, double penalty, std::span<const std::int32_t> seen) {
  std::vector<double> values(logits.begin(), logits.end());
  for (std::size_t id = 0; id < values.size(); ++id)
    require<ArgumentError>(!std::isnan(values[id]), "sample: the logit of token ", id, " is not a number");
  if (penalty == 1) return values;
  std::vector<bool> done(values.size());
  for (const std::int32_t token : seen) {
    require<ArgumentError>(token >= 0 && token < static_cast<std::int64_t>(values.size()), "sample: token ", token,
                           " is outside [0, ", values.size(), ")");
    const auto id = static_cast<std::size_t>(token);
    if (!done[id]) values[id] = values[id] < 0 ? values[id] * penalty : values[id] / penalty;
    done[id] = true;
  }
  return values;
}

}  // namespace detail

/// The tokens that may follow, with their probabilities, the most likely first and equal ones by token id. `seen` are
/// the tokens of the repetition penalty. Throws ArgumentError for options out of range or logits (V) without a finite
/// maximum.
template <class T>
std::vector<Candidate> candidates(std::span<const T> logits, const SamplingOptions& options,
                                  std::span<const std::int32_t> seen = {}) {
  detail::check(options);
  const auto values = detail::penalised(logits, options.repetition_penalty, seen);
  const auto value = [&](std::int32_t id) { return values[static_cast<std::size_t>(id)]; };
  std::vector<std::int32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  const auto larger = [&](std::int32_t a, std::int32_t b) {
    return value(a) != value(b) ? value(a) > value(b) : a < b;
  };
  const auto size = static_cast<std::int64_t>(order.size());
  const std::int64_t kept = options.temperature == 0 ? 1 : options.top_k == 0 ? size : std::min(options.top_k, size);
  std::partial_sort(order.begin(), order.begin() + std::min(kept, size), order.end(), larger);
  detail::require<ArgumentError>(size > 0 && std::isfinite(value(order[0])), "sample: no finite largest logit");
  if (kept == 1) return {{order[0], 1}};

  std::vector<Candidate> result;
  double all = 0, total = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(kept); ++i) {  // weights: 1 for the most likely
    result.push_back({order[i], std::exp((value(order[i]) - value(order[0])) / options.temperature)});
    all += result[i].probability;
  }
  std::size_t count = 0;
  while (count < result.size() && (count == 0 || ((options.top_p == 1 || total < options.top_p * all) &&
                                                  result[count].probability >= options.min_p)))
    total += result[count++].probability;
  result.resize(count);
  for (Candidate& candidate : result) candidate.probability /= total;
  return result;
}

/// Draws one of the candidates by the number `uniform` in [0, 1). Throws as candidates does.
template <class T>
std::int32_t sample(std::span<const T> logits, const SamplingOptions& options, double uniform,
                    std::span<const std::int32_t> seen = {}) {
  const auto all = candidates(logits, options, seen);
  for (const auto& [token, probability] : all)
    if ((uniform -= probability) < 0) return token;
  return all[0].token;  // rounding left nothing: the most likely
}

}  // namespace plinth
