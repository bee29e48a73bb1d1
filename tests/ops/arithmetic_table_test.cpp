// SPDX-License-Identifier: MIT
// The op table: arithmetic on two tensors that broadcast.
#include <plinth/ops/arithmetic.hpp>

#include "ops/spec.hpp"

namespace {

using namespace op_table;
using plinth::ShapeError;

/// The operands; those of divide stay away from zero.
std::vector<std::pair<const char*, std::vector<Input>>> operands(double low) {
  const auto in = [=](const Shape& shape, Layout layout = Layout::dense) { return Input{shape, layout, low, 2}; };
  return {
      {"one element", {in({1}), in({1})}},
      {"no axes", {in({}), in({})}},
      {"same shape", {in({3, 5}), in({3, 5})}},
      {"empty", {in({0, 3}), in({3})}},
      {"a row", {in({2, 3, 7}), in({7})}},
      {"a column on the left", {in({3, 1}), in({2, 3, 5})}},
      {"both sides", {in({4, 1, 3}), in({5, 1})}},
      {"a number", {in({}), in({3, 4})}},
      {"inner axes of 1", {in({2, 1, 1, 3}), in({1, 2, 2, 1})}},
      {"transposed", {in({4, 5}, Layout::transposed), in({4, 5})}},
      {"gaps and backward", {in({2, 3, 5}, Layout::spaced), in({3, 1}, Layout::backward)}},
      {"large", {in({5, 8192 + 3}), in({8192 + 3})}},
      {"large, broadcast on the left", {in({70, 1, 3}), in({97, 3}, Layout::transposed)}},
  };
}

template <class F, class Formula>
OpSpec binary_spec(const char* name, const char* op, const F& f, Formula formula, double low = -2) {
  OpSpec spec{.name = name,
              .covers = {op},
              .broadcasts = true,
              .looser = 2,
              .why = "products are rounded before they are summed over the axes that were repeated, and between axes"};
  const Operation run([f](const auto& in) { return f(in[0], in[1]); });
  const Reference reference = [=](const Arrays& in) {
    const Shape shape = plinth::broadcast_shapes(name, in[0].shape, in[1].shape);
    return Array(shape, [&](const Shape& index) { return formula(in[0].at(index), in[1].at(index)); });
  };
  for (auto& [what, inputs] : operands(low)) spec.samples.push_back({what, inputs, run, reference});
  spec.random = [=](Random& random) {
    const Shape shape = any_shape(random, random.below(5)), part = any_part(random, shape);
    const Input whole{shape, any_layout(random), low, 2};
    const Input other{part, any_layout(random), low, 2};
    return random.one_in(2) ? Sample{"", {whole, other}, run, {}} : Sample{"", {other, whole}, run, {}};
  };
  const auto refuse = [&](const Shape& a, const Shape& b) {
    spec.refusals.push_back(
        refuses<ShapeError>([=] { f(Tensor<double>(a), Tensor<double>(b)); }, {name, to_string(a), to_string(b)}));
  };
  refuse({2, 3}, {2});
  refuse({4, 2, 3}, {3, 3});
  refuse({0}, {2});
  return spec;
}

Specs arithmetic_specs() {
  return {
      binary_spec(
          "add", "AddOp", [](const auto& a, const auto& b) { return a + b; }, [](double a, double b) { return a + b; }),
      binary_spec(
          "subtract", "SubtractOp", [](const auto& a, const auto& b) { return a - b; },
          [](double a, double b) { return a - b; }),
      binary_spec(
          "multiply", "MultiplyOp", [](const auto& a, const auto& b) { return a * b; },
          [](double a, double b) { return a * b; }),
      binary_spec(
          "divide", "DivideOp", [](const auto& a, const auto& b) { return a / b; },
          [](double a, double b) { return a / b; }, 0.5),
  };
}

const InTable arithmetic_table("arithmetic", arithmetic_specs);

}  // namespace
