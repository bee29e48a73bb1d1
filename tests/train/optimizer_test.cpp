// SPDX-License-Identifier: MIT
// The optimisers over a model, against PyTorch's numbers; groups, state, shared parameters and refusals.
#include <plinth/train/optimizer.hpp>

#include <limits>
#include <string>
#include <vector>

#include <plinth/io/safetensors_file.hpp>
#include <plinth/ops/arithmetic.hpp>
#include <plinth/ops/reduction.hpp>
#include <plinth/train/adam.hpp>
#include <plinth/train/clip.hpp>
#include <plinth/train/sgd.hpp>

#include "catch.hpp"

using namespace plinth;
using Catch::Matchers::Contains;

namespace {

using Doubles = std::vector<double>;

template <class T>
struct Model {
  using element = T;
  using device = Cpu;
  Tensor<T> matrix{{2, 2}, {T(1.0f), T(-2.0f), T(0.5f), T(3.0f)}};
  Tensor<T> bias{{2}, {T(1.0f), T(-1.0f)}};

  Model() { set_trainable(*this, true); }
  static void visit(auto& self, auto&& f) {
    f("matrix", self.matrix);
    f("bias", self.bias);
  }
};

/// The gradient of sum(matrix^2 / 2 * c) + sum(bias * d) with c and d of the step.
template <class T>
void backward_of_step(const Model<T>& model, int step) {
  const Tensor<T> c({2, 2}, {T(1), T(0.1 * step), T(-2), T(1e-3)}), d({2}, {T(step), T(-0.01)});
  backward(sum(model.matrix * model.matrix * c) * 0.5 + sum(model.bias * d));
}

/// All elements of all parameters.
template <class M>
Doubles values(const M& model) {
  Doubles all;
  for_each_parameter(model, [&](const std::string&, const auto& x) {
    for (const auto value : x.to_vector()) all.push_back(static_cast<double>(value));
  });
  return all;
}

/// Steps from `from` to 6 at rates 0.02, 0.04, ... of the optimiser that make(model) returns; the weights after each.
template <class T, class Optimizer>
Doubles steps(Model<T>& model, Optimizer& optimizer, int from = 1) {
  Doubles all;
  for (int step = from; step <= 6; ++step) {
    backward_of_step(model, step);
    optimizer.step(0.02 * step);
    clear_gradients(model);
    for (const double value : values(model)) all.push_back(value);
  }
  return all;
}

/// The trajectories in tests/golden/training.safetensors, in double and in float.
template <class Make>
void agrees(const std::string& name, const Make& make) {
  const auto expected = SafetensorsFile("tests/golden/training.safetensors").read<double>("optimizer." + name);
  const auto compare = [&]<class T>(T, double tolerance) {
    Model<T> model;
    auto optimizer = make(model);
    const auto found = steps(model, optimizer);
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      INFO(name << ", number " << i);
      CHECK(found[i] == Approx(expected[i]).epsilon(tolerance).margin(tolerance));
    }
  };
  compare(double(), 1e-12);
  compare(float(), 2e-6);
}

constexpr AdamSettings adam = {.beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .weight_decay = 0.1};

bool is_bias(std::string_view name) { return name == "bias"; }

/// A model with two names for one parameter.
struct Tied {
  using element = double;
  using device = Cpu;
  Tensor<double> first{{2}, {1, 2}}, second;

  explicit Tied(bool share_gradient) {
    if (share_gradient) require_gradient(first);
    second = first;
    set_trainable(*this, true);
  }
  static void visit(auto& self, auto&& f) {
    f("first", self.first);
    f("second", self.second);
  }
};

template <class Change>
void refuses_adam(const char* text, Change change) {
  Model<double> model;
  AdamSettings settings;
  change(settings);
  CHECK_THROWS_AS(Adam(model, settings), ArgumentError);
  CHECK_THROWS_WITH(AdamW(model, settings), Contains(text));
}

}  // namespace

