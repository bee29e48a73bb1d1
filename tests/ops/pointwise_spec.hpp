// SPDX-License-Identifier: MIT
// The entry of a pointwise op: its function and the formula are enough.
#pragma once

#include <string>
#include <vector>

#include "ops/spec.hpp"

namespace op_table {
inline namespace PLINTH_OP_TABLE {

struct Range {
  double low = -6, high = 6;
};

/// formula(x) of every element.
template <class Formula>
Reference elementwise(Formula formula) {
  return [=](const Arrays& in) {
    return Array(in[0].shape, [&](const Shape& index) { return static_cast<double>(formula(in[0].at(index))); });
  };
}

/// The op f(tensor) whose elements are formula(double), sampled over a range.
template <class F, class Formula>
OpSpec pointwise_spec(const std::string& name, const std::string& formula_struct, const F& f, Formula formula,
                      Range range = {}) {
  OpSpec spec{.name = name, .covers = {"PointwiseOp", formula_struct}};
  const Operation op([f](const auto& in) { return f(in[0]); });
  const auto add = [&](const char* what, const Shape& shape, Layout layout = Layout::dense) {
    spec.samples.push_back({what, {{shape, layout, range.low, range.high}}, op, elementwise(formula)});
  };
  add("one element", {1});
  add("no axes", {});
  add("empty", {0, 3});
  add("odd size", {67});
  add("three axes", {2, 3, 5});
  add("transposed", {5, 7}, Layout::transposed);
  add("with gaps", {3, 2, 7}, Layout::spaced);
  add("backward", {4, 9}, Layout::backward);
  add("large", {3, 8192 + 5});
  spec.random = [=](Random& random) {
    return Sample{"", {{any_shape(random, random.below(5)), any_layout(random), range.low, range.high}}, op, {}};
  };
  spec.refusals = {refuses<plinth::ArgumentError>([f] { f(Tensor<double>()); }, {name, "undefined"})};
  return spec;
}

}  // namespace PLINTH_OP_TABLE
}  // namespace op_table
