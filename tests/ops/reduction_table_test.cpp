// SPDX-License-Identifier: MIT
// The op table: sums and means.
#include <plinth/ops/reduction.hpp>

#include "ops/spec.hpp"

namespace {

using namespace op_table;
using plinth::ShapeError;

/// factor(n) times the sum over one axis of n elements.
template <class Factor>
Reference sum_over(int axis, Factor factor) {
  return [=](const Arrays& in) {
    const int along = axis < 0 ? axis + in[0].shape.rank() : axis;
    const std::int64_t n = in[0].shape[along];
    Shape shape;
    for (int i = 0; i < in[0].shape.rank(); ++i)
      if (i != along) shape.push_back(in[0].shape[i]);
    return Array(shape, [&](const Shape& index) {
      double sum = 0;
      for (std::int64_t k = 0; k < n; ++k) {
        Shape from;
        for (int i = 0, j = 0; i < in[0].shape.rank(); ++i) from.push_back(i == along ? k : index[j++]);
        sum += in[0].at(from);
      }
      return sum * factor(static_cast<double>(n));
    });
  };
}

/// f(x, axis) of random sizes, or f(x) of everything.
template <class F>
auto any_sum(const F& f) {
  return [f](Random& random) -> Sample {
    const Shape shape = any_shape(random, 1 + random.below(4));
    const Input x{shape, any_layout(random), -1, 2};
    if (random.one_in(4)) return {"", {x}, [f](const auto& in) { return f(in[0]); }, {}};
    const int axis = static_cast<int>(random.below(shape.rank()));
    return {"", {x}, [f, axis](const auto& in) { return f(in[0], axis); }, {}};
  };
}

OpSpec sum_spec() {
  OpSpec spec{.name = "sum", .covers = {"SumOp"}};
  const auto one = [](double) { return 1.0; };
  const auto add = [&](const char* what, Input x, int axis) {
    spec.samples.push_back({what, {x}, [=](const auto& in) { return sum(in[0], axis); }, sum_over(axis, one)});
  };
  add("one element", {{1}}, 0);
  add("rows", {{3, 5}}, 0);
  add("columns", {{3, 5}}, -1);
  add("a middle axis", {{2, 7, 3}}, 1);
  add("nothing to sum", {{2, 0, 3}}, 1);
  add("no sums", {{0, 3}}, 1);
  add("transposed", {{4, 5}, Layout::transposed}, 1);
  add("with gaps", {{3, 2, 4}, Layout::spaced}, 0);
  add("backward", {{19}, Layout::backward}, 0);
  add("large, few long sums", {{3, 8192 + 77}, Layout::dense, 0, 1}, 1);
  add("large, many short sums", {{5, 4099}, Layout::dense, 0, 1}, 0);
  const auto all = [&](const char* what, Input x, const auto& reference) {
    spec.samples.push_back({what, {x}, [](const auto& in) { return sum(in[0]); }, reference});
  };
  all("everything", {{37}}, sum_over(0, one));
  all("everything, transposed", {{3, 5}, Layout::transposed}, [=](const Arrays& in) {
    return Array(Shape(), [&](const Shape&) {
      double total = 0;
      for (const double value : in[0].values) total += value;
      return total;
    });
  });
  spec.random = any_sum([](const auto&... x) { return plinth::sum(x...); });
  spec.refusals = {refuses<ShapeError>(
                       [] {
                         sum(Tensor<double>({2, 3}), 2);
                       },
                       {"sum", "axis 2", "2 axes"}),
                   refuses<ShapeError>([] { sum(Tensor<double>(Shape()), 0); }, {"sum", "axis 0", "0 axes"})};
  return spec;
}

OpSpec mean_spec() {
  OpSpec spec{.name = "mean", .covers = {"SumOp"}, .looser = 2, .why = "the sum is rounded before it is divided"};
  const auto inverse = [](double n) { return 1 / n; };
  const auto add = [&](const char* what, Input x, int axis) {
    spec.samples.push_back({what, {x}, [=](const auto& in) { return mean(in[0], axis); }, sum_over(axis, inverse)});
  };
  add("one element", {{1}}, 0);
  add("rows", {{3, 5}}, 0);
  add("columns", {{3, 5}}, -1);
  add("a middle axis", {{2, 7, 3}}, 1);
  add("no means", {{0, 3}}, 1);
  add("transposed", {{4, 5}, Layout::transposed}, 1);
  add("with gaps", {{3, 2, 4}, Layout::spaced}, 0);
  add("large", {{130, 130}, Layout::backward}, 1);
  spec.samples.push_back({"everything", {{{37}}}, [](const auto& in) { return mean(in[0]); }, sum_over(0, inverse)});
  spec.random = any_sum([](const auto&... x) { return plinth::mean(x...); });
  spec.refusals = {refuses<ShapeError>([] { mean(Tensor<double>({2, 3}), -3); }, {"-3", "(2, 3)"})};
  return spec;
}

Specs reduction_specs() { return {sum_spec(), mean_spec()}; }

const InTable reduction_table("reductions", reduction_specs);

}  // namespace