TEST_CASE("optimisers step by step as in PyTorch") {
  agrees("sgd", [](auto& model) { return Sgd(model, {.weight_decay = 0.1}); });
  agrees("sgd_momentum", [](auto& model) { return Sgd(model, {.momentum = 0.9, .weight_decay = 0.1}); });
  agrees("sgd_nesterov",
         [](auto& model) { return Sgd(model, {.momentum = 0.9, .weight_decay = 0.1, .nesterov = true}); });
  agrees("adam", [](auto& model) { return Adam(model, adam); });
  agrees("adamw", [](auto& model) { return AdamW(model, adam); });
}

TEST_CASE("groups have a rate factor and a decay of their own") {
  const ParameterGroup group = {.rate_factor = 0.5, .weight_decay = 0.3};
  agrees("adam_groups", [&](auto& model) {
    Adam optimizer(model, adam);
    optimizer.set_group([](std::string_view) { return true; }, {.weight_decay = 0.1});
    optimizer.set_group(is_bias, group);  // the later one counts
    return optimizer;
  });
  agrees("adamw_groups", [&](auto& model) {
    AdamW optimizer(model, adam);
    optimizer.set_group(is_bias, group);
    return optimizer;
  });
  Model<double> model;
  Sgd optimizer(model);
  optimizer.set_group(is_bias, {.rate_factor = 0});
  backward_of_step(model, 1);
  optimizer.step(0.1);
  CHECK(model.bias.to_vector() == Doubles{1, -1});
  CHECK(model.matrix.to_vector() != Doubles{1, -2, 0.5, 3});
  CHECK_THROWS_WITH(optimizer.set_group([](std::string_view name) { return name == "biases"; }, {}),
                    "sgd: no parameter belongs to the group; names are as \"matrix\"");
  CHECK_THROWS_AS(optimizer.set_group(is_bias, {.rate_factor = -1}), ArgumentError);
  CHECK_THROWS_AS(optimizer.set_group(is_bias, {.weight_decay = std::numeric_limits<double>::quiet_NaN()}),
                  ArgumentError);
}

TEST_CASE("an optimiser is a module of its state, from which another goes on") {
  Model<float> model, other;
  AdamW optimizer(model, adam), later(other, adam);
  for (int step = 1; step <= 3; ++step) {
    backward_of_step(model, step);
    optimizer.step(0.02 * step);
    clear_gradients(model);
  }
  std::vector<std::string> names;
  for_each_parameter(optimizer, [&](const std::string& name, const Tensor<float>&) { names.push_back(name); });
  CHECK(names == std::vector<std::string>{"matrix.first", "matrix.second", "bias.first", "bias.second"});
  CHECK(values(optimizer) != values(later));
  copy_state(model, other);
  copy_state(optimizer, later);
  later.set_steps(optimizer.steps());
  CHECK(steps(other, later, 4) == steps(model, optimizer, 4));
  CHECK(optimizer.steps() == 6);
  CHECK_THROWS_AS(later.set_steps(-1), ArgumentError);

  Sgd with(model, {.momentum = 0.5}), without(model);
  CHECK(values(with) == Doubles(6));
  CHECK(values(without).empty());
}

TEST_CASE("a step that must not proceed changes nothing and counts") {
  const Tensor<double> no(Shape(), {0}), yes(Shape(), {1});
  Model<double> model;
  AdamW optimizer(model, adam);
  Sgd other(model, {.momentum = 0.9});
  const auto before = values(model);
  backward(sum(model.matrix * std::numeric_limits<double>::infinity()));
  optimizer.step(0.1, {.proceed = no});
  other.step(0.1, {.proceed = no});
  CHECK(values(model) == before);
  CHECK(values(optimizer) == Doubles(12));
  CHECK(values(other) == Doubles(6));
  CHECK(optimizer.steps() == 1);
  clear_gradients(model);
  backward_of_step(model, 1);
  optimizer.step(0.1, {.proceed = yes});
  CHECK(values(model) != before);
}

