// SPDX-License-Identifier: MIT
// The loss of a language model on held-out tokens.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include <plinth/ops/cross_entropy.hpp>

namespace plinth {

/// Mean negative log-likelihood in nats of every token but the first, over windows of `context` tokens without
/// overlap, `rows` of them at once. exp of it is the perplexity; divided by ln 2 it is in bits per token.
/// Throws ArgumentError when there are fewer than two tokens, or context or rows are not positive.
template <class M>
double mean_loss(const M& model, std::span<const std::int32_t> tokens, std::int64_t context, std::int64_t rows = 64) {
  using D = typename M::device;
  const NoGradient no_gradient;
  const auto count = static_cast<std::int64_t>(tokens.size()) - 1;
  detail::require<ArgumentError>(count > 0, "mean_loss: needs at least two tokens, got ", tokens.size());
  detail::require<ArgumentError>(context > 0 && rows > 0, "mean_loss: ", rows, " windows of ", context, " tokens at once");
  double sum = 0;
  for (std::int64_t at = 0; at < count;) {
    const std::int64_t left = count - at, length = std::min(context, left);
    const std::int64_t windows = std::min(rows, left / length), used = windows * length;
    const auto part = [&](std::int64_t offset) {
      return Tensor<std::int32_t, D>({windows, length},
                                     tokens.subspan(static_cast<std::size_t>(at + offset), static_cast<std::size_t>(used)));
    };
    sum += static_cast<double>(cross_entropy(model(part(0)), part(1)).item()) * static_cast<double>(used);
    at += used;
  }
  return sum / static_cast<double>(count);
}

}  // namespace plinth
