// SPDX-License-Identifier: MIT
// The op table: elementary functions of ops/pointwise.hpp, and the number operands of ops/arithmetic.hpp.
#include <cmath>

#include <plinth/ops/arithmetic.hpp>

#include "ops/pointwise_spec.hpp"

namespace {

using namespace op_table;

Specs elementary_specs() {
  return {
      pointwise_spec(
          "exp", "Exp", [](const auto& x) { return exp(x); }, [](double x) { return std::exp(x); }),
      pointwise_spec(
          "log", "Log", [](const auto& x) { return log(x); }, [](double x) { return std::log(x); }, {0.1, 9}),
      pointwise_spec(
          "sqrt", "SquareRoot", [](const auto& x) { return sqrt(x); }, [](double x) { return std::sqrt(x); }, {0.1, 9}),
      pointwise_spec(
          "affine", "Affine",
          [](const auto& x) {
            return pointwise(x, plinth::Affine{-1.75, 0.5});
          },
          [](double x) { return -1.75 * x + 0.5; }),
      pointwise_spec(
          "affine", "Affine", [](const auto& x) { return (0.5 * (x + 8.25) - 1.5) / 3.0; },
          [](double x) { return (0.5 * (x + 8.25) - 1.5) / 3; }, {1, 6}),
      pointwise_spec(
          "affine", "Affine", [](const auto& x) { return -x * 3.0; }, [](double x) { return -3 * x; }),
  };
}

const InTable elementary_table("elementary functions", elementary_specs);

}  // namespace
