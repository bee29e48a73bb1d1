// SPDX-License-Identifier: MIT
// The key-value cache: what it holds after each operation, models with and without it, and what it refuses.
#include <plinth/attention/cache.hpp>

#include <cstdint>
#include <vector>

#include <plinth/models/decoder.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"

using namespace plinth;
using Catch::Matchers::Contains;
using Ids = Tensor<std::int32_t>;
using Cache = KeyValueCache<double>;
using Lengths = std::vector<std::int64_t>;

namespace {

const TransformerConfig gpt = {.vocabulary = 11, .context = 12, .hidden = 12, .layers = 2, .heads = 3};
const TransformerConfig llama = llama_shape(
    {.vocabulary = 11, .context = 12, .hidden = 16, .layers = 2, .heads = 4, .key_heads = 2, .feed_forward = 24});

Decoder<double> decoder(const TransformerConfig& config) {
  Decoder<double> model(config);
  std::uint32_t site = 0;
  for_each_parameter(model, [&](const std::string&, Tensor<double>& x) {
    const auto values = numbers::normal<double>(x.count(), ++site, 0.3, x.rank() == 1 ? 0.5 : 0);
    std::copy(values.begin(), values.end(), x.mutable_data());
  });
  return model;
}

Ids some_ids(std::int64_t B, std::int64_t T) { return Ids({B, T}, numbers::below(11, B * T, 1)); }

/// Times [begin, end) of row b of (B, T, ...).
template <class T>
Tensor<T> part(const Tensor<T>& x, std::int64_t b, std::int64_t begin, std::int64_t end) {
  return slice(slice(x, 0, b, b + 1), 1, begin, end);
}

/// (B, 1, T, 1): keys that are the numbers from `first` on, values their negatives.
KeyValues<double> counted(std::int64_t B, std::int64_t T, double first) {
  std::vector<double> keys, values;
  for (std::int64_t i = 0; i < B * T; ++i) {
    keys.push_back(first + static_cast<double>(i));
    values.push_back(-keys.back());
  }
  return {Tensor<double>({B, 1, T, 1}, keys), Tensor<double>({B, 1, T, 1}, values)};
}

}  // namespace

TEST_CASE("a decoder says the same of tokens in pieces as of all at once") {
  for (const TransformerConfig& config : {gpt, llama}) {
    const auto model = decoder(config);
    const NoGradient no_gradient;
    const auto ids = some_ids(2, 10);
    const auto whole = model(ids);
    Cache cache(2, 12);
    std::int64_t begin = 0;
    for (const std::int64_t end : {4, 5, 6, 9, 9, 10}) {
      const auto found = model(slice(ids, 1, begin, end), {}, &cache);
      INFO("tokens " << begin << " to " << end);
      CHECK(numbers::distance(found.to_vector(), slice(whole, 1, begin, end).to_vector()) < 1e-13);
      CHECK(cache.lengths() == Lengths{end, end});
      begin = end;
    }
  }
}

TEST_CASE("rows of different lengths go on side by side") {
  for (const TransformerConfig& config : {gpt, llama}) {
    const auto model = decoder(config);
    const NoGradient no_gradient;
    const auto ids = some_ids(3, 8);
    const Lengths lengths = {5, 2, 4};
    Cache cache(3, 8);
    model(slice(ids, 1, 0, 5), {}, &cache);  // the shorter prompts are padded on the right
    cache.truncate(lengths);
    std::vector<std::int32_t> next;
    for (std::int64_t b = 0; b < 3; ++b)
      for (const std::int32_t id :
           part(ids, b, lengths[static_cast<std::size_t>(b)], lengths[static_cast<std::size_t>(b)] + 2).to_vector())
        next.push_back(id);
    const auto together = model(Ids({3, 2}, next), {}, &cache);
    for (std::int64_t b = 0; b < 3; ++b) {
      const std::int64_t length = lengths[static_cast<std::size_t>(b)];
      const auto alone = slice(model(part(ids, b, 0, length + 2)), 1, length, length + 2);
      CHECK(numbers::distance(slice(together, 0, b, b + 1).to_vector(), alone.to_vector()) < 1e-13);
    }
  }
}

TEST_CASE("a decoder forgets what is truncated, and follows rows that change places") {
  const auto model = decoder(llama);
  const NoGradient no_gradient;
  const auto ids = some_ids(2, 6), other = Ids({2, 1}, {3, 7});
  Cache cache(2, 12);
  model(ids, {}, &cache);
  cache.truncate({4, 4});
  const auto expected = model(concatenate(slice(ids, 1, 0, 4), other, 1));
  const auto found = model(other, {}, &cache);
  CHECK(numbers::distance(found.to_vector(), slice(expected, 1, 4, 5).to_vector()) < 1e-13);

  cache.truncate({4, 4});
  cache.reorder({1, 1, 0});
  CHECK(cache.batch() == 3);
  const auto moved = model(Ids({3, 1}, {7, 7, 3}), {}, &cache);
  const std::int64_t from[] = {1, 1, 0};
  for (std::int64_t b = 0; b < 3; ++b)
    CHECK(numbers::distance(slice(moved, 0, b, b + 1).to_vector(), part(expected, from[b], 4, 5).to_vector()) < 1e-13);
}

