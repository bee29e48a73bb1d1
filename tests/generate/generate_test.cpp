// SPDX-License-Identifier: MIT
// Generation: what the model is shown, what comes back, and what is refused.
#include <plinth/generate/generate.hpp>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <plinth/models/decoder.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"

using namespace plinth;
using Catch::Matchers::Contains;
using Tokens = std::vector<std::int32_t>;

namespace {

/// A model that notes what it is shown and expects the successor of the last token, 0 after 9.
struct Counter {
  using element = float;
  using device = Cpu;
  TransformerConfig config = {.vocabulary = 10, .context = 4};
  std::vector<Tokens>* shown;

  Tensor<float> operator()(const Tensor<std::int32_t>& tokens) const {
    REQUIRE(tokens.rank() == 2);
    REQUIRE(tokens.size(0) == 1);
    CHECK_FALSE(detail::recording);
    shown->push_back(tokens.to_vector());
    Tensor<float> logits({1, tokens.size(1), 10});
    for (std::int64_t i = 0; i < logits.count(); ++i)
      logits.mutable_data()[i] = i % 10 == (shown->back()[static_cast<std::size_t>(i / 10)] + 1) % 10 ? 5.0f : 0.0f;
    return logits;
  }
};

/// The same with a cache: it notes the tokens that it was not shown before.
struct CachedCounter {
  using element = float;
  using device = Cpu;
  TransformerConfig config = {.vocabulary = 10, .context = 4};
  std::vector<Tokens>* shown;

  Tensor<float> hidden_states(const Tensor<std::int32_t>& tokens, const Tensor<std::int32_t>&,
                              KeyValueCache<float>* cache) const {
    shown->push_back(tokens.to_vector());
    cache->advance(tokens.size(1));
    Tensor<float> hidden({1, tokens.size(1), 1});
    for (std::int64_t i = 0; i < tokens.size(1); ++i)
      hidden.mutable_data()[i] = static_cast<float>(shown->back()[static_cast<std::size_t>(i)]);
    return hidden;
  }
  Tensor<float> logits(const Tensor<float>& hidden) const {
    CHECK(hidden.count() == 1);
    std::vector<float> row(10);
    row[static_cast<std::size_t>(hidden.item() + 1) % 10] = 5;
    return Tensor<float>({1, 1, 10}, row);
  }
};

/// Says the same whatever it is shown: token i has the logit 10 - i.
struct Descending {
  using element = float;
  using device = Cpu;
  TransformerConfig config = {.vocabulary = 10, .context = 2};

  Tensor<float> operator()(const Tensor<std::int32_t>& tokens) const {
    Tensor<float> logits({1, tokens.size(1), 10});
    for (std::int64_t i = 0; i < logits.count(); ++i) logits.mutable_data()[i] = static_cast<float>(10 - i % 10);
    return logits;
  }
};

/// A decoder that hides that it can use a cache.
template <class T>
struct Uncached {
  using element = T;
  using device = Cpu;
  const Decoder<T>& model;
  TransformerConfig config = model.config;
  Tensor<T> operator()(const Tensor<std::int32_t>& tokens) const { return model(tokens); }
};

template <class T>
void with_and_without_cache(const TransformerConfig& shape) {
  Decoder<T> model(shape);
  std::uint32_t site = 0;
  for_each_parameter(model, [&](const std::string&, Tensor<T>& x) {  // large enough for every part to matter
    const auto values = numbers::normal<T>(x.count(), ++site, 0.3, x.rank() == 1 ? 0.5 : 0);
    std::copy(values.begin(), values.end(), x.mutable_data());
  });
  STATIC_REQUIRE(detail::CachedModel<Decoder<T>>);
  STATIC_REQUIRE(!detail::CachedModel<Uncached<T>>);
  for (const Tokens& prompt : {Tokens{1, 2, 3}, Tokens{5}, Tokens{1, 2, 3, 4, 5, 6, 7, 8, 9}})
    for (const double temperature : {0.0, 1.0}) {
      const GenerateOptions options{.length = 60, .sampling = {.temperature = temperature}};
      CHECK(generate(model, prompt, options) == generate(Uncached<T>{model}, prompt, options));
    }
}

const TransformerConfig small = {.vocabulary = 17, .context = 6, .hidden = 16, .layers = 1, .heads = 2};

template <class M>
void refuses(const M& model, const Tokens& prompt, const GenerateOptions& options, const char* text) {
  CHECK_THROWS_AS(generate(model, prompt, options), ArgumentError);
  CHECK_THROWS_WITH(generate(model, prompt, options), Contains(text));
}

/// The token after these: where the last row of the logits is largest.
std::int32_t most_likely(const Decoder<float>& model, const Tokens& tokens) {
  const auto logits = model(Tensor<std::int32_t>({1, static_cast<std::int64_t>(tokens.size())}, tokens)).to_vector();
  const auto* const row = logits.data() + logits.size() - 17;
  std::int32_t best = 0;
  for (std::int32_t i = 1; i < 17; ++i)
    if (row[i] > row[best]) best = i;
  return best;
}

}  // namespace

