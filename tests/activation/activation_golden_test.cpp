// SPDX-License-Identifier: MIT
// Activations and their gradients against PyTorch. The numbers and the script that made them are in tests/golden.
#include <cmath>
#include <concepts>
#include <limits>
#include <string>
#include <vector>

#include <plinth/activation/glu.hpp>
#include <plinth/activation/softplus.hpp>
#include <plinth/activation/swish.hpp>
#include <plinth/activation/tanh.hpp>
#include <plinth/io/safetensors_file.hpp>
#include <plinth/ops/shape.hpp>

#include "catch.hpp"

using namespace plinth;

namespace {

const SafetensorsFile& golden() {
  static const SafetensorsFile file("tests/golden/activations.safetensors");
  return file;
}

template <class T>
Tensor<T> tensor(const std::string& name) {
  return Tensor<T>(golden().shape(name), golden().read<T>(name));
}

template <class T>
Tensor<T> leaf(const std::string& name) {
  auto x = tensor<T>(name);
  require_gradient(x);
  return x;
}

/// In float within the tolerance of PyTorch's assert_close. In double within 1e-12, and 1e-14 absolutely: PyTorch's own
/// gelu cancels at its left end.
template <class T>
void check(const std::string& name, const Tensor<T>& found) {
  const auto expected = golden().read<double>(name);
  const auto values = found.to_vector();
  REQUIRE(values.size() == expected.size());
  const bool wide = std::same_as<T, double>;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double error = std::abs(static_cast<double>(values[i]) - expected[i]);
    if (!(error <= (wide ? 1e-14 : 1e-5) + (wide ? 1e-12 : 1.3e-6) * std::abs(expected[i])))
      FAIL_CHECK(name << ", element " << i << ": " << values[i] << ", expected " << expected[i]);
  }
}

template <class T, class F>
void check_pointwise(const std::string& name, const F& f) {
  const auto x = leaf<T>("x");
  const auto y = f(x);
  backward(y, tensor<T>("dy"));
  check("y." + name, y);
  check("dx." + name, gradient(x));
}

template <class T, class F>
void check_gated(const std::string& name, const F& f) {
  const auto gate = leaf<T>("gate"), value = leaf<T>("value");
  const auto y = f(gate, value);
  backward(y, tensor<T>("dgated"));
  check("y." + name, y);
  check("dgate." + name, gradient(gate));
  check("dvalue." + name, gradient(value));
  check("y." + name, f(concatenate(tensor<T>("value"), tensor<T>("gate"), -1)));
}

}  // namespace

TEMPLATE_TEST_CASE("activations of PyTorch", "", float, double) {
  using T = TestType;
  check_pointwise<T>("relu", [](const auto& x) { return relu(x); });
  check_pointwise<T>("sigmoid", [](const auto& x) { return sigmoid(x); });
  check_pointwise<T>("tanh", [](const auto& x) { return tanh(x); });
  check_pointwise<T>("silu", [](const auto& x) { return silu(x); });
  check_pointwise<T>("gelu", [](const auto& x) { return gelu(x); });
  check_pointwise<T>("gelu_tanh", [](const auto& x) { return gelu_tanh(x); });
  check_pointwise<T>("softplus", [](const auto& x) { return softplus(x); });
  check_pointwise<T>("swish", [](const auto& x) { return swish(x, 1.7); });
}

TEMPLATE_TEST_CASE("the learned beta of Swish in PyTorch", "", float, double) {
  using T = TestType;
  auto beta = reshape(tensor<T>("beta"), {});
  require_gradient(beta);
  const auto x = leaf<T>("x");
  backward(swish(x, beta), tensor<T>("dy"));
  check("dbeta", reshape(gradient(beta), {1}));
}

TEMPLATE_TEST_CASE("gated linear units of PyTorch", "", float, double) {
  using T = TestType;
  check_gated<T>("glu", [](const auto&... x) { return glu(x...); });
  check_gated<T>("reglu", [](const auto&... x) { return reglu(x...); });
  check_gated<T>("geglu", [](const auto&... x) { return geglu(x...); });
  check_gated<T>("swiglu", [](const auto&... x) { return swiglu(x...); });
  check("y.torch_glu", glu(concatenate(tensor<T>("value"), tensor<T>("gate"), -1)));
}

TEST_CASE("activations at the ends of float") {
  constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor<float> x({5}, {-infinity, -3e38f, 3e38f, infinity, nan});
  const auto at = [&](const auto& y) { return y.to_vector(); };
  CHECK(at(relu(x))[1] == 0);
  CHECK(at(relu(x))[3] == infinity);
  CHECK(std::isnan(at(relu(x))[4]));
  CHECK(at(softplus(x))[0] == 0);
  CHECK(at(softplus(x))[2] == 3e38f);
  CHECK(at(softplus(x))[3] == infinity);
  CHECK(std::isnan(at(softplus(x))[4]));
  CHECK(at(sigmoid(x))[1] == 0);
  CHECK(at(sigmoid(x))[3] == 1);
  CHECK(at(swish(x, 1.5))[2] == 3e38f);
  CHECK(at(softplus(Tensor<float>({1}, {-50})))[0] > 0);  // small, not lost
}
