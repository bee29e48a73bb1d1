// SPDX-License-Identifier: MIT
// What the Trainer finds in a model: parameters that no gradient reached, parts that are frozen, dropouts.
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include <plinth/models/decoder.hpp>
#include <plinth/ops/reduction.hpp>
#include <plinth/train/sgd.hpp>
#include <plinth/train/trainer.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"
#include "train/runs.hpp"

using namespace plinth;
using Catch::Matchers::Contains;
using runs::data;
using runs::tiny;
using runs::weights;

namespace {

/// A model without a config, and with a parameter that the loss does not depend on.
struct Broken {
  using element = float;
  using device = Cpu;
  Decoder<float> inner{tiny};
  Tensor<float> forgotten{{1}, {1}};

  Broken() { require_gradient(forgotten); }
  Tensor<float> loss(const Tensor<std::int32_t>& tokens, const Tensor<std::int32_t>& targets) const {
    return inner.loss(tokens, targets);
  }
  static void visit(auto& self, auto&& f) {
    f("inner", self.inner);
    f("forgotten", self.forgotten);
  }
};

/// A model of a user's own whose dropouts nobody has told apart.
struct TwoDropouts {
  using element = float;
  using device = Cpu;
  Tensor<float> weight{{64}, std::vector<float>(64, 1)};
  Dropout first{0.5}, second{0.5};

  TwoDropouts() { require_gradient(weight); }
  static void visit(auto& self, auto&& f) {
    f("weight", self.weight);
    f("first", self.first);
    f("second", self.second);
  }
};

template <class M>
std::vector<std::uint32_t> dropout_sites(const M& model) {
  std::vector<std::uint32_t> all;
  walk("", model, [&](const std::string&, const auto& part) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(part)>, Dropout>) all.push_back(part.site);
  });
  return all;
}

}  // namespace

TEST_CASE("the trainer gives the dropouts of a model masks of their own") {
  TwoDropouts model;
  std::vector<float> first, second;
  Trainer(model, {.steps = 1}).fit([&](const MicroStep&) {
    first = model.first(model.weight).to_vector();
    second = model.second(model.weight).to_vector();
    return sum(model.weight);
  });
  CHECK(first != second);
  Decoder<float> decoder(tiny);
  const auto sites = dropout_sites(decoder);
  REQUIRE(sites.size() > 1);
  const Trainer trainer(decoder, {});
  CHECK(dropout_sites(decoder) == sites);
}

TEST_CASE("the trainer names parameters that no gradient reached") {
  Broken model;
  Trainer trainer(model, {.steps = 1, .batch = 2, .context = 8});
  CHECK_THROWS_WITH(trainer.fit(data()), "trainer: no gradient reached forgotten");
  Decoder<float> frozen(tiny);
  set_trainable(frozen, false);
  Trainer nothing_to_do(frozen, {.steps = 1, .batch = 2});
  CHECK_THROWS_AS(nothing_to_do.fit(data()), GradientError);
}

TEST_CASE("the trainer needs a context from the options where the model has none") {
  Broken model;
  CHECK_THROWS_WITH(Trainer(model, {.steps = 1, .batch = 2}).fit(data()), Contains("no config.context"));
}

TEST_CASE("a part of a model can be frozen") {
  Decoder<float> model(tiny);
  set_trainable(model.input.token_embedding, false);
  set_trainable(model.stack.blocks, false);
  const auto embedding = model.input.token_embedding.weight.to_vector(), up = model.stack.blocks[0].feed_forward.up.weight.to_vector();
  const auto positions = model.input.position_embedding->weight.to_vector();
  Trainer(model, {.steps = 2, .batch = 2}).fit(data());
  CHECK(model.input.token_embedding.weight.to_vector() == embedding);
  CHECK(model.stack.blocks[0].feed_forward.up.weight.to_vector() == up);
  CHECK(model.input.position_embedding->weight.to_vector() != positions);
}

TEST_CASE("freezing and unfreezing reach an optimiser that was made before") {
  Decoder<float> model(tiny);
  set_trainable(model.stack.blocks, false);
  Trainer trainer(model, {.steps = 2, .batch = 2});
  const auto start = model.stack.blocks[0].feed_forward.up.weight.to_vector();
  trainer.fit(data(), [](const TrainingStep&) { return false; });
  CHECK(model.stack.blocks[0].feed_forward.up.weight.to_vector() == start);
  set_trainable(model.stack.blocks, true);
  trainer.fit(data());
  CHECK(model.stack.blocks[0].feed_forward.up.weight.to_vector() != start);

  const auto batch = data().batch(2, 8, 1, 0);
  backward(cross_entropy(model(batch.inputs), batch.targets));
  set_trainable(model, false);
  const auto frozen = weights(model);
  AdamW(model).step(0.1);
  CHECK(weights(model) == frozen);
}
