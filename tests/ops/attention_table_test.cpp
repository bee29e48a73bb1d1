// SPDX-License-Identifier: MIT
// The op table: attention through its public function, and its composed definition.
#include <algorithm>
#include <cmath>
#include <vector>

#include <plinth/attention/attention.hpp>

#include "ops/spec.hpp"

namespace {

using namespace op_table;
using plinth::AttentionMask;

/// y[b, h, i] = sum over visible j of p_j v[b, g, j], p = softmax over visible j of q[b, h, i] . k[b, g, j] / sqrt(D),
/// g = h / (H / G); visible to query i are all keys, or, causal, those with j <= i + S - T. Zeros where none is.
Reference attention_of(AttentionMask mask) {
  return [=](const Arrays& in) {
    const Array &q = in[0], &k = in[1], &v = in[2];
    const std::int64_t per_key_head = q.shape[1] / k.shape[1], past = k.shape[2] - q.shape[2], size = q.shape[3];
    std::vector<double> weights;
    double sum = 0;
    return Array(q.shape, [&](const Shape& index) {
      const std::int64_t b = index[0], h = index[1], i = index[2], g = h / per_key_head;
      const std::int64_t seen =
          mask == AttentionMask::none ? k.shape[2] : std::clamp<std::int64_t>(i + past + 1, 0, k.shape[2]);
      if (index[3] == 0) {  // the row's weights serve all its channels
        weights.assign(static_cast<std::size_t>(seen), 0);
        for (std::int64_t j = 0; j < seen; ++j)
          for (std::int64_t d = 0; d < size; ++d)
            weights[static_cast<std::size_t>(j)] +=
                q.at({b, h, i, d}) * k.at({b, g, j, d}) / std::sqrt(static_cast<double>(size));
        const double top = seen ? *std::max_element(weights.begin(), weights.end()) : 0;
        sum = 0;
        for (double& weight : weights) sum += weight = std::exp(weight - top);
      }
      double y = 0;
      for (std::int64_t j = 0; j < seen; ++j)
        y += weights[static_cast<std::size_t>(j)] / sum * v.at({b, g, j, index[3]});
      return y;
    });
  };
}

/// Query (B, H, T, D), key and value (B, G, S, D).
struct Sizes {
  std::int64_t B, H, G, T, S, D;
};

std::vector<Input> inputs(const Sizes& s, Layout layout, double reach) {
  return {{{s.B, s.H, s.T, s.D}, layout, -reach, reach},
          {{s.B, s.G, s.S, s.D}, layout, -reach, reach},
          {{s.B, s.G, s.S, s.D}, layout}};
}

OpSpec attention_spec(const char* name, AttentionMask mask, const Operation& op) {
  OpSpec spec{.name = name,
              .covers = {"AttentionOp"},
              .looser = 4,
              .why = "backward takes dy . y, with y rounded to 16 bits, off dy . v of each key, which may cancel"};
  const auto add = [&](const char* what, const Sizes& s, Layout layout = Layout::dense, double reach = 2) {
    spec.samples.push_back({what, inputs(s, layout, reach), op, attention_of(mask)});
  };
  add("one element", {1, 1, 1, 1, 1, 1});
  add("one query, many keys", {2, 2, 2, 1, 9, 3});
  add("many queries, one key", {1, 2, 2, 5, 1, 3});
  add("heads", {2, 3, 3, 4, 4, 3});
  add("one channel", {1, 2, 1, 5, 5, 1});
  add("grouped heads", {2, 4, 2, 3, 5, 3});
  add("all heads on one", {1, 6, 1, 4, 4, 3});
  add("more queries than keys", {1, 2, 1, 7, 3, 3});
  add("more keys than queries", {1, 2, 2, 3, 7, 3});
  add("no queries", {1, 2, 2, 0, 4, 3});
  add("no keys", {1, 2, 2, 3, 0, 3});
  add("no batch", {0, 2, 1, 3, 3, 3});
  add("over time-major memory", {2, 4, 2, 3, 4, 2}, Layout::heads);
  add("transposed", {2, 2, 1, 4, 3, 3}, Layout::transposed);
  add("with gaps", {1, 2, 2, 4, 5, 3}, Layout::spaced);
  add("backward", {1, 2, 1, 5, 4, 3}, Layout::backward);
  add("far apart scores", {1, 1, 1, 5, 6, 3}, Layout::dense, 40);
  add("across a tile, D 8", {1, 4, 2, 33, 33, 8}, Layout::heads);
  add("T 70, S 65, D 3", {2, 2, 1, 70, 65, 3});
  add("T 65, S 70, D 64", {1, 2, 2, 65, 70, 64}, Layout::heads);
  add("T 17, S 130, D 16", {2, 3, 3, 17, 130, 16});
  add("T 64, S 64, D 64", {1, 3, 1, 64, 64, 64});
  add("T 3, S 257, D 20", {1, 2, 2, 3, 257, 20});
  const auto refuse = [&](const Shape& q, const Shape& k, const Shape& v) {
    const auto call = [=] { op.value()({Tensor<double>(q), Tensor<double>(k), Tensor<double>(v)}); };
    spec.refusals.push_back(refuses<plinth::ShapeError>(call, {"attention", to_string(q), to_string(k), to_string(v)}));
  };
  refuse({1, 2, 3, 4}, {1, 2, 3, 5}, {1, 2, 3, 5});
  refuse({1, 2, 3, 4}, {1, 2, 3, 4}, {1, 2, 4, 4});
  refuse({1, 3, 3, 4}, {1, 2, 3, 4}, {1, 2, 3, 4});
  refuse({1, 2, 3, 4}, {2, 2, 3, 4}, {2, 2, 3, 4});
  refuse({1, 2, 3, 4}, {1, 0, 3, 4}, {1, 0, 3, 4});
  refuse({2, 3, 4}, {2, 3, 4}, {2, 3, 4});
  return spec;
}

/// The public function, and its definition in steps; that one for types with an infinity in numeric_limits.
Operation fused(AttentionMask mask) {
  return [=](const auto& in) { return plinth::attention(in[0], in[1], in[2], mask); };
}
Operation composed(AttentionMask mask) {
  const auto op = [=](const auto& in) { return plinth::composed_attention(in[0], in[1], in[2], mask); };
  return Operation(std::type_identity<std::tuple<double, float>>(), op);
}

Specs specs() {
  return {attention_spec("attention", AttentionMask::none, fused(AttentionMask::none)),
          attention_spec("causal attention", AttentionMask::causal, fused(AttentionMask::causal)),
          attention_spec("composed attention", AttentionMask::none, composed(AttentionMask::none)),
          attention_spec("composed causal attention", AttentionMask::causal, composed(AttentionMask::causal))};
}

const InTable entered(specs);

}  // namespace
