// SPDX-License-Identifier: MIT
// The loss of a language model on held-out tokens, and its perplexity.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

#include <plinth/models/language_model.hpp>
#include <plinth/ops/cross_entropy.hpp>

namespace plinth {

/// The mean loss over batches, in which every target counts the same, however many of them a batch has: of any model
/// that gives logits. By hand:
///   for (...) loss.add(model(batch.inputs), batch.targets);
class MeanLoss {
 public:
  /// Counts the targets >= 0 of a batch, of which `loss` is the mean. Waits for the device.
  template <Real A, class D>
  void add_mean(const Tensor<A, D>& loss, const Tensor<std::int32_t, D>& targets) {
    const auto ids = targets.to_vector();
    const auto used = std::ranges::count_if(ids, [](std::int32_t id) { return id >= 0; });
    sum_ += static_cast<double>(loss.item()) * static_cast<double>(used);
    count_ += used;
  }
  /// The same from the logits (..., V) of targets (...). Throws as cross_entropy.
  template <Real T, class D>
  void add(const Tensor<T, D>& logits, const Tensor<std::int32_t, D>& targets) {
    const NoGradient no_gradient;
    add_mean(cross_entropy(logits, targets), targets);
  }

  /// How many targets were counted.
  std::int64_t count() const { return count_; }
  /// Mean negative log-likelihood of a target, in nats; divided by ln 2, in bits; 0 of none.
  double mean() const { return count_ > 0 ? sum_ / static_cast<double>(count_) : 0; }
  /// exp(mean()): among how many equally likely tokens a model would choose as well. Jelinek et al. 1977.
  double perplexity() const { return std::exp(mean()); }

 private:
  double sum_ = 0;
  std::int64_t count_ = 0;
};

/// Mean negative log-likelihood in nats of every token but the first, by model.loss(inputs, targets) over windows of
/// `context` tokens without overlap, `rows` of them at once. exp of it is the perplexity; divided by ln 2 it is in bits
/// per token.
/// Throws ArgumentError when there are fewer than two tokens, or context or rows are not positive.
template <class M>
double mean_loss(const M& model, std::span<const std::int32_t> tokens, std::int64_t context, std::int64_t rows = 64) {
  using D = typename M::device;
  static_assert(LanguageModel<M>,
                "a language model has loss(tokens, targets), such as: return cross_entropy((*this)(tokens), targets);");
  const NoGradient no_gradient;
  const auto count = static_cast<std::int64_t>(tokens.size()) - 1;
  detail::require<ArgumentError>(count > 0, "mean_loss: needs at least two tokens, got ", tokens.size());
  detail::require<ArgumentError>(context > 0 && rows > 0, "mean_loss: ", rows, " windows of ", context,
                                 " tokens at once");
  MeanLoss loss;
  for (std::int64_t at = 0; at < count;) {
    const std::int64_t left = count - at, length = std::min(context, left);
    const std::int64_t windows = std::min(rows, left / length), used = windows * length;
    const auto part = [&](std::int64_t offset) {
      return Tensor<std::int32_t, D>(
          {windows, length}, tokens.subspan(static_cast<std::size_t>(at + offset), static_cast<std::size_t>(used)));
    };
    const auto targets = part(1);
    loss.add_mean(model.loss(part(0), targets), targets);
    at += used;
  }
  return loss.mean();
}

}  // namespace plinth
