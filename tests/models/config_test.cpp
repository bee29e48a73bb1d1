// SPDX-License-Identifier: MIT
// Decoder configs: what follows from what, and every error by name.
#include <plinth/models/config.hpp>

#include <limits>

#include "catch.hpp"

using namespace plinth;
using Catch::Matchers::Contains;

namespace {

const TransformerConfig good = {.vocabulary = 11, .context = 8, .hidden = 12, .layers = 2, .heads = 3};

template <class Change>
void refuses(const char* text, Change change) {
  TransformerConfig config = good;
  change(config);
  CHECK_THROWS_AS(detail::completed(config), ArgumentError);
  CHECK_THROWS_WITH(detail::completed(config), Contains(text));
}

}  // namespace

TEST_CASE("sizes left out follow from the others") {
  const auto config = detail::completed(good);
  CHECK(config.key_heads == 3);
  CHECK(config.feed_forward == 48);
  TransformerConfig given = good;
  given.key_heads = 1;
  given.feed_forward = 20;
  CHECK(detail::completed(given).key_heads == 1);
  CHECK(detail::completed(given).feed_forward == 20);
}

TEST_CASE("the defaults are GPT-2's shape, llama_shape changes the kinds alone") {
  CHECK(good.norm == NormKind::layer);
  CHECK(good.activation == ActivationKind::gelu_tanh);
  CHECK(good.position == PositionKind::learned);
  CHECK((good.bias && good.tied_head && !good.gated));
  const auto llama = llama_shape(good);
  CHECK(llama.norm == NormKind::rms);
  CHECK(llama.activation == ActivationKind::silu);
  CHECK(llama.position == PositionKind::rotary);
  CHECK((!llama.bias && !llama.tied_head && llama.gated));
  CHECK(llama.hidden == good.hidden);
  CHECK(llama.context == good.context);
}

TEST_CASE("a config that cannot be is refused by the field's name") {
  for (const std::int64_t size : {std::int64_t{-1}, std::int64_t{1} << 31, std::numeric_limits<std::int64_t>::max()}) {
    refuses("vocabulary is ", [=](auto& c) { c.vocabulary = size; });
    refuses("context is ", [=](auto& c) { c.context = size; });
    refuses("hidden is ", [=](auto& c) { c.hidden = size; });
    refuses("layers is ", [=](auto& c) { c.layers = size; });
    refuses("heads is ", [=](auto& c) { c.heads = size; });
    refuses("key_heads is ", [=](auto& c) { c.key_heads = size; });
    refuses("feed_forward is ", [=](auto& c) { c.feed_forward = size; });
  }
  refuses("vocabulary is 0, must be positive", [](auto& c) { c.vocabulary = 0; });
  refuses("context is 0", [](auto& c) { c.context = 0; });
  refuses("hidden is 0", [](auto& c) { c.hidden = 0; });
  refuses("layers is 0", [](auto& c) { c.layers = 0; });
  refuses("heads is 0", [](auto& c) { c.heads = 0; });
  refuses("hidden 12 is not a multiple of heads 5", [](auto& c) { c.heads = 5; });
  refuses("dropout 1 is outside [0, 1)", [](auto& c) { c.dropout = 1; });
  refuses("dropout -0.1", [](auto& c) { c.dropout = -0.1; });
  refuses("attention_dropout 1 is outside [0, 1)", [](auto& c) { c.attention_dropout = 1; });
  refuses("dropout nan", [](auto& c) { c.dropout = std::numeric_limits<double>::quiet_NaN(); });
  refuses("heads 3 is not a multiple of key_heads 2", [](auto& c) { c.key_heads = 2; });
  for (const double deviation : {0.0, -0.02, std::numeric_limits<double>::infinity(),
                                 std::numeric_limits<double>::quiet_NaN()})
    refuses("initial_deviation ", [=](auto& c) { c.initial_deviation = deviation; });
  refuses("norm_epsilon -1 is negative", [](auto& c) { c.norm_epsilon = -1; });
  refuses("rope_theta 0 is not positive", [](auto& c) { c = llama_shape(c), c.rope_theta = 0; });
  refuses("rope scaling: factor 0.5 is not a number of at least 1", [](auto& c) {
    c = llama_shape(c), c.hidden = 24, c.rope_scaling = {.kind = RopeScalingKind::linear, .factor = 0.5};
  });
  refuses("rotary positions need an even head size, not 3", [](auto& c) { c = llama_shape(c), c.heads = 4; });
}
