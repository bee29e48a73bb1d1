// SPDX-License-Identifier: MIT
// The feed-forward part, plain and gated, against its formula and by differences.
#include <plinth/models/feed_forward.hpp>

#include <cmath>
#include <string>
#include <vector>

#include <plinth/autograd/gradcheck.hpp>
#include <plinth/autograd/module.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"

using namespace plinth;

namespace {

/// Weights in the order of visit, set to random numbers.
void randomise(FeedForward<double>& module) {
  std::uint32_t site = 0;
  for_each_parameter(module, [&](const std::string&, Tensor<double>& x) {
    x = Tensor<double>(x.shape(), numbers::normal<double>(x.count(), ++site));
  });
}

double silu_of(double x) { return x / (1 + std::exp(-x)); }

}  // namespace

TEST_CASE("a feed-forward has its parts by name") {
  std::vector<std::string> names;
  const FeedForward<double> plain(4, 6, ActivationKind::gelu, false, true),
      gated(4, 6, ActivationKind::silu, true, false);
  for_each_parameter(plain, [&](const std::string& name, const auto&) { names.push_back(name); });
  CHECK(names == std::vector<std::string>{"up.weight", "up.bias", "down.weight", "down.bias"});
  names.clear();
  for_each_parameter(gated, [&](const std::string& name, const auto&) { names.push_back(name); });
  CHECK(names == std::vector<std::string>{"gate.weight", "up.weight", "down.weight"});
  names.clear();
  const FeedForward<double> learned(4, 6, ActivationKind::swish, false, false);
  for_each_parameter(learned, [&](const std::string& name, const auto&) { names.push_back(name); });
  CHECK(names == std::vector<std::string>{"up.weight", "down.weight", "beta"});
  CHECK(learned.beta.item() == 1);
}

TEST_CASE("the gated form by hand") {
  // One channel: y = d silu(g x) u x
  FeedForward<double> module(1, 1, ActivationKind::silu, true, false);
  module.gate->weight = Tensor<double>({1, 1}, {2});
  module.up.weight = Tensor<double>({1, 1}, {3});
  module.down.weight = Tensor<double>({1, 1}, {0.5});
  const double x = 0.7;
  CHECK(module(Tensor<double>({1, 1, 1}, {x})).item() == Approx(0.5 * silu_of(2 * x) * 3 * x).epsilon(1e-14));
}

TEST_CASE("each kind of activation is the one that was asked for") {
  // PyTorch: relu(x), gelu(x), gelu(x, approximate="tanh"), silu(x), x * sigmoid(2 * x), sigmoid(x) of x = 1.5
  const auto at = [](ActivationKind kind) {
    FeedForward<double> module(1, 1, kind, false, false);
    if (module.beta.defined()) module.beta = Tensor<double>(Shape(), {2});
    module.up.weight = module.down.weight = Tensor<double>({1, 1}, {1});
    return module(Tensor<double>({1, 1, 1}, {1.5})).item();
  };
  CHECK(at(ActivationKind::gelu) == Approx(1.39978919809671).epsilon(1e-12));
  CHECK(at(ActivationKind::gelu_tanh) == Approx(1.39957157698023).epsilon(1e-12));
  CHECK(at(ActivationKind::silu) == Approx(1.22636171429047).epsilon(1e-12));
  CHECK(at(ActivationKind::relu) == 1.5);
  CHECK(at(ActivationKind::swish) == Approx(1.42886119023365).epsilon(1e-12));
  CHECK(at(ActivationKind::sigmoid) == Approx(0.81757447619364).epsilon(1e-12));
}

TEST_CASE("gradients of feed-forwards") {
  for (const bool gated : {false, true})
    for (const auto kind : {ActivationKind::relu, ActivationKind::gelu, ActivationKind::gelu_tanh, ActivationKind::silu,
                            ActivationKind::swish, ActivationKind::sigmoid}) {
      FeedForward<double> module(3, 5, kind, gated, true);
      randomise(module);
      std::vector<Tensor<double>> inputs = {Tensor<double>({2, 2, 3}, numbers::normal<double>(12, 99))};
      for_each_parameter(module, [&](const std::string&, const Tensor<double>& x) { inputs.push_back(x); });
      CHECK(gradcheck<Cpu>(
                [&](const auto& in) {
                  auto changed = module;
                  std::size_t k = 1;
                  for_each_parameter(changed, [&](const std::string&, Tensor<double>& x) { x = in[k++]; });
                  return changed(in[0]);
                },
                inputs) == "");
    }
}
