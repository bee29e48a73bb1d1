// SPDX-License-Identifier: MIT
// Layer norm and RMS norm as operations and as a layer; PyTorch's numbers are in kernels/cpu/norm_test.cpp.
#include <plinth/layers/norm.hpp>

#include <cmath>
#include <vector>

#include <plinth/autograd/gradcheck.hpp>
#include <plinth/autograd/module.hpp>
#include <plinth/ops/shape.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"

using namespace plinth;

namespace {

using Inputs = std::vector<Tensor<double>>;

Tensor<double> normal(const Shape& shape, std::uint32_t site) {
  return Tensor<double>(shape, numbers::normal<double>(element_count(shape), site));
}

}  // namespace

TEST_CASE("norms by hand") {
  const Tensor<double> x({1, 4}, {1, 3, 1, 3}), ones({4}, {1, 1, 1, 1}), bias({4}, {0, 0, 10, 10});
  CHECK(layer_norm(x, ones, {}, 0.0).to_vector() == std::vector<double>{-1, 1, -1, 1});
  CHECK(layer_norm(x, ones, bias, 0.0).to_vector() == std::vector<double>{-1, 1, 9, 11});
  const double root = std::sqrt(5.0);  // mean(x^2) = 5
  const auto y = rms_norm(x, ones, 0.0).to_vector();
  for (std::size_t i = 0; i < 4; ++i) CHECK(y[i] == Approx((i % 2 ? 3 : 1) / root).epsilon(1e-15));
  CHECK(layer_norm(x, ones, {}, 3.0).to_vector() == std::vector<double>{-0.5, 0.5, -0.5, 0.5});  // variance 1 + 3
}

TEST_CASE("gradients of norms") {
  CHECK(gradcheck<Cpu>([](const Inputs& in) { return layer_norm(in[0], in[1], in[2]); },
                       {normal({2, 3, 5}, 1), normal({5}, 2), normal({5}, 3)}) == "");
  CHECK(gradcheck<Cpu>([](const Inputs& in) { return layer_norm(in[0], in[1]); }, {normal({4, 5}, 1), normal({5}, 2)}) == "");
  CHECK(gradcheck<Cpu>([](const Inputs& in) { return rms_norm(in[0], in[1]); }, {normal({2, 3, 5}, 1), normal({5}, 2)}) == "");
  CHECK(gradcheck<Cpu>([](const Inputs& in) { return layer_norm(transpose(in[0]), in[1], in[2]); },
                       {normal({5, 4}, 1), normal({5}, 2), normal({5}, 3)}) == "");
}

TEST_CASE("the norm layer starts as the plain norm of its kind") {
  const auto x = normal({3, 8}, 1);
  const Norm<double> layer(NormKind::layer, 8, true, 1e-6), bare(NormKind::layer, 8, false, 1e-6),
      rms(NormKind::rms, 8, true, 1e-6);
  CHECK(parameter_count(layer) == 16);
  CHECK(parameter_count(bare) == 8);
  CHECK(parameter_count(rms) == 8);  // RMS norm has no bias
  const Tensor<double> ones({8}, std::vector<double>(8, 1));
  CHECK(layer(x).to_vector() == layer_norm(x, ones, {}, 1e-6).to_vector());
  CHECK(bare(x).to_vector() == layer(x).to_vector());
  CHECK(rms(x).to_vector() == rms_norm(x, ones, 1e-6).to_vector());
  CHECK(needs_gradient(layer(x)));
}

TEST_CASE("norms refuse what does not fit") {
  const auto x = normal({4, 3}, 1), gain = normal({3}, 2);
  CHECK_THROWS_WITH(layer_norm(x, normal({4}, 2), normal({4}, 3)), "layer_norm: x (4, 3), gain (4) and bias (4) do not fit");
  CHECK_THROWS_AS(layer_norm(x, gain, normal({2}, 3)), ShapeError);
  CHECK_THROWS_AS(layer_norm(Tensor<double>(Shape(), {1}), gain), ShapeError);
  CHECK_THROWS_WITH(rms_norm(x, normal({2}, 2)), "rms_norm: x (4, 3) and gain (2) do not fit");
  CHECK_THROWS_AS(rms_norm(x, Tensor<double>()), ShapeError);
}
