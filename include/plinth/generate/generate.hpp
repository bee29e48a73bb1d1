// SPDX-License-Identifier: MIT
// Text generation over token ids.
// T sequence, C channels, V vocabulary.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <plinth/attention/cache.hpp>
#include <plinth/generate/sample.hpp>
#include <plinth/ops/shape.hpp>
#include <plinth/tensor/replay.hpp>

namespace plinth {

/// How many tokens to write and how to choose them. Token i is a function of (seed, i) and the logits.
struct GenerateOptions {
  std::int64_t length = 100;      ///< tokens to write, at most
  SamplingOptions sampling = {};  ///< how each is chosen
  std::uint64_t seed = 1;         ///< of what is drawn
  /// Called with each new token.
  std::function<void(std::int32_t)> on_token = {};
  /// Called with all tokens, the prompt among them, after each new one: true ends the generation.
  std::function<bool(std::span<const std::int32_t>)> stop = {};
};

namespace detail {

/// A model that can leave out what a cache holds, and compute the logits of some positions alone.
template <class M>
concept CachedModel = requires(const M& model, const Tensor<std::int32_t, typename M::device>& tokens,
                               KeyValueCache<typename M::element, typename M::device>* cache) {
  model.logits(model.hidden_states(tokens, {}, cache));
};

/// What a model says of the token behind a sequence, which grows at its end or loses tokens at its beginning. Where the
/// device has graphs, the steps of one token of a longer text are replays.
template <class M>
class NextToken {
 public:
  using T = typename M::element;
  using D = typename M::device;

  /// For `count` tokens that may grow by `length`.
  NextToken(const M& model, std::int64_t count, std::int64_t length)
      : model_(model),
        cache_(1, count + std::clamp<std::int64_t>(model.config.context - count, 0, length)),
        replay_(length >= worth_recording) {}

  /// The logits (1, 1, V) behind tokens [begin, tokens.size()).
  Tensor<T, D> logits(std::span<const std::int32_t> tokens, std::int64_t begin) {
    if (begin != begin_) cache_.clear();
    begin_ = begin;
    const auto fresh = tokens.subspan(static_cast<std::size_t>(begin + cache_.longest()));
    const auto count = static_cast<std::int64_t>(fresh.size());
    if constexpr (CachedModel<M> && Recordable<D>) {
      cache_.show_whole(count == 1 && replay_.recordable());
      if (count == 1) return behind(fresh);
    }
    const Tensor<std::int32_t, D> input({1, count}, fresh);
    if constexpr (CachedModel<M>)
      return model_.logits(slice(model_.hidden_states(input, {}, &cache_), 1, count - 1, count));
    else
      return slice(model_(input), 1, count - 1, count);
  }

 private:
  /// The logits (1, 1, V) behind one token that follows those of the cache.
  Tensor<T, D> behind(std::span<const std::int32_t> token) {
    if (!token_.defined()) token_ = Tensor<std::int32_t, D>({1, 1});
    memory<D>::copy_from_host(token_.mutable_data(), token.data(), token.size_bytes());
    cache_.prepare(1);
    const auto lengths = cache_.lengths();
    const bool called = replay_.run([&] { logits_ = model_.logits(model_.hidden_states(token_, {}, &cache_)); },
                                    [&] { cache_.truncate(lengths); });
    if (!called) cache_.advance(1);
    return logits_;
  }

  /// From how many tokens on steps are recorded: recording one and making a graph of it costs as much as queueing
  /// several. An estimate, not a measurement.
  static constexpr std::int64_t worth_recording = 16;

  const M& model_;
  KeyValueCache<T, D> cache_;
  std::int64_t begin_ = 0;
  Tensor<std::int32_t, D> token_;  // (1, 1)
  Tensor<T, D> logits_;            // (1, 1, V)
  Replay<D> replay_;
};

/// Draws the tokens of one sequence: on the device where it can, so that a token comes back in place of all logits.
template <class T, class D>
class TokenDraw {
 public:
  TokenDraw(const SamplingOptions& options, std::uint64_t seed)
      : options_(options), stream_{seed, RandomPurpose::sample, 0} {}

  /// The next token from logits (1, 1, V), given all before it. Throws ArgumentError for logits without a finite
  /// maximum.
  std::int32_t operator()(const Tensor<T, D>& logits, std::span<const std::int32_t> seen) {
    if constexpr (SampleRows<kernels<D>, D, T>)
      if (options_.repetition_penalty == 1) return on_device(dense(logits));
    return sample<T>(logits.to_vector(), options_, stream_.uniform(drawn_++), seen);
  }

 private:
  std::int32_t on_device(const Tensor<T, D>& logits) {
    if (!token_.defined()) {
      token_ = Tensor<std::int32_t, D>({1});
      drawn_there_ = Tensor<std::int32_t, D>({1}, std::vector<std::int32_t>{0});
    }
    kernels<D>::sample(queue<D>::current(), 1, logits.count(), options_, stream_, logits.data(),
                       drawn_there_.mutable_data(), token_.mutable_data());
    const std::int32_t token = token_.item();
    require<ArgumentError>(token >= 0, "sample: no finite largest logit, or one that is not a number");
    return token;
  }

  SamplingOptions options_;
  RandomStream stream_;
  std::uint64_t drawn_ = 0;                      // how many, where the program draws
  Tensor<std::int32_t, D> drawn_there_, token_;  // the same (1) where the device draws, and the last token (1)
};

}  // namespace detail

/// The prompt and up to `length` tokens after it. The model sees the last tokens of both: when they fill its context,
/// the older half of it is dropped, so that most tokens cost one step of a cached model. Throws ArgumentError for an
/// empty prompt, a token outside the vocabulary or options out of range.
template <class M>
std::vector<std::int32_t> generate(const M& model, std::vector<std::int32_t> tokens,
                                   const GenerateOptions& options = {}) {
  detail::require<ArgumentError>(!tokens.empty(), "generate: the prompt has no token to start from");
  for (const std::int32_t token : tokens)  // all of them: the model sees only the last ones
    detail::require<ArgumentError>(token >= 0 && token < model.config.vocabulary, "generate: token ", token,
                                   " is outside [0, ", model.config.vocabulary, ")");
  detail::require<ArgumentError>(options.length >= 0, "generate: length ", options.length, " is negative");
  detail::check(options.sampling);
  const NoGradient no_gradient;
  const std::int64_t context = model.config.context;
  const auto size = [&] { return static_cast<std::int64_t>(tokens.size()); };
  std::int64_t begin = std::max<std::int64_t>(0, size() - context);  // of what the model sees
  detail::NextToken<M> next(model, std::min(size(), context), options.length);
  detail::TokenDraw<typename M::element, typename M::device> draw(options.sampling, options.seed);
  for (std::int64_t i = 0; i < options.length; ++i) {
    if (size() - begin > context) begin += (context + 1) / 2;
    tokens.push_back(draw(next.logits(tokens, begin), tokens));
    if (options.on_token) options.on_token(tokens.back());
    if (options.stop && options.stop(tokens)) break;
  }
  return tokens;
}

}  // namespace plinth
