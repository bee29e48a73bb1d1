// SPDX-License-Identifier: MIT
// Clipping by the global norm.
#include <plinth/train/clip.hpp>

#include <limits>
#include <string>
#include <vector>

#include <plinth/ops/reduction.hpp>

#include "catch.hpp"

using namespace plinth;

namespace {

using Doubles = std::vector<double>;

struct Model {
  using element = double;
  using device = Cpu;
  Tensor<double> first{{2}, {0, 0}}, second{{1, 1}, {0}}, unused{{3}, {0, 0, 0}};

  static void visit(auto& self, auto&& f) {
    f("first", self.first);
    f("second", self.second);
    f("unused", self.unused);
  }
};

/// A model whose gradients are (3, -4) and ((12)), none in the third parameter.
Model with_gradients(double scale = 1) {
  Model model;
  set_trainable(model, true);
  backward((sum(model.first * Tensor<double>({2}, {3, -4})) + sum(model.second * 12.0)) * scale);
  return model;
}

}  // namespace

TEST_CASE("the norm of all gradients together") {
  CHECK(gradient_norm(with_gradients()).item() == 13);
  CHECK(gradient_norm(with_gradients()).shape() == Shape());
  Model untouched;
  CHECK(gradient_norm(untouched).item() == 0);
}

TEST_CASE("clipping as in PyTorch") {
  // a.grad = tensor([3., -4]); b.grad = tensor([[12.]]); clip_grad_norm_([a, b], 1.0); a.grad, b.grad
  const auto model = with_gradients();
  CHECK(clip_gradient_norm(model, 1.0).item() == 13);
  const auto first = gradient(model.first).to_vector();
  CHECK(first[0] == Approx(0.230769213018).epsilon(1e-11));
  CHECK(first[1] == Approx(-0.307692284024).epsilon(1e-11));
  CHECK(gradient(model.second).item() == Approx(0.923076852071).epsilon(1e-11));
  CHECK_FALSE(gradient(model.unused).defined());
}

TEST_CASE("gradients below the limit stay as they are") {
  const auto model = with_gradients();
  CHECK(clip_gradient_norm(model, 13.1).item() == 13);
  CHECK(gradient(model.first).to_vector() == Doubles{3, -4});
  Model untouched;
  CHECK(clip_gradient_norm(untouched, 1).item() == 0);
}

TEST_CASE("a norm that is not finite is returned as such") {
  const auto model = with_gradients(std::numeric_limits<double>::infinity());
  CHECK(clip_gradient_norm(model, 1).item() == std::numeric_limits<double>::infinity());
}

TEST_CASE("the limit is positive") {
  const auto model = with_gradients();
  CHECK_THROWS_WITH(clip_gradient_norm(model, 0), "clip_gradient_norm: limit 0 is not positive");
  CHECK_THROWS_AS(clip_gradient_norm(model, -1), ArgumentError);
  CHECK_THROWS_AS(clip_gradient_norm(model, std::numeric_limits<double>::quiet_NaN()), ArgumentError);
}