TEST_CASE("a factor of the gradients is as if they were scaled") {
  const auto weights_after = [](auto make_step) {
    Model<double> model;
    AdamW optimizer(model, adam);
    Sgd other(model, {.momentum = 0.9});
    for (int step = 1; step <= 3; ++step) {
      backward_of_step(model, step);
      make_step(model, optimizer, other);
      clear_gradients(model);
    }
    return values(model);
  };
  const auto scaled = weights_after([](auto& model, auto& optimizer, auto& other) {
    CHECK(clip_gradient_norm(model, 0.25).item() > 0.25);
    optimizer.step(0.1);
    other.step(0.01);
  });
  const auto told = weights_after([](auto& model, auto& optimizer, auto& other) {
    const double factor = 0.25 / (gradient_norm(model).item() + 1e-6);
    const Tensor<double> on_device(Shape(), {factor});
    optimizer.step(0.1, {.gradient_factor = on_device});
    other.step(0.01, {.gradient_factor = on_device});
  });
  for (std::size_t i = 0; i < scaled.size(); ++i) CHECK(told[i] == Approx(scaled[i]).epsilon(1e-12));
}

TEST_CASE("parameters without a gradient stay as they are") {
  Model<double> model;
  const auto before = model.matrix.to_vector();
  AdamW optimizer(model, {.weight_decay = 0.1});
  backward(sum(model.bias));
  optimizer.step(0.1);
  CHECK(model.matrix.to_vector() == before);
  CHECK(model.bias.to_vector()[0] == Approx(0.9).epsilon(1e-6));  // the first step has the size of the rate
}

TEST_CASE("a parameter with two names is stepped, clipped and counted once") {
  Tied model(true);
  CHECK(parameter_count(model) == 2);
  Sgd optimizer(model);
  backward(sum(model.first * 3) + sum(model.second));
  CHECK(gradient_norm(model).item() == Approx(std::sqrt(32.0)));
  clip_gradient_norm(model, 1);
  CHECK(gradient(model.first).to_vector()[0] == Approx(4 / std::sqrt(32.0)));
  optimizer.step(1);
  CHECK(model.second.to_vector()[1] == Approx(2 - 4 / std::sqrt(32.0)));

  Tied apart(false);
  CHECK_THROWS_AS(Sgd(apart), ArgumentError);
  CHECK_THROWS_WITH(AdamW(apart), Contains("parameters first and second share memory but not a gradient"));
}

TEST_CASE("optimisers refuse settings out of range") {
  refuses_adam("adamw: beta1 1 must be in [0, 1)", [](auto& s) { s.beta1 = 1; });
  refuses_adam("beta1 -0.1", [](auto& s) { s.beta1 = -0.1; });
  refuses_adam("beta2 1.5", [](auto& s) { s.beta2 = 1.5; });
  refuses_adam("beta2", [](auto& s) { s.beta2 = std::numeric_limits<double>::quiet_NaN(); });
  refuses_adam("epsilon -1", [](auto& s) { s.epsilon = -1; });
  refuses_adam("epsilon 0 must be positive, or weights without a gradient become 0 / 0", [](auto& s) { s.epsilon = 0; });
  refuses_adam("weight_decay -1", [](auto& s) { s.weight_decay = -1; });
  Model<double> model;
  CHECK_THROWS_WITH(Sgd(model, {.momentum = 1}), "sgd: momentum 1 must be in [0, 1)");
  CHECK_THROWS_WITH(Sgd(model, {.weight_decay = -2}), "sgd: weight_decay -2 must be at least 0");
  CHECK_THROWS_WITH(Sgd(model, {.nesterov = true}), "sgd: nesterov's momentum 0 must be above 0");
  Model<float> single;
  CHECK_THROWS_WITH(AdamW(single, {.epsilon = 1e-60}), Contains("epsilon 1e-60 must be positive"));  // 0 as a float
  Sgd optimizer(model);
  for (const double rate : {-0.1, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()})
    CHECK_THROWS_WITH(optimizer.step(rate), Contains("must be finite and not negative"));
  CHECK(optimizer.steps() == 0);
  std::vector<double> memory(4);
  model.matrix = Tensor<double>::view_of(memory.data(), {2, 2}, {1, 2});
  CHECK_THROWS_WITH(AdamW(model), "adamw: matrix has strides (1, 2); it must be dense in memory, as plinth::clone makes it");
}
