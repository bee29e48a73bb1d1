// SPDX-License-Identifier: MIT
// The op table: activations of two inputs, gated linear units and the Swish whose beta is learned.
#include <cmath>
#include <numbers>
#include <string>

#include <plinth/activation/glu.hpp>
#include <plinth/activation/swish.hpp>

#include "ops/spec.hpp"

namespace {

using namespace op_table;
using plinth::ShapeError;

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }
double relu_of(double x) { return std::fmax(x, 0); }
double gelu_of(double x) { return x * 0.5 * std::erfc(-x / std::numbers::sqrt2); }
double silu_of(double x) { return x * sigmoid_of(x); }

constexpr const char* rounding = "the activation and the products of its gradient are rounded before the next product";

/// unit(gate, value) with the formula f(gate) value.
template <class F>
OpSpec glu_spec(const std::string& name, const std::string& formula_struct, const F& unit, double (*formula)(double)) {
  OpSpec spec{.name = name, .covers = {formula_struct, "MultiplyOp"}, .broadcasts = true, .looser = 2, .why = rounding};
  const Operation op([unit](const auto& in) { return unit(in[0], in[1]); });
  const Reference reference = [=](const Arrays& in) {
    const Shape shape = plinth::broadcast_shapes(name.c_str(), in[0].shape, in[1].shape);
    return Array(shape, [&](const Shape& index) { return formula(in[0].at(index)) * in[1].at(index); });
  };
  const auto add = [&](const char* what, const Shape& gate, const Shape& value, Layout layout = Layout::dense) {
    spec.samples.push_back({what, {{gate, layout, -4, 4}, {value, layout}}, op, reference});
  };
  add("one element", {1}, {1});
  add("no axes", {}, {});
  add("rows", {4, 5}, {4, 5});
  add("three axes", {2, 3, 5}, {2, 3, 5});
  add("empty", {0, 3}, {0, 3});
  add("one gate for a row", {3, 1}, {3, 7});
  add("transposed", {5, 4}, {5, 4}, Layout::transposed);
  add("with gaps", {2, 3, 5}, {2, 3, 5}, Layout::spaced);
  add("backward", {19}, {19}, Layout::backward);
  add("large", {2, 8192 + 5}, {2, 8192 + 5});
  spec.random = [=](Random& random) {
    const Shape value = any_shape(random, random.below(4)), gate = any_part(random, value);
    return Sample{"", {{gate, any_layout(random), -4, 4}, {value, any_layout(random)}}, op, reference};
  };
  spec.refusals = {refuses<ShapeError>([=] { unit(Tensor<double>({2, 3}), Tensor<double>({2})); }, {"(2, 3)", "(2)"})};
  return spec;
}

/// unit(x) over halves of the last axis: values, then gates.
template <class F>
OpSpec halves_spec(const std::string& name, const std::string& formula_struct, const F& unit,
                   double (*formula)(double)) {
  OpSpec spec{
      .name = name + " of halves", .covers = {formula_struct, "SliceOp"}, .smallest = 2, .looser = 2, .why = rounding};
  const Operation op([unit](const auto& in) { return unit(in[0]); });
  const Reference reference = [=](const Arrays& in) {
    Shape shape = in[0].shape;
    shape[-1] /= 2;
    return Array(shape, [&](const Shape& index) {
      Shape gate = index;
      gate[-1] += shape[-1];
      return formula(in[0].at(gate)) * in[0].at(index);
    });
  };
  const auto add = [&](const char* what, const Shape& x, Layout layout = Layout::dense) {
    spec.samples.push_back({what, {{x, layout, -4, 4}}, op, reference});
  };
  add("one pair", {2});
  add("rows", {4, 6});
  add("three axes", {2, 3, 10});
  add("no rows", {0, 4});
  add("no channels", {3, 0});
  add("transposed", {5, 4}, Layout::transposed);
  add("with gaps", {2, 3, 4}, Layout::spaced);
  add("backward", {38}, Layout::backward);
  add("large", {3, 16384 + 6});
  spec.random = [=](Random& random) {
    Shape x = any_shape(random, 1 + random.below(3));
    x[-1] *= 2;
    return Sample{"", {{x, any_layout(random), -4, 4}}, op, reference};
  };
  spec.refusals = {refuses<ShapeError>(
                       [=] {
                         unit(Tensor<double>({2, 3}));
                       },
                       {name, "(2, 3)"}),
                   refuses<ShapeError>([=] { unit(Tensor<double>(Shape())); }, {name, "()"})};
  return spec;
}

/// x sigma(beta x), beta an input.
OpSpec learned_swish_spec() {
  OpSpec spec{.name = "swish with a learned beta",
              .covers = {"Sigmoid", "MultiplyOp"},
              .broadcasts = true,
              .looser = 4,
              .why = rounding};
  const Operation op([](const auto& in) { return swish(in[0], in[1]); });
  const Reference reference = [](const Arrays& in) {
    return Array(in[0].shape, [&](const Shape& i) { return in[0].at(i) * sigmoid_of(in[1].at(i) * in[0].at(i)); });
  };
  const auto sample = [=](const char* what, const Shape& x, const Shape& beta, Layout layout) {
    return Sample{what, {{x, layout, -4, 4}, {beta, layout, 0.5, 2}}, op, reference};
  };
  const auto add = [&](const char* what, const Shape& x, const Shape& beta, Layout layout = Layout::dense) {
    spec.samples.push_back(sample(what, x, beta, layout));
  };
  add("one element", {1}, {1});
  add("no axes", {}, {});
  add("one beta for all", {3, 5}, {});
  add("one for each channel", {2, 3, 5}, {5});
  add("empty", {0, 3}, {});
  add("transposed", {5, 4}, {}, Layout::transposed);
  add("with gaps", {2, 3, 5}, {5}, Layout::spaced);
  add("backward", {19}, {}, Layout::backward);
  add("large", {2, 8192 + 5}, {});
  spec.random = [=](Random& random) {
    const Shape x = any_shape(random, random.below(4)), beta = any_part(random, x);
    return sample("", x, beta, any_layout(random));
  };
  spec.refusals = {refuses<ShapeError>([] { swish(Tensor<double>({2, 3}), Tensor<double>({2})); }, {"(2, 3)", "(2)"})};
  return spec;
}

Specs gated_specs() {
  const auto glu = [](const auto&... x) { return plinth::glu(x...); };
  const auto reglu = [](const auto&... x) { return plinth::reglu(x...); };
  const auto geglu = [](const auto&... x) { return plinth::geglu(x...); };
  const auto swiglu = [](const auto&... x) { return plinth::swiglu(x...); };
  return {glu_spec("glu", "Sigmoid", glu, sigmoid_of),
          halves_spec("glu", "Sigmoid", glu, sigmoid_of),
          glu_spec("reglu", "Relu", reglu, relu_of),
          halves_spec("reglu", "Relu", reglu, relu_of),
          glu_spec("geglu", "Gelu", geglu, gelu_of),
          halves_spec("geglu", "Gelu", geglu, gelu_of),
          glu_spec("swiglu", "Silu", swiglu, silu_of),
          halves_spec("swiglu", "Silu", swiglu, silu_of),
          learned_swish_spec()};
}

const InTable gated_table("gated linear units", gated_specs);

}  // namespace