TEST_CASE("the model sees the last tokens, and loses the older half when its context is full") {
  std::vector<Tokens> shown;
  const Counter model{.shown = &shown};
  CHECK(generate(model, {3, 8}, {.length = 6, .sampling = {.temperature = 0}}) == Tokens{3, 8, 9, 0, 1, 2, 3, 4});
  CHECK(shown == std::vector<Tokens>{{3, 8}, {3, 8, 9}, {3, 8, 9, 0}, {9, 0, 1}, {9, 0, 1, 2}, {1, 2, 3}});
  shown.clear();
  CHECK(generate(model, {9, 1, 1, 2, 4, 6}, {.length = 2, .sampling = {.temperature = 0}}) ==
        Tokens{9, 1, 1, 2, 4, 6, 7, 8});
  CHECK(shown == std::vector<Tokens>{{1, 2, 4, 6}, {4, 6, 7}});
}

TEST_CASE("a context of one token holds the last") {
  std::vector<Tokens> shown;
  const Counter model{.config = {.vocabulary = 10, .context = 1}, .shown = &shown};
  CHECK(generate(model, {3, 8}, {.length = 2, .sampling = {.temperature = 0}}) == Tokens{3, 8, 9, 0});
  CHECK(shown == std::vector<Tokens>{{8}, {9}});
}

TEST_CASE("the cache changes no token, past the context either") {
  for (const TransformerConfig& shape :
       {small, llama_shape({.vocabulary = 17, .context = 6, .hidden = 16, .layers = 2, .heads = 4, .key_heads = 2})}) {
    with_and_without_cache<float>(shape);
    with_and_without_cache<double>(shape);
  }
}

TEST_CASE("a cached model reads each token once until its context is full, and computes one row of logits for each") {
  std::vector<Tokens> shown;
  const CachedCounter model{.shown = &shown};
  CHECK(generate(model, {3, 8}, {.length = 6, .sampling = {.temperature = 0}}) == Tokens{3, 8, 9, 0, 1, 2, 3, 4});
  CHECK(shown == std::vector<Tokens>{{3, 8}, {9}, {0}, {9, 0, 1}, {2}, {1, 2, 3}});
}

TEST_CASE("new tokens are handed out as they come, until the caller has seen enough") {
  std::vector<Tokens> shown;
  const Counter model{.shown = &shown};
  Tokens streamed;
  std::vector<Tokens> asked;
  GenerateOptions options{.length = 50, .sampling = {.temperature = 0}};
  options.on_token = [&](std::int32_t token) { streamed.push_back(token); };
  options.stop = [&](std::span<const std::int32_t> tokens) {
    asked.emplace_back(tokens.begin(), tokens.end());
    return tokens.back() == 0;
  };
  CHECK(generate(model, {3, 7}, options) == Tokens{3, 7, 8, 9, 0});
  CHECK(streamed == Tokens{8, 9, 0});
  CHECK(asked == std::vector<Tokens>{{3, 7, 8}, {3, 7, 8, 9}, {3, 7, 8, 9, 0}});
}

TEST_CASE("the repetition penalty counts all tokens, also those that the model no longer sees") {
  const GenerateOptions options{.length = 11, .sampling = {.temperature = 0, .repetition_penalty = 1000}};
  CHECK(generate(Descending(), {5}, options) == Tokens{5, 0, 1, 2, 3, 4, 6, 7, 8, 9, 0, 0});
}

