// SPDX-License-Identifier: MIT
// The dropout layer: when it acts, that its masks are a function of step and name, and its gradient.
#include <plinth/layers/dropout.hpp>

#include <set>
#include <vector>

#include <plinth/autograd/gradcheck.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"

using namespace plinth;

namespace {

using Doubles = std::vector<double>;

const Tensor<double> thousand_ones({1000}, Doubles(1000, 1));

struct Pair {
  Dropout first{0.5}, second{0.5};
  static void visit(auto& self, auto&& f) {
    f("first", self.first);
    f("second", self.second);
  }
};

struct Model {
  std::vector<Pair> pairs = std::vector<Pair>(3);
  Dropout last{0.5};
  static void visit(auto& self, auto&& f) {
    f("pairs", self.pairs);
    f("last", self.last);
  }
};

Doubles mask(const Dropout& layer, std::int64_t step) {
  const TrainingScope<Cpu> training(1, step);
  return layer(thousand_ones).to_vector();
}

}  // namespace

TEST_CASE("dropout is the identity outside a training scope") {
  const Dropout layer{0.5, 3};
  CHECK(layer(thousand_ones).data() == thousand_ones.data());
  const TrainingScope<Cpu> training(1, 0);
  CHECK(layer(thousand_ones).to_vector() != thousand_ones.to_vector());
  CHECK(Dropout{0.0, 3}(thousand_ones).data() == thousand_ones.data());
  CHECK(Dropout{1.0, 3}(thousand_ones).to_vector() == Doubles(1000, 0));
}

TEST_CASE("masks are a function of step and site") {
  const Dropout layer{0.5, 3}, other{0.5, 4};
  CHECK(mask(layer, 0) == mask(layer, 0));
  CHECK(mask(layer, 0) != mask(layer, 1));
  CHECK(mask(layer, 0) != mask(other, 0));
}

TEST_CASE("every dropout of a model has a site of its own") {
  Model model;
  name_dropout_sites(model);
  CHECK(model.last.site == random_site("last"));
  CHECK(model.pairs[2].second.site == random_site("pairs.2.second"));
  std::set<std::uint32_t> sites = {model.last.site};
  for (const Pair& pair : model.pairs) sites.insert({pair.first.site, pair.second.site});
  CHECK(sites.size() == 7);
}

TEST_CASE("the gradient passes where the value did") {
  const TrainingScope<Cpu> training(1, 7);
  const Dropout layer{0.3, 3};
  auto x = clone(thousand_ones);
  require_gradient(x);
  const auto y = layer(x);
  backward(y, thousand_ones);
  CHECK(gradient(x).to_vector() == y.to_vector());
  CHECK(gradcheck<Cpu>([&](const auto& in) { return layer(in[0]); },
                       {Tensor<double>({4, 5}, numbers::normal<double>(20, 1))}) == "");
}

TEST_CASE("a probability below 0 or above 1 is refused") {
  CHECK_THROWS_WITH(dropout(thousand_ones, 1.5, 0), "dropout: probability 1.5 is outside [0, 1]");
  CHECK_THROWS_AS(dropout(thousand_ones, -0.1, 0), ArgumentError);
  CHECK_THROWS_AS(dropout(thousand_ones, std::numeric_limits<double>::quiet_NaN(), 0), ArgumentError);
}
