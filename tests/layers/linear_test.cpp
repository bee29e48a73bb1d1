// SPDX-License-Identifier: MIT
// The linear layer: values, gradients, fused activations, errors.
#include <plinth/layers/linear.hpp>

#include <vector>

#include <plinth/activation/gelu.hpp>
#include <plinth/activation/silu.hpp>
#include <plinth/autograd/gradcheck.hpp>
#include <plinth/autograd/module.hpp>
#include <plinth/ops/reduction.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"
#include "kernels/plain_backend.hpp"

using namespace plinth;
using Catch::Matchers::Contains;

namespace {

using Inputs = std::vector<Tensor<double>>;

template <class T = double, class D = Cpu>
Tensor<T, D> normal(const Shape& shape, std::uint32_t site) {
  return Tensor<T, D>(shape, numbers::normal<T>(element_count(shape), site));
}

/// Output and all gradients of an activated layer, one after the other.
template <class D, class F>
std::vector<float> forward_and_backward(std::int64_t rows, std::int64_t in, std::int64_t out, bool bias) {
  Linear<float, D> layer(in, out, bias);
  layer.weight = normal<float, D>({out, in}, 1);
  require_gradient(layer.weight);
  if (bias) {
    layer.bias = normal<float, D>({out}, 2);
    require_gradient(layer.bias);
  }
  auto x = normal<float, D>({rows, in}, 3);
  require_gradient(x);
  const auto y = layer(x, F{});
  backward(y, normal<float, D>({rows, out}, 4));
  auto all = y.to_vector();
  for (const auto& part : {gradient(x), gradient(layer.weight), gradient(layer.bias.defined() ? layer.bias : x)}) {
    const auto values = part.to_vector();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

template <class F>
void agrees_with_plain_loops() {
  for (const std::int64_t rows : {1, 7, 33})
    for (const std::int64_t out : {1, 16, 67})
      for (const bool bias : {false, true}) {
        INFO(F::name << ", rows " << rows << ", out " << out << ", bias " << bias);
        const auto ours = forward_and_backward<Cpu, F>(rows, 19, out, bias);
        CHECK(numbers::distance(ours, forward_and_backward<Plain, F>(rows, 19, out, bias)) < 2e-6);
      }
}

}  // namespace

TEST_CASE("a linear layer by hand") {
  Linear<double> layer(3, 2);
  CHECK(layer.weight.shape() == Shape{2, 3});
  CHECK(layer.bias.shape() == Shape{2});
  CHECK(layer(Tensor<double>({1, 3}, {1, 2, 3})).to_vector() == std::vector<double>{0, 0});  // zero until set
  layer.weight = Tensor<double>({2, 3}, {1, 2, 3, 4, 5, 6});
  layer.bias = Tensor<double>({2}, {10, 20});
  CHECK(layer(Tensor<double>({1, 3}, {1, 0, -1})).to_vector() == std::vector<double>{8, 18});
  CHECK(layer(Tensor<double>({3}, {0, 1, 0})).to_vector() == std::vector<double>{12, 25});
  CHECK(layer(normal({2, 5, 3}, 1)).shape() == Shape{2, 5, 2});

  const Linear<double> without(3, 2, false);
  CHECK_FALSE(without.bias.defined());
  CHECK(parameter_count(without) == 6);
  CHECK(parameter_count(layer) == 8);
  CHECK(needs_gradient(without.weight));
}

TEST_CASE("an activated layer of PyTorch") {
  // gelu(linear(tensor([[1., -2, 0.5]]), tensor([[0.1, 0.2, 0.3], [-1, 0.5, 2]]), tensor([0.05, -0.5])))
  Linear<double> layer(3, 2);
  layer.weight = Tensor<double>({2, 3}, {0.1, 0.2, 0.3, -1, 0.5, 2});
  layer.bias = Tensor<double>({2}, {0.05, -0.5});
  const auto y = layer(Tensor<double>({1, 3}, {1, -2, 0.5}), Gelu{}).to_vector();
  CHECK(y[0] == Approx(-0.046017216272).epsilon(1e-9));
  CHECK(y[1] == Approx(-0.100210801903).epsilon(1e-9));
}

TEST_CASE("gradients of linear layers") {
  const auto check = [](auto formula, const Inputs& inputs) {
    return gradcheck<Cpu>([=](const Inputs& in) { return linear(in[0], in[1], in.size() > 2 ? in[2] : Tensor<double>(), formula); },
                          inputs);
  };
  CHECK(check(Identity{}, {normal({4, 3}, 1), normal({5, 3}, 2), normal({5}, 3)}) == "");
  CHECK(check(Identity{}, {normal({2, 2, 3}, 1), normal({5, 3}, 2)}) == "");
  CHECK(check(Gelu{}, {normal({4, 3}, 1), normal({5, 3}, 2), normal({5}, 3)}) == "");
  CHECK(check(Silu{}, {normal({3}, 1), normal({2, 3}, 2)}) == "");
  // A transposed weight and a transposed input, as views
  CHECK(gradcheck<Cpu>([](const Inputs& in) { return linear(transpose(in[0]), transpose(in[1]), in[2], GeluTanh{}); },
                       {normal({3, 4}, 1), normal({3, 5}, 2), normal({5}, 3)}) == "");
}

TEST_CASE("only the gradients that are wanted are made") {
  Linear<double> layer(3, 2);
  set_trainable(layer, false);
  auto x = normal({4, 3}, 1);
  CHECK_FALSE(needs_gradient(layer(x)));
  require_gradient(x);
  backward(sum(layer(x)));
  CHECK(gradient(x).defined());
  require_gradient(layer.bias);
  backward(sum(layer(detach(x))));
  CHECK(gradient(layer.bias).to_vector() == std::vector<double>{4, 4});
  CHECK_FALSE(gradient(layer.weight).defined());
}

TEST_CASE("fused layers agree with the composed form of another backend") {
  agrees_with_plain_loops<Identity>();
  agrees_with_plain_loops<Gelu>();
  agrees_with_plain_loops<Silu>();
}

TEST_CASE("linear layers of nothing") {
  const Linear<double> layer(3, 2), no_output(3, 0);
  auto empty = Tensor<double>({0, 3});
  require_gradient(empty);
  const auto y = layer(empty);
  CHECK(y.shape() == Shape{0, 2});
  backward(sum(y));
  CHECK(gradient(layer.weight).to_vector() == std::vector<double>(6, 0));
  CHECK(gradient(layer.bias).to_vector() == std::vector<double>(2, 0));
  const auto nothing = no_output(normal({4, 3}, 1));
  CHECK(nothing.shape() == Shape{4, 0});
  backward(sum(nothing));
  CHECK(gradient(no_output.weight).shape() == Shape{0, 3});
}

TEST_CASE("linear refuses shapes that do not fit") {
  const auto x = normal({4, 3}, 1), weight = normal({5, 3}, 2), bias = normal({5}, 3);
  CHECK_THROWS_WITH(linear(x, normal({5, 4}, 2), bias), "linear: x (4, 3), weight (5, 4) and bias (5) do not fit");
  CHECK_THROWS_AS(linear(x, weight, normal({4}, 3)), ShapeError);
  CHECK_THROWS_AS(linear(x, bias), ShapeError);
  CHECK_THROWS_AS(linear(Tensor<double>(Shape(), {1}), weight), ShapeError);
}