TEST_CASE("length 0 gives the prompt back") {
  std::vector<Tokens> shown;
  CHECK(generate(Counter{.shown = &shown}, {3, 1}, {.length = 0}) == Tokens{3, 1});
  CHECK(shown.empty());
}

TEST_CASE("the default is 100 tokens at temperature 1") {
  std::vector<Tokens> shown;
  const auto tokens = generate(Counter{.shown = &shown}, {0});
  REQUIRE(tokens.size() == 101);
  int successors = 0;  // each with probability e^5 / (e^5 + 9) = 0.943
  for (std::size_t i = 1; i < tokens.size(); ++i) successors += tokens[i] == (tokens[i - 1] + 1) % 10;
  CHECK(successors >= 80);
  CHECK(successors < 100);
  const Counter model{.shown = &shown};
  CHECK(generate(model, {0}, {.sampling = {.top_k = 1}}) == generate(model, {0}, {.sampling = {.temperature = 0}}));
}

TEST_CASE("tokens depend on the seed and their place alone") {
  const Decoder<float> model(small);
  const auto tokens = generate(model, {1, 2, 3}, {.length = 40, .seed = 7});
  CHECK(tokens.size() == 43);
  CHECK(generate(model, {1, 2, 3}, {.length = 40, .seed = 7}) == tokens);
  CHECK(generate(model, {1, 2, 3}, {.length = 15, .seed = 7}) == Tokens(tokens.begin(), tokens.begin() + 18));
  CHECK(generate(model, {1, 2, 3}, {.length = 40, .seed = 8}) != tokens);
  CHECK(generate(model, {1, 2, 3}, {.length = 40, .seed = 7 + (std::uint64_t{1} << 32)}) != tokens);
}

TEST_CASE("greedy generation takes the largest logit of the last position") {
  const Decoder<float> model(small);
  Tokens expected = {5, 11};
  std::ptrdiff_t begin = 0;
  for (int i = 0; i < 12; ++i) {
    if (std::ssize(expected) - begin > 6) begin += 3;
    expected.push_back(most_likely(model, Tokens(expected.begin() + begin, expected.end())));
  }
  CHECK(generate(model, {5, 11}, {.length = 12, .sampling = {.temperature = 0}}) == expected);
}

TEST_CASE("generation records nothing for a backward pass") {
  std::vector<Tokens> shown;
  CHECK(detail::recording);
  generate(Counter{.shown = &shown}, {1}, {.length = 2});  // the model checks it
  CHECK(shown.size() == 2);
  CHECK(detail::recording);
}

TEST_CASE("prompts that the model cannot read are refused") {
  const Decoder<float> model(small);
  refuses(model, {}, {}, "generate: the prompt has no token to start from");
  refuses(model, {}, {.length = 0}, "generate: the prompt has no token");
  refuses(model, {1, 17}, {}, "generate: token 17 is outside [0, 17)");
  refuses(model, {-1}, {}, "generate: token -1 is outside [0, 17)");
  refuses(model, {1, -3}, {.length = 0}, "token -3");
  refuses(model, {99, 1, 2, 3, 4, 5, 6, 7}, {}, "generate: token 99");  // though the model would not see it
}

TEST_CASE("generation options out of range are refused") {
  const Decoder<float> model(small);
  constexpr double infinity = std::numeric_limits<double>::infinity();
  refuses(model, {1}, {.length = -1}, "generate: length -1 is negative");
  for (const std::int64_t length : {0, 5}) {
    refuses(model, {1}, {.length = length, .sampling = {.temperature = -1}}, "temperature -1 is not a number >= 0");
    refuses(model, {1}, {.length = length, .sampling = {.temperature = infinity}}, "temperature inf");
    refuses(model, {1}, {.length = length, .sampling = {.top_k = -2}}, "top_k -2 is negative");
  }
}

TEST_CASE("a model that computes no number is an error of sampling") {
  Decoder<float> model(small);
  model.stack.final_norm->gain.mutable_data()[0] = std::numeric_limits<float>::quiet_NaN();
  refuses(model, {1}, {}, "sample: the logit of token 0 is not a number");
}
