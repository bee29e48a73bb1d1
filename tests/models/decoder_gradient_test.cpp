// SPDX-License-Identifier: MIT
// The decoder in double: batches, positions, tied heads, and the gradient of whole models against differences.
#include <plinth/models/decoder.hpp>

#include <cmath>
#include <string>
#include <vector>

#include <plinth/ops/cross_entropy.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"
#include "models/small_decoders.hpp"

using namespace plinth;
using small_decoders::gpt;
using small_decoders::Ids;
using small_decoders::llama;
using small_decoders::some_ids;

TEST_CASE("rows of a batch and positions given by hand change nothing") {
  for (const TransformerConfig& config : {gpt, llama}) {
    const Decoder<double> model(config);
    const NoGradient no_gradient;
    const auto ids = some_ids(3, 5);
    const auto together = model(ids);
    for (std::int64_t row = 0; row < 3; ++row) {
      const auto alone = model(slice(ids, 0, row, row + 1)).to_vector();
      CHECK(numbers::distance(alone, slice(together, 0, row, row + 1).to_vector()) < 1e-14);
    }
    const Ids counted({3, 5}, {0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4});
    CHECK(model(ids, counted).to_vector() == together.to_vector());
    const Ids shifted({3, 5}, {1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5});
    const double moved = numbers::distance(model(ids, shifted).to_vector(), together.to_vector());
    if (config.position == PositionKind::rotary)
      CHECK(moved < 1e-13);  // rotary attention sees distances alone
    else
      CHECK(moved > 1e-3);
  }
}

TEST_CASE("a tied head is the embedding, an untied one is not") {
  const Decoder<double> tied(gpt), untied(llama);
  CHECK_FALSE(tied.head.linear.weight.defined());
  CHECK(untied.head.linear.weight.defined());
  backward(cross_entropy(tied(Ids({1, 2}, {3, 4})), Ids({1, 2}, {4, 5})));
  const auto of_table = gradient(tied.input.token_embedding.weight).to_vector();
  // Through the head every row of the table receives something, not only the rows that were read.
  for (std::size_t row = 0; row < 11; ++row) CHECK(std::fabs(of_table[row * 12]) > 0);
  backward(cross_entropy(untied(Ids({1, 2}, {3, 4})), Ids({1, 2}, {4, 5})));
  const auto read = gradient(untied.input.token_embedding.weight).to_vector();
  CHECK(std::fabs(read[3 * 16]) > 0);
  CHECK(read[5 * 16] == 0);
  CHECK(unreached(tied).empty());
  CHECK(unreached(untied).empty());
}

TEST_CASE("gradients of whole decoders against differences") {
  for (TransformerConfig config : {gpt, llama}) {
    config.layers = 1;
    const Decoder<double> model(config);
    const auto ids = some_ids(2, 4), targets = some_ids(2, 4, 2);
    // Moving one vector of the model: every parameter along its own random direction.
    double slope = 0;
    std::vector<std::vector<double>> directions;
    backward(cross_entropy(model(ids), targets));
    for_each_parameter(model, [&](const std::string&, const Tensor<double>& x) {
      directions.push_back(numbers::normal<double>(x.count(), static_cast<std::uint32_t>(directions.size())));
      const auto g = gradient(x).to_vector();
      for (std::size_t i = 0; i < g.size(); ++i) slope += g[i] * directions.back()[i];
    });
    const auto loss_at = [&](double distance) {
      const NoGradient no_gradient;
      std::size_t k = 0;
      auto moved = model;
      for_each_parameter(moved, [&](const std::string&, Tensor<double>& x) {
        const auto& direction = directions[k++];
        x = clone(x);
        for (std::size_t i = 0; i < direction.size(); ++i) x.mutable_data()[i] += distance * direction[i];
      });
      return cross_entropy(moved(ids), targets).item();
    };
    const double numeric = (loss_at(1e-6) - loss_at(-1e-6)) / 2e-6;
    CHECK(slope == Approx(numeric).epsilon(1e-6));
  }
}

TEST_CASE("element i of a weight is a function of seed, name and i alone") {
  const auto values = Decoder<double>(gpt).input.token_embedding.weight.to_vector();
  const RandomStream stream{1, RandomPurpose::initialise, random_site("token_embedding.weight")};
  for (std::size_t i = 0; i < values.size(); ++i)
    if (values[i] != 0.02 * stream.normal(i)) FAIL_CHECK("element " << i);
}
