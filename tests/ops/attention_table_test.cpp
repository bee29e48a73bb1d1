// SPDX-License-Identifier: MIT
// The op table: attention through its public function, and its composed definition.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <vector>

#include <plinth/attention/attention.hpp>

#include "ops/spec.hpp"

namespace {

using namespace op_table;
using plinth::AttentionMask;

/// Which keys are seen: rows holds place, begin and end of each batch row.
struct Sight {
  bool causal = false;
  std::int64_t window = 0;
  std::vector<std::int32_t> rows = {};

  bool sees(std::int64_t b, std::int64_t i, std::int64_t j, std::int64_t queries, std::int64_t keys) const {
    const auto row = static_cast<std::size_t>(3 * b);
    const std::int64_t place = i + (rows.empty() ? keys - queries : rows[row]);
    if (!rows.empty() && (j < rows[row + 1] || j >= rows[row + 2])) return false;
    return !causal || (j <= place && (window == 0 || j > place - window));
  }
  template <class T>
  AttentionMask<T, Device> mask() const {
    AttentionMask<T, Device> mask{.causal = causal, .window = window};
    if (!rows.empty()) mask.rows = Tensor<std::int32_t>({static_cast<std::int64_t>(rows.size() / 3), 3}, rows);
    return mask;
  }
};

/// bias[b, h, i, j] with missing leading axes and sizes of 1 broadcast.
double bias_at(const Array& bias, Shape index) {
  Shape own;
  for (int k = 4 - bias.shape.rank(); k < 4; ++k) own.push_back(bias.shape[own.rank()] == 1 ? 0 : index[k]);
  return bias.at(own);
}

/// y[b, h, i] = sum over visible j of p_j v[b, g, j], p = softmax over visible j of scale q[b, h, i] . k[b, g, j] +
/// bias[b, h, i, j], g = h / (H / G). Zeros where none is visible. Scale 0: 1 / sqrt(D).
Reference attention_of(const Sight& sight, double scale = 0) {
  return [=](const Arrays& in) {
    const Array &q = in[0], &k = in[1], &v = in[2];
    const std::int64_t per_key_head = q.shape[1] / k.shape[1], keys = k.shape[2], size = q.shape[3];
    const double factor = scale != 0 ? scale : 1 / std::sqrt(static_cast<double>(size));
    std::vector<double> weights(static_cast<std::size_t>(keys));
    double sum = 0;
    return Array(q.shape, [&](const Shape& index) {
      const std::int64_t b = index[0], h = index[1], i = index[2], g = h / per_key_head;
      if (index[3] == 0) {  // the row's weights serve all its channels
        for (std::int64_t j = 0; j < keys; ++j) {
          double score = in.size() > 3 ? bias_at(in[3], {b, h, i, j}) : 0;
          for (std::int64_t d = 0; d < size; ++d) score += factor * q.at({b, h, i, d}) * k.at({b, g, j, d});
          weights[static_cast<std::size_t>(j)] = sight.sees(b, i, j, q.shape[2], keys) ? score : -INFINITY;
        }
        const double top = keys ? *std::max_element(weights.begin(), weights.end()) : 0;
        sum = 0;
        for (double& weight : weights) sum += weight = std::isinf(top) ? 0 : std::exp(weight - top);
      }
      double y = 0;
      for (std::int64_t j = 0; j < keys && sum > 0; ++j)
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

/// Of a random problem, whose heads' sizes include those of the tensor cores' kernels.
Sizes any_sizes(Random& random) {
  constexpr std::int64_t head_sizes[] = {7, 8, 20, 32, 48, 64, 64, 80, 96, 128, 128, 160, 256};
  Sizes s{.B = 1 + random.below(2), .H = 1 + random.below(3), .G = 1 + random.below(2), .T = 1, .S = 1, .D = 1};
  s.H *= s.G;
  s.D = head_sizes[random.below(std::size(head_sizes))];
  if (s.B * s.H * s.D > random.most()) s.B = s.H = s.G = 1;
  const std::int64_t longest = std::max<std::int64_t>(3, 4 * random.most() / (s.B * s.H * s.D));
  s.T = random.one_in(4) ? 1 + random.below(8) : random.length(std::min<std::int64_t>(longest, 300));
  s.S = 1 + random.length(std::min<std::int64_t>(longest, 700));  // of a single one, gradients are but rounding
  return s;
}

/// Of each batch row, the first query's place and the keys that may be seen.
std::vector<std::int32_t> any_rows(Random& random, const Sizes& s) {
  std::vector<std::int32_t> rows;
  for (std::int64_t b = 0; b < s.B; ++b) {
    const std::int64_t end = 1 + random.below(s.S), begin = random.one_in(2) ? 0 : random.below(end);
    for (const std::int64_t x : {end - 1 - random.below(s.T), begin, end}) rows.push_back(static_cast<std::int32_t>(x));
  }
  return rows;
}

enum class Form { fused, composed };

/// The public function, or its definition in steps. A fourth input is a bias.
Operation operation(Form form, const Sight& sight, double scale = 0) {
  return [=](const auto& in) {
    auto mask = sight.mask<typename std::remove_cvref_t<decltype(in[0])>::element>();
    if (in.size() > 3) mask.bias = in[3];
    return form == Form::fused ? plinth::attention(in[0], in[1], in[2], mask, scale)
                               : plinth::composed_attention(in[0], in[1], in[2], mask, scale);
  };
}

OpSpec empty_spec(const char* name) {
  return {.name = name,
          .covers = {"AttentionOp"},
          .looser = 5,
          .by_largest = true,
          .why = "backward takes dy . y, with y rounded to 16 bits, off dy . v of each key, which may cancel"};
}

OpSpec attention_spec(const char* name, Form form, const Sight& sight) {
  OpSpec spec = empty_spec(name);
  const Operation op = operation(form, sight);
  const auto add = [&](const char* what, const Sizes& s, Layout layout = Layout::dense, double reach = 2) {
    spec.samples.push_back({what, inputs(s, layout, reach), op, attention_of(sight)});
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
  add("T 65, S 70, D 64", {1, 2, 2, 65, 70, 64}, Layout::heads);
  if (form == Form::fused && sight.causal) {
    add("across a tile, D 8", {1, 4, 2, 33, 33, 8}, Layout::heads);
    add("T 70, S 65, D 3", {2, 2, 1, 70, 65, 3});
    add("T 64, S 64, D 64", {1, 3, 1, 64, 64, 64});
  }
  if (form == Form::fused && !sight.causal) {
    add("T 17, S 130, D 16", {2, 3, 3, 17, 130, 16});
    add("T 3, S 257, D 20", {1, 2, 2, 3, 257, 20});
  }
  spec.random = [=](Random& random) {
    const Sizes s = any_sizes(random);
    return Sample{"", inputs(s, any_layout(random), 2), op, {}};
  };
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

OpSpec masked_spec(const char* name, Form form) {
  OpSpec spec = empty_spec(name);
  const auto add = [&](const char* what, const Sizes& s, const Sight& sight, Layout layout = Layout::dense,
                       double scale = 0) {
    spec.samples.push_back({what, inputs(s, layout, 2), operation(form, sight, scale), attention_of(sight, scale)});
  };
  add("one element", {1, 1, 1, 1, 1, 1}, {true, 1, {0, 0, 1}});
  add("scale 1", {1, 2, 1, 4, 5, 3}, {}, Layout::dense, 1);
  add("window 1", {1, 2, 1, 5, 5, 3}, {true, 1});
  add("window 3", {2, 2, 2, 7, 7, 2}, {true, 3}, Layout::heads);
  add("window 2, more queries than keys", {1, 2, 1, 6, 3, 3}, {true, 2});
  add("right padding", {3, 2, 1, 4, 4, 2}, {false, 0, {0, 0, 4, 0, 0, 1, 0, 0, 3}});
  add("right padding, causal", {2, 2, 2, 4, 4, 3}, {true, 0, {0, 0, 4, 0, 0, 2}}, Layout::transposed);
  add("left padding, causal", {2, 2, 1, 4, 4, 3}, {true, 0, {0, 3, 4, 0, 1, 4}}, Layout::heads);
  add("a row without keys", {2, 1, 1, 3, 4, 3}, {false, 0, {0, 2, 2, 0, 0, 4}});
  add("rows at their own places", {3, 2, 1, 2, 6, 2}, {true, 0, {4, 0, 6, 0, 0, 2, 2, 0, 4}}, Layout::spaced);
  add("rows, window, places", {2, 2, 1, 3, 9, 2}, {true, 4, {6, 0, 9, 1, 0, 9}}, Layout::backward);
  if (form == Form::fused) add("window 20, T 150", {1, 2, 1, 150, 150, 8}, {true, 20}, Layout::heads);
  add("rows, T 20, S 140", {2, 4, 2, 20, 140, 16}, {true, 50, {125, 70, 130, -5, 0, 140}}, Layout::heads);
  spec.random = [=](Random& random) {
    const Sizes s = any_sizes(random);
    Sight sight{.causal = random.one_in(2)};
    if (sight.causal && random.one_in(2)) sight.window = 2 + random.below(s.S);
    if (random.one_in(2)) sight.rows = any_rows(random, s);
    return Sample{"", inputs(s, any_layout(random), 2), operation(form, sight, random.one_in(2) ? 0 : 0.1), {}};
  };
  const auto call = [=](const AttentionMask<double, Device>& mask) {
    const auto x = plinth::full<double, Device>({2, 1, 3, 4}, 1);
    return form == Form::fused ? plinth::attention(x, x, x, mask) : plinth::composed_attention(x, x, x, mask);
  };
  const auto refuse = [&]<class E>(E*, const AttentionMask<double, Device>& mask, const char* text) {
    spec.refusals.push_back(refuses<E>([=] { call(mask); }, {"attention", text}));
  };
  const auto miss = [&](std::initializer_list<std::int32_t> rows, const char* text) {
    const Tensor<std::int32_t> at({2, 3}, rows);
    spec.refusals.push_back(misses<plinth::ArgumentError>([=] { return call({.rows = at}); }, {"attention", text}));
  };
  plinth::ArgumentError* argument = nullptr;
  plinth::ShapeError* shape = nullptr;
  refuse(argument, {.window = 2}, "window 2");
  refuse(argument, {.causal = true, .window = -1}, "window -1");
  miss({0, 0, 3, 0, 0, 4}, "row 1 sees keys [0, 4) of 3");
  miss({0, -1, 3, 0, 0, 3}, "row 0 sees keys [-1, 3) of 3");
  refuse(shape, {.rows = Tensor<std::int32_t>({1, 3}, {0, 0, 3})}, "(1, 3)");
  refuse(shape, {.bias = Tensor<double>({3, 1, 1, 3})}, "(3, 1, 1, 3)");
  refuse(shape, {.bias = Tensor<double>({1, 2, 1, 1, 3})}, "(1, 2, 1, 1, 3)");
  return spec;
}

/// A bias, which takes the composed form; it needs a gradient itself.
OpSpec biased_spec() {
  OpSpec spec = empty_spec("attention with a bias");
  spec.broadcasts = true;
  const auto add = [&](const char* what, const Sizes& s, const Shape& bias, const Sight& sight = {},
                       Layout layout = Layout::dense, double reach = 2) {
    auto all = inputs(s, layout, reach);
    all.push_back({bias, layout});
    spec.samples.push_back({what, all, operation(Form::fused, sight, 1), attention_of(sight, 1)});
  };
  add("one element", {1, 1, 1, 1, 1, 1}, {1});
  add("of each head, as T5 has it", {2, 4, 2, 3, 5, 2}, {1, 4, 3, 5});
  add("without a batch axis", {2, 2, 1, 3, 4, 2}, {2, 3, 4}, {}, Layout::transposed);
  add("one row of keys", {2, 2, 2, 3, 4, 2}, {2, 1, 1, 4});
  add("of queries alone", {1, 2, 1, 3, 4, 2}, {3, 1}, {true});
  add("full, causal", {2, 2, 1, 4, 4, 3}, {2, 2, 4, 4}, {true});
  add("with a window and rows", {2, 2, 1, 4, 6, 3}, {1, 2, 4, 6}, {true, 2, {2, 0, 6, 1, 0, 3}}, Layout::spaced);
  add("T 33, S 70, D 64", {2, 2, 1, 33, 70, 64}, {1, 2, 33, 70}, {true}, Layout::dense, 1);
  spec.random = [=](Random& random) {
    const Sizes s = any_sizes(random);
    auto all = inputs(s, any_layout(random), 2);
    all.push_back({any_part(random, {s.B, s.H, s.T, s.S}), any_layout(random)});
    return Sample{"", all, operation(Form::fused, {.causal = random.one_in(2)}, 0.2), {}};
  };
  spec.refusals.push_back(refuses<plinth::ShapeError>(
      [] {
        const Tensor<double> x({1, 1, 2, 4});
        plinth::attention(x, x, x, {.bias = Tensor<double>({3, 2})});
      },
      {"attention", "(3, 2)", "(1, 1, 2, 2)"}));
  return spec;
}

Specs attention_specs() {
  return {attention_spec("attention", Form::fused, {}),
          attention_spec("causal attention", Form::fused, {true}),
          attention_spec("composed attention", Form::composed, {}),
          attention_spec("composed causal attention", Form::composed, {true}),
          masked_spec("masked attention", Form::fused),
          masked_spec("composed masked attention", Form::composed),
          biased_spec()};
}

const InTable attention_table("attention", attention_specs);

}  // namespace