TEST_CASE("appending places tokens behind those of each row") {
  Cache cache(2, 5);
  CHECK(cache.append(0, counted(2, 2, 1)).keys.to_vector() == std::vector<double>{1, 2, 3, 4});
  CHECK(cache.lengths() == Lengths{0, 0});  // until the model advances
  cache.advance(2);
  cache.truncate({1, 2});
  const auto all = cache.append(0, counted(2, 2, 10));
  CHECK(all.keys.shape() == Shape{2, 1, 4, 1});
  CHECK(all.keys.to_vector() == std::vector<double>{1, 10, 11, 0, 3, 4, 12, 13});
  CHECK(all.values.to_vector() == std::vector<double>{-1, -10, -11, 0, -3, -4, -12, -13});
  CHECK(cache.next_positions(2).to_vector() == std::vector<std::int32_t>{1, 2, 2, 3});
  CHECK(cache.mask_rows(2).to_vector() == std::vector<std::int32_t>{1, 0, 3, 2, 0, 4});
  CHECK(cache.key_positions(2).to_vector() == std::vector<std::int32_t>{0, 1, 2, 3});
  CHECK(cache.key_positions(2).shape() == Shape{1, 4});
  cache.advance(2);
  CHECK(cache.lengths() == Lengths{3, 4});
  CHECK(cache.longest() == 4);
  cache.clear();
  CHECK(cache.lengths() == Lengths{0, 0});
  CHECK(cache.append(0, counted(2, 1, 7)).keys.to_vector() == std::vector<double>{7, 8});
}

TEST_CASE("memories of cross-attention move with the rows and are cleared") {
  Cache cache(2, 5);
  CHECK_FALSE(cache.memory(0).keys.defined());
  cache.memory(0) = counted(2, 3, 1);
  cache.reorder({1, 0, 1});
  CHECK(cache.memory(0).keys.to_vector() == std::vector<double>{4, 5, 6, 1, 2, 3, 4, 5, 6});
  CHECK(cache.memory(0).values.to_vector() == std::vector<double>{-4, -5, -6, -1, -2, -3, -4, -5, -6});
  cache.clear();
  CHECK_FALSE(cache.memory(0).keys.defined());
}

TEST_CASE("what does not fit into a cache is refused, and it stays usable") {
  Cache cache(2, 5);
  cache.append(0, counted(2, 4, 1));
  cache.advance(4);
  const auto refused = [&](auto error, const auto& call, const char* text) {
    using E = decltype(error);
    CHECK_THROWS_AS(call(), E);
    CHECK_THROWS_WITH(call(), Contains(text));
  };
  const ArgumentError argument("");
  const ShapeError shape("");
  refused(
      argument, [&] { cache.append(0, counted(2, 2, 1)); }, "cache: 2 tokens after 4 exceed the capacity of 5");
  refused(
      shape, [&] { cache.append(0, counted(3, 1, 1)); }, "cache: keys (3, 1, 1, 1)");
  refused(
      shape,
      [&] {
        cache.append(0, {Tensor<double>({2, 2, 1, 1}), Tensor<double>({2, 2, 1, 1})});
      },
      "layer 0, (2, 1, 5, 1)");
  refused(
      shape,
      [&] {
        cache.append(0, {Tensor<double>({2, 1, 1, 1}), Tensor<double>({2, 1, 1, 2})});
      },
      "values (2, 1, 1, 2)");
  refused(
      argument, [&] { cache.append(2, counted(2, 1, 1)); }, "cache: layer 2 comes after layer 1");
  refused(
      argument, [&] { cache.memory(-1); }, "cache: layer -1");
  refused(
      argument, [&] { cache.truncate({1}); }, "cache: 1 lengths for 2 rows");
  refused(
      argument,
      [&] {
        cache.truncate({1, 5});
      },
      "cache: row 1 holds 4 tokens and cannot be truncated to 5");
  refused(
      argument,
      [&] {
        cache.truncate({-1, 2});
      },
      "row 0");
  refused(
      argument,
      [&] {
        cache.reorder({0, 2});
      },
      "cache: there is no row 2 of 2");
  refused(
      argument, [&] { Cache(-1, 2); }, "batch -1");
  refused(
      argument, [&] { Cache(1, -2); }, "capacity -2");
  auto wanted = counted(2, 1, 1);
  require_gradient(wanted.keys);
  refused(
      GradientError(""), [&] { cache.append(0, wanted); }, "cache: no gradient passes it");
  CHECK(cache.lengths() == Lengths{4, 4});
  CHECK(cache.append(0, counted(2, 1, 30)).keys.to_vector() == std::vector<double>{1, 2, 3, 4, 30, 5, 6, 7, 8, 31});
}

TEST_CASE("a decoder whose step fails leaves the cache as it was") {
  const auto model = decoder(gpt);
  const NoGradient no_gradient;
  Cache cache(1, 12);
  model(some_ids(1, 5), {}, &cache);
  CHECK_THROWS_AS(model(Ids({1, 1}, {99}), {}, &cache), ArgumentError);
  CHECK_THROWS_WITH(model(some_ids(1, 8), {}, &cache),
                    "decoder: a sequence of 13 tokens is longer than the context of 12");
  CHECK_THROWS_AS(model(some_ids(2, 1), {}, &cache), ShapeError);
  CHECK(cache.lengths() == Lengths{5});
  Cache small(1, 6);
  model(some_ids(1, 5), {}, &small);
  CHECK_THROWS_WITH(model(some_ids(1, 2), {}, &small), Contains("exceed the capacity of 6"));
  CHECK(small.lengths() == Lengths{5});
}
