// SPDX-License-Identifier: MIT
// The op table: matrix products.
#include <algorithm>

#include <plinth/ops/matmul.hpp>

#include "ops/spec.hpp"

namespace {

using namespace op_table;

/// y[..., i, j] = sum over k of a[..., i, k] b[..., k, j]
Array product(const Arrays& in) {
  const Shape &a = in[0].shape, &b = in[1].shape;
  Shape shape = a.rank() >= b.rank() ? a : b;
  for (int i = 3; i <= shape.rank(); ++i) {
    const std::int64_t left = i <= a.rank() ? a[-i] : 1, right = i <= b.rank() ? b[-i] : 1;
    shape[-i] = left == 1 ? right : left;
  }
  shape[-2] = a[-2];
  shape[-1] = b[-1];
  return Array(shape, [&](const Shape& index) {
    Shape left = index, right = index;
    double sum = 0;
    for (std::int64_t k = 0; k < a[-1]; ++k) {
      left[-1] = right[-2] = k;
      sum += in[0].at(left) * in[1].at(right);
    }
    return sum;
  });
}

OpSpec matmul_spec() {
  OpSpec spec{.name = "matmul",
              .covers = {"MatmulOp"},
              .broadcasts = true,
              .looser = 2,
              .why = "the products of a batch are rounded before they are summed for an operand that is repeated"};
  const Operation op([](const auto& in) { return matmul(in[0], in[1]); });
  const auto add = [&](const char* what, const Shape& a, const Shape& b, Layout a_layout = Layout::dense,
                       Layout b_layout = Layout::dense) {
    spec.samples.push_back({what, {{a, a_layout, -1, 1}, {b, b_layout, -1, 1}}, op, product});
  };
  add("one element", {1, 1}, {1, 1});
  add("matrices", {3, 4}, {4, 5});
  add("a row and a column", {1, 7}, {7, 1});
  add("a column and a row", {5, 1}, {1, 6});
  add("a batch", {3, 2, 4}, {3, 4, 3});
  add("the right operand repeated", {2, 3, 2, 4}, {4, 3});
  add("the left operand repeated", {2, 4}, {3, 4, 2});
  add("both repeated", {2, 1, 3, 2}, {1, 3, 2, 2});
  add("an inner axis repeated", {2, 1, 3, 4}, {2, 2, 4, 1});
  add("no rows", {0, 4}, {4, 5});
  add("no inner size", {3, 0}, {0, 5});
  add("no batches", {0, 2, 3}, {3, 4});
  add("both transposed", {5, 4}, {4, 7}, Layout::transposed, Layout::transposed);
  add("right transposed, a batch", {2, 3, 4}, {2, 4, 5}, Layout::dense, Layout::transposed);
  add("heads over time-major memory", {2, 3, 4, 5}, {2, 3, 5, 2}, Layout::heads, Layout::heads);
  add("gaps in both directions", {3, 5}, {5, 4}, Layout::spaced, Layout::spaced);
  add("backward", {3, 5}, {2, 5, 4}, Layout::backward, Layout::backward);
  add("odd sizes beyond a tile", {37, 19}, {19, 53});
  add("large", {131, 67}, {67, 141}, Layout::dense, Layout::transposed);
  add("large batch", {6, 33, 35}, {6, 35, 50}, Layout::spaced, Layout::transposed);
  spec.random = [=](Random& random) {
    const Shape batch = random.one_in(2) ? Shape{} : Shape{1 + random.below(3), 1 + random.below(3)};
    const std::int64_t most = random.most() / plinth::element_count(batch);
    const std::int64_t K = random.length(std::min<std::int64_t>(most, 600)), M = random.length(most / K),
                       N = random.length(std::min(most / K, most / M));
    Shape a = any_part(random, batch), b = random.one_in(2) ? batch : any_part(random, batch);
    a.push_back(M), a.push_back(K);
    b.push_back(K), b.push_back(N);
    const Layout of_a = any_layout(random);
    return Sample{"", {{a, of_a, -1, 1}, {b, any_layout(random), -1, 1}}, op, product};
  };
  const auto refuse = [&](const Shape& a, const Shape& b) {
    spec.refusals.push_back(refuses<plinth::ShapeError>([=] { matmul(Tensor<double>(a), Tensor<double>(b)); },
                                                        {"matmul", to_string(a), to_string(b)}));
  };
  refuse({2, 3}, {4, 5});
  refuse({3}, {3, 2});
  refuse({2, 3}, {3});
  refuse({2, 4, 3}, {5, 3, 2});
  refuse({2, 1, 4, 3}, {3, 1, 3, 2});
  return spec;
}

Specs matmul_specs() { return {matmul_spec()}; }

const InTable matmul_table("matrix products", matmul_specs);

}  // namespace
