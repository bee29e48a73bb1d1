// SPDX-License-Identifier: MIT
// The op table: activations.
#include <cmath>
#include <numbers>

#include <plinth/activation/gelu.hpp>
#include <plinth/activation/relu.hpp>
#include <plinth/activation/sigmoid.hpp>
#include <plinth/activation/silu.hpp>
#include <plinth/activation/softplus.hpp>
#include <plinth/activation/swish.hpp>
#include <plinth/activation/tanh.hpp>

#include "ops/pointwise_spec.hpp"

namespace {

using namespace op_table;

double gelu_tanh_formula(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
}

Specs activation_specs() {
  return {
      pointwise_spec(
          "gelu", "Gelu", [](const auto& x) { return gelu(x); },
          [](double x) { return x * 0.5 * std::erfc(-x / std::numbers::sqrt2); }),
      pointwise_spec(
          "gelu_tanh", "GeluTanh", [](const auto& x) { return gelu_tanh(x); }, gelu_tanh_formula),
      pointwise_spec(
          "silu", "Silu", [](const auto& x) { return silu(x); }, [](double x) { return x / (1 + std::exp(-x)); }),
      pointwise_spec(
          "swish", "Swish", [](const auto& x) { return swish(x, 1.702); },
          [](double x) { return x / (1 + std::exp(-1.702 * x)); }),
      pointwise_spec(
          "relu", "Relu", [](const auto& x) { return relu(x); }, [](double x) { return std::fmax(x, 0); }),
      pointwise_spec(
          "sigmoid", "Sigmoid", [](const auto& x) { return sigmoid(x); },
          [](double x) { return 1 / (1 + std::exp(-x)); }),
      pointwise_spec(
          "tanh", "Tanh", [](const auto& x) { return tanh(x); }, [](double x) { return std::tanh(x); }),
      pointwise_spec(
          "softplus", "Softplus", [](const auto& x) { return softplus(x); },
          [](double x) { return std::log1p(std::exp(x)); }),
      pointwise_spec(
          "identity", "Identity", [](const auto& x) { return plinth::pointwise<plinth::Identity>(x); },
          [](double x) { return x; }),
  };
}

const InTable activation_table("activations", activation_specs);

}  // namespace
