// SPDX-License-Identifier: MIT
// AdamW over a model, against PyTorch's numbers.
#include <plinth/train/adam.hpp>

#include <limits>
#include <string>
#include <vector>

#include <plinth/ops/reduction.hpp>

#include "catch.hpp"

using namespace plinth;

namespace {

using Doubles = std::vector<double>;

template <class T>
struct Model {
  using element = T;
  using device = Cpu;
  Tensor<T> matrix{{2, 2}, {T(1), T(-2), T(0.5), T(3)}};
  Tensor<T> bias{{2}, {T(1), T(-1)}};

  Model() {
    require_gradient(matrix);
    require_gradient(bias);
  }
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

/// All weights after five steps at rates 0.1, 0.2, ...
template <class T>
Doubles after_five_steps(const AdamSettings& settings) {
  Model<T> model;
  AdamW optimizer(model, settings);
  for (int step = 1; step <= 5; ++step) {
    backward_of_step(model, step);
    optimizer.step(0.1 * step);
    clear_gradients(model);
  }
  Doubles all;
  for_each_parameter(model, [&](const std::string&, const Tensor<T>& x) {
    for (const T value : x.to_vector()) all.push_back(static_cast<double>(value));
  });
  return all;
}

void close(const Doubles& found, const Doubles& expected, double tolerance) {
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == Approx(expected[i]).epsilon(tolerance));
}

template <class Change>
void refuses(Change change) {
  Model<double> model;
  AdamSettings settings;
  change(settings);
  CHECK_THROWS_AS(AdamW(model, settings), ArgumentError);
}

}  // namespace

TEST_CASE("five steps of AdamW as in PyTorch") {
  // m = tensor([[1., -2], [0.5, 3]], dtype=double, requires_grad=True); b = tensor([1., -1], requires_grad=True)
  // o = AdamW([{"params": [m], "weight_decay": 0.1}, {"params": [b], "weight_decay": 0}], betas=(0.9, 0.95))
  // each step s = 1 .. 5: the loss above .backward(); lr = 0.1 s; o.step(); o.zero_grad()
  const AdamSettings settings = {.beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .weight_decay = 0.1};
  const Doubles expected = {-0.416673960539, -0.336682182038, 1.816565938599, 1.178972998343, -0.422115940135, 0.499998500002};
  close(after_five_steps<double>(settings), expected, 1e-10);
  close(after_five_steps<float>(settings), expected, 1e-5);
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

TEST_CASE("AdamW refuses settings out of range") {
  refuses([](auto& s) { s.beta1 = 1; });
  refuses([](auto& s) { s.beta1 = -0.1; });
  refuses([](auto& s) { s.beta2 = 1.5; });
  refuses([](auto& s) { s.beta2 = std::numeric_limits<double>::quiet_NaN(); });
  refuses([](auto& s) { s.epsilon = -1; });
  refuses([](auto& s) { s.weight_decay = -1; });
  Model<double> strided;
  std::vector<double> memory(4);
  strided.matrix = Tensor<double>::view_of(memory.data(), {2, 2}, {1, 2});
  CHECK_THROWS_WITH(AdamW(strided), "adamw: matrix has strides (1, 2)");
}
