// SPDX-License-Identifier: MIT
// The op table: softmax, and cross-entropy alone and behind a linear layer.
#include <algorithm>
#include <cmath>
#include <limits>

#include <plinth/ops/linear_cross_entropy.hpp>

#include "ops/spec.hpp"

namespace {

using namespace op_table;
using plinth::ArgumentError;
using plinth::ShapeError;

constexpr double infinity = std::numeric_limits<double>::infinity();

/// exp(x_i) / sum_j exp(x_j) with the row's maximum taken off both; zeros for a row of -inf.
Array softmax_of(const Arrays& in) {
  const Array& x = in[0];
  return Array(x.shape, [&](const Shape& index) {
    double top = -infinity, sum = 0;
    Shape other = index;
    const auto each = [&](const auto& f) {
      for (other[-1] = 0; other[-1] < x.shape[-1]; ++other[-1]) f(x.at(other));
    };
    each([&](double value) { top = std::max(top, value); });
    if (top == -infinity) return 0.0;
    each([&](double value) { sum += std::exp(value - top); });
    return std::exp(x.at(index) - top) / sum;
  });
}

OpSpec softmax_spec() {
  OpSpec spec{.name = "softmax", .covers = {"SoftmaxOp"}};
  const Operation op([](const auto& in) { return softmax(in[0]); });
  const auto add = [&](const char* what, Input x) { spec.samples.push_back({what, {x}, op, softmax_of}); };
  add("one element", {{1}});
  add("columns of 1", {{5, 1}});
  add("rows", {{3, 7}});
  add("three axes", {{2, 3, 37}});
  add("empty rows", {{3, 0}});
  add("no rows", {{0, 4}});
  add("transposed", {{5, 4}, Layout::transposed});
  add("with gaps", {{2, 3, 5}, Layout::spaced});
  add("backward", {{19}, Layout::backward});
  add("far apart", {{2, 3}, Layout::dense, 0, 0, {-300, 0, 300, 1000, 1001, 999}});
  add("masked", {{3, 3}, Layout::dense, 0, 0, {1, -infinity, 2, -infinity, -infinity, -infinity, -infinity, 0.5, 0.5}});
  add("large", {{130, 130}});
  spec.random = [=](Random& random) {
    const Shape shape = any_shape(random, 1 + random.below(4));
    return Sample{"", {{shape, any_layout(random)}}, op, softmax_of};
  };
  spec.refusals = {refuses<ShapeError>([] { softmax(Tensor<double>(Shape())); }, {"softmax", "at least one axis"})};
  return spec;
}

/// Targets of rows, some of which are ignored.
std::vector<std::int32_t> any_targets(Random& random, std::int64_t classes, std::int64_t rows) {
  auto targets = random.integers(classes, rows);
  for (auto& target : targets)
    if (random.one_in(9)) target = -1;
  return targets;
}

/// The mean over targets >= 0 of log(sum_j exp(x_j)) - (1 - smoothing) x[target] - smoothing mean(x).
Reference cross_entropy_of(const std::vector<std::int32_t>& targets, double smoothing) {
  return [=](const Arrays& in) {
    const std::int64_t columns = in[0].shape[-1];
    double total = 0, used = 0;
    for (std::size_t row = 0; row < targets.size(); ++row) {
      if (targets[row] < 0) continue;
      const double* x = in[0].values.data() + static_cast<std::int64_t>(row) * columns;
      const double top = *std::max_element(x, x + columns);
      double sum = 0, mean = 0;
      for (std::int64_t j = 0; j < columns; ++j) sum += std::exp(x[j] - top);
      for (std::int64_t j = 0; j < columns; ++j) mean += x[j] / static_cast<double>(columns);
      total += top + std::log(sum) - (1 - smoothing) * x[targets[row]] - smoothing * mean;
      ++used;
    }
    return Array(Shape(), [&](const Shape&) { return used > 0 ? total / used : 0; });
  };
}

OpSpec cross_entropy_spec() {
  OpSpec spec{.name = "cross_entropy", .covers = {"CrossEntropyOp"}};
  const auto sample = [](const char* what, const Input& x, const std::vector<std::int32_t>& targets, Layout of_targets,
                         double smoothing) {
    Shape rows;
    for (int i = 0; i + 1 < x.shape.rank(); ++i) rows.push_back(x.shape[i]);
    const auto ids = placed<std::int32_t>(rows, of_targets, std::vector<double>(targets.begin(), targets.end()));
    const auto op = [=](const auto& in) { return cross_entropy(in[0], ids, smoothing); };
    return Sample{what, {x}, op, cross_entropy_of(targets, smoothing)};
  };
  const auto add = [&](const char* what, const Input& x, const std::vector<std::int32_t>& targets,
                       Layout of_targets = Layout::dense, double smoothing = 0) {
    spec.samples.push_back(sample(what, x, targets, of_targets, smoothing));
  };
  add("one class", {{1, 1}}, {0});
  add("one row without axes", {{7}}, {3});
  add("rows", {{3, 5}}, {4, 0, 2});
  add("three axes, strided targets", {{2, 3, 19}}, {1, 2, 3, 18, 5, 0}, Layout::transposed);
  add("some ignored", {{4, 3}}, {-1, 2, -100, 0});
  add("all ignored", {{2, 3}}, {-1, -1});
  add("no rows", {{0, 3}}, {});
  add("sure and right", {{2, 3}, Layout::dense, 0, 0, {9, 1, 2, 1, 0.5, 5}}, {0, 2});
  add("sure and wrong", {{2, 3}, Layout::dense, 0, 0, {200, 1, -100, 0, 0, 1000}}, {1, 0});
  add("transposed", {{4, 5}, Layout::transposed}, {0, 1, 2, 3});
  add("gaps, backward targets", {{3, 4}, Layout::spaced}, {3, 0, 1}, Layout::backward);
  add("smoothed", {{3, 5}}, {4, 0, 2}, Layout::dense, 0.1);
  add("smoothed, some ignored", {{4, 3}, Layout::spaced}, {-1, 2, -100, 0}, Layout::backward, 0.3);
  add("all smooth", {{2, 3, 7}}, {1, 2, 3, -1, 5, 0}, Layout::dense, 1);
  std::vector<std::int32_t> many;
  for (std::int32_t i = 0; i < 100; ++i) many.push_back(i * 7 % 173 - 1);
  add("large", {{100, 173}}, many);
  spec.random = [=](Random& random) {
    const auto [rows, columns] = random.matrix();
    const Input x{{rows, columns + 1}, any_layout(random)};
    const Layout of_targets = any_layout(random);
    return sample("", x, any_targets(random, columns + 1, rows), of_targets, random.one_in(2) ? 0 : 0.1);
  };
  const auto call = [](const Shape& logits, const Shape& rows, std::int32_t target, double smoothing = 0) {
    return [=] { return cross_entropy(plinth::full<double, Device>(logits, 1), plinth::full<std::int32_t, Device>(rows, target), smoothing); };
  };
  spec.refusals = {
      refuses<ShapeError>(call({2, 3}, {3}, 0), {"cross_entropy", "(2, 3)", "(3)"}),
      refuses<ShapeError>(call({2, 3}, {2, 3}, 0), {"cross_entropy", "(2, 3) and targets (2, 3)"}),
      refuses<ShapeError>(call({}, {}, 0), {"cross_entropy", "() and targets ()"}),
      misses<ArgumentError>(call({2, 3}, {2}, 3), {"cross_entropy", "target 3", "[0, 3)"}),
      refuses<ArgumentError>(call({2, 3}, {2}, 0, 1.5), {"cross_entropy", "label_smoothing 1.5", "[0, 1]"}),
      refuses<ArgumentError>(call({2, 3}, {2}, 0, -0.1), {"cross_entropy", "label_smoothing -0.1"})};
  return spec;
}

/// cross_entropy_of the logits x W^T.
Reference linear_cross_entropy_of(const std::vector<std::int32_t>& targets, double smoothing) {
  return [=](const Arrays& in) {
    Shape shape = in[0].shape;
    shape[-1] = in[1].shape[0];
    const Array logits(shape, [&](const Shape& index) {
      double z = 0;
      Shape from = index;
      for (from[-1] = 0; from[-1] < in[1].shape[1]; ++from[-1]) z += in[0].at(from) * in[1].at({index[-1], from[-1]});
      return z;
    });
    return cross_entropy_of(targets, smoothing)({logits});
  };
}

OpSpec linear_cross_entropy_spec() {
  OpSpec spec{.name = "linear_cross_entropy", .covers = {"LinearCrossEntropyOp"}};
  const auto sample = [](const char* what, const Input& x, const Input& weight, const std::vector<std::int32_t>& targets,
                         std::int64_t rows_at_once, double smoothing, Layout of_targets) {
    Shape rows;
    for (int i = 0; i + 1 < x.shape.rank(); ++i) rows.push_back(x.shape[i]);
    const auto ids = placed<std::int32_t>(rows, of_targets, std::vector<double>(targets.begin(), targets.end()));
    const auto op = [=]<class T>(const Tensors<T>& in) {
      return plinth::apply(plinth::LinearCrossEntropyOp<T, Device>{smoothing, rows_at_once, {}, {}, {}}, in[0], in[1], ids);
    };
    return Sample{what, {x, weight}, op, linear_cross_entropy_of(targets, smoothing)};
  };
  const auto add = [&](const char* what, const Input& x, const Input& weight, const std::vector<std::int32_t>& targets,
                       std::int64_t rows_at_once = 512, double smoothing = 0, Layout of_targets = Layout::dense) {
    spec.samples.push_back(sample(what, x, weight, targets, rows_at_once, smoothing, of_targets));
  };
  add("one class", {{1, 1}}, {{1, 1}}, {0});
  add("one row without axes", {{3}}, {{7, 3}}, {3});
  add("rows in one chunk", {{3, 4}}, {{5, 4}}, {4, 0, 2});
  add("chunks of one row", {{3, 4}}, {{5, 4}}, {4, 0, 2}, 1);
  add("a shorter last chunk", {{7, 3}}, {{5, 3}}, {4, 0, 2, 1, 1, 3, 0}, 3);
  add("whole chunks", {{2, 3, 2}}, {{4, 2}}, {3, 0, 2, 1, 1, 3}, 2);
  add("some ignored", {{4, 3}}, {{6, 3}}, {-1, 2, -100, 0}, 2);
  add("a chunk ignored", {{4, 3}}, {{6, 3}}, {-1, -1, 5, 0}, 2);
  add("all ignored", {{3, 3}}, {{2, 3}}, {-1, -1, -1}, 2);
  add("no rows", {{0, 3}}, {{5, 3}}, {});
  add("no inputs", {{2, 0}}, {{3, 0}}, {1, 2});
  add("sure and wrong", {{2, 1}, Layout::dense, 0, 0, {20, -30}}, {{2, 1}, Layout::dense, 0, 0, {10, -10}}, {1, 0}, 1);
  add("transposed", {{4, 5}, Layout::transposed}, {{3, 5}, Layout::transposed}, {0, 1, 2, 0}, 3);
  add("with gaps, smoothed", {{2, 3, 5}, Layout::spaced}, {{4, 5}, Layout::backward}, {3, 0, 1, -1, 2, 2}, 4, 0.3, Layout::backward);
  std::vector<std::int32_t> many;
  for (std::int32_t i = 0; i < 131; ++i) many.push_back(i * 7 % 141 - 1);
  add("large", {{131, 67}, Layout::dense, -1, 1}, {{141, 67}, Layout::dense, -1, 1}, many, 100);
  spec.random = [=](Random& random) {
    const auto [rows, columns] = random.matrix();
    const std::int64_t classes = 1 + random.length(std::min<std::int64_t>(300, random.most() / columns));
    const Input x{{rows, columns}, any_layout(random), -1, 1}, weight{{classes, columns}, any_layout(random), -1, 1};
    const Layout of_targets = any_layout(random);
    return sample("", x, weight, any_targets(random, classes, rows), 1 + random.below(rows + 1), 0.1, of_targets);
  };
  const auto call = [](const Shape& x, const Shape& weight, const Shape& rows, std::int32_t target, double smoothing = 0) {
    return [=] {
      return linear_cross_entropy(plinth::full<double, Device>(x, 1), plinth::full<double, Device>(weight, 1), plinth::full<std::int32_t, Device>(rows, target), smoothing);
    };
  };
  spec.refusals = {
      refuses<ShapeError>(call({2, 3}, {4, 5}, {2}, 0), {"linear_cross_entropy", "(2, 3)", "(4, 5)"}),
      refuses<ShapeError>(call({2, 3}, {3}, {2}, 0), {"linear_cross_entropy", "(2, 3)", "(3)"}),
      refuses<ShapeError>(call({2, 3}, {4, 3}, {3}, 0), {"linear_cross_entropy", "(2, 4)", "(3)"}),
      misses<ArgumentError>(call({2, 3}, {4, 3}, {2}, 4), {"cross_entropy", "target 4", "[0, 4)"}),
      refuses<ArgumentError>(call({2, 3}, {4, 3}, {2}, 0, 1.5), {"linear_cross_entropy", "label_smoothing 1.5", "[0, 1]"})};
  return spec;
}

Specs softmax_specs() { return {softmax_spec(), cross_entropy_spec(), linear_cross_entropy_spec()}; }

const InTable softmax_table("softmax and losses", softmax_specs);

}  // namespace
