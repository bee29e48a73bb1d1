// SPDX-License-Identifier: MIT
// The op table: linear layers and norms.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <plinth/activation/gelu.hpp>
#include <plinth/layers/linear.hpp>
#include <plinth/layers/norm.hpp>
#include <plinth/models/feed_forward.hpp>

#include "ops/spec.hpp"

namespace {

using namespace op_table;
using plinth::ShapeError;

/// in[k], or an undefined tensor when there are fewer inputs.
template <class T>
Tensor<T> optional(const Tensors<T>& in, std::size_t k) {
  return in.size() > k ? in[k] : Tensor<T>();
}

/// activation(sum over i of x[..., i] weight[o, i] + bias[o])
template <class Activation>
Reference linear_of(Activation activation) {
  return [=](const Arrays& in) {
    Shape shape = in[0].shape;
    shape[-1] = in[1].shape[0];
    return Array(shape, [&](const Shape& index) {
      double z = in.size() > 2 ? in[2].at({index[-1]}) : 0;
      Shape from = index;
      for (from[-1] = 0; from[-1] < in[1].shape[1]; ++from[-1]) z += in[0].at(from) * in[1].at({index[-1], from[-1]});
      return static_cast<double>(activation(z));
    });
  };
}

/// How many outputs a layer over rows of x has, so that neither they nor its weight are many more elements than those of
/// x. They are at least 8: an activation of a single sum may be all but 0, and then only rounding.
std::int64_t many_outputs(Random& random, const Shape& x, std::int64_t inputs) {
  const std::int64_t rows = plinth::element_count(x) / std::max<std::int64_t>(x[-1], 1);
  return 7 + random.length(std::max<std::int64_t>(1, random.most() / std::max({rows, inputs, std::int64_t{1}})));
}

/// A linear layer with the activation F, whose formula is `activation`.
template <class F, class Activation>
OpSpec linear_spec(const std::string& name, Activation activation) {
  OpSpec spec{.name = name,
              .covers = {"LinearOp"},
              .broadcasts = true,
              .by_largest = !std::is_same_v<F, plinth::Identity>,
              .why = "without a kernel that fuses it, the activation is of a sum rounded to 16 bits"};
  const Operation op([](const auto& in) { return plinth::linear(in[0], in[1], optional(in, 2), F{}); });
  const auto sample = [=](const char* what, const Shape& x, const Shape& weight, bool bias,
                          Layout layout = Layout::dense) {
    std::vector<Input> inputs = {{x, layout, -1, 1}, {weight, layout, -1, 1}};
    if (bias) inputs.push_back({{weight[0]}, layout});
    return Sample{what, inputs, op, linear_of(activation)};
  };
  const auto add = [&](const char* what, const Shape& x, const Shape& weight, bool bias, Layout layout = Layout::dense) {
    spec.samples.push_back(sample(what, x, weight, bias, layout));
  };
  add("one element", {1}, {1, 1}, true);
  add("a vector without bias", {3}, {5, 3}, false);
  add("rows", {4, 3}, {5, 3}, true);
  add("three axes", {2, 3, 5}, {4, 5}, true);
  add("one output, no bias", {2, 2, 3}, {1, 3}, false);
  add("no rows", {0, 3}, {5, 3}, true);
  add("no inputs", {2, 0}, {3, 0}, true);
  add("no outputs", {4, 3}, {0, 3}, true);
  add("transposed", {5, 4}, {7, 4}, true, Layout::transposed);
  add("with gaps", {2, 3, 5}, {4, 5}, true, Layout::spaced);
  add("backward", {3, 5}, {4, 5}, true, Layout::backward);
  add("odd sizes beyond a tile", {37, 19}, {53, 19}, true);
  add("large", {131, 67}, {141, 67}, true);
  spec.random = [=](Random& random) {
    const Shape x = any_shape(random, 1 + random.below(3));
    const std::int64_t outputs = many_outputs(random, x, x[-1]);
    return sample("", x, {outputs, x[-1]}, random.one_in(2), any_layout(random));
  };
  const auto refuse = [&](const Shape& x, const Shape& weight, const Shape& bias) {
    spec.refusals.push_back(refuses<ShapeError>(
        [=] { plinth::linear(Tensor<double>(x), Tensor<double>(weight), Tensor<double>(bias), F{}); },
        {"linear", to_string(x), to_string(weight), to_string(bias)}));
  };
  refuse({4, 3}, {5, 4}, {5});
  refuse({4, 3}, {5, 3}, {4});
  refuse({4, 3}, {3}, {3});
  refuse({}, {1, 1}, {1});
  refuse({4, 3}, {5, 3}, {5, 1});
  return spec;
}

/// Two linear layers with GELU in its tanh form between them.
OpSpec feed_forward_spec() {
  OpSpec spec{.name = "feed_forward",
              .covers = {"FeedForwardOp"},
              .looser = 4,
              .by_largest = true,
              .why = "what lies between the layers is rounded to 16 bits"};
  const Operation op([]<class T>(const Tensors<T>& in) {
    return plinth::apply(plinth::FeedForwardOp<T, Device>{}, in[0], in[1], in[2], optional(in, 3),
                         optional(in, 4));
  });
  const auto reference = [](const Arrays& in) {
    Arrays inner = {in[0], in[1]}, outer;
    if (in.size() > 3) inner.push_back(in[3]);
    const double root = std::sqrt(2 / std::acos(-1.0));
    outer = {linear_of([=](double z) { return z / 2 * (1 + std::tanh(root * (z + 0.044715 * z * z * z))); })(inner), in[2]};
    if (in.size() > 4) outer.push_back(in[4]);
    return linear_of([](double z) { return z; })(outer);
  };
  const auto sample = [=](const char* what, const Shape& x, std::int64_t F, std::int64_t outputs, bool bias,
                          Layout layout) {
    // The second layer only adds, so that rounding errors of the first do not stand alone.
    std::vector<Input> inputs = {{x, layout, -1, 1}, {{F, x[-1]}, layout, -1, 1}, {{outputs, F}, layout, 0.25, 1}};
    if (bias) inputs.insert(inputs.end(), {{{F}, layout}, {{outputs}, layout, 0, 2}});
    return Sample{what, inputs, op, reference};
  };
  const auto add = [&](const char* what, const Shape& x, std::int64_t F, std::int64_t outputs, bool bias,
                       Layout layout = Layout::dense) {
    spec.samples.push_back(sample(what, x, F, outputs, bias, layout));
  };
  add("one element", {1}, 1, 1, true);
  add("rows", {4, 3}, 5, 3, true);
  add("three axes without bias", {2, 3, 5}, 7, 4, false);
  add("no rows", {0, 3}, 5, 4, true);
  add("transposed", {5, 4}, 7, 4, true, Layout::transposed);
  add("with gaps", {2, 3, 5}, 4, 5, true, Layout::spaced);
  add("backward", {3, 5}, 4, 2, true, Layout::backward);
  add("rows of eights", {2, 10, 24}, 40, 16, true);  // of which cuBLASLt takes GELU's slope
  add("large", {131, 67}, 141, 67, true);
  spec.random = [=](Random& random) {
    const Shape x = any_shape(random, 1 + random.below(3));
    const std::int64_t inner = many_outputs(random, x, x[-1]), outputs = many_outputs(random, x, inner);
    return sample("", x, inner, outputs, random.one_in(2), any_layout(random));
  };
  const auto refuse = [&](const Shape& x, const Shape& w1, const Shape& w2) {
    spec.refusals.push_back(refuses<ShapeError>(
        [=] { op.value()({Tensor<double>(x), Tensor<double>(w1), Tensor<double>(w2)}); }, {"linear"}));
  };
  refuse({4, 3}, {5, 4}, {3, 5});
  refuse({4, 3}, {5, 3}, {3, 4});
  return spec;
}

constexpr double epsilon = 1e-3;

/// (x - mean) / sqrt(variance + epsilon) gain + bias over the last axis
Array layer_norm_of(const Arrays& in) {
  const double n = static_cast<double>(in[0].shape[-1]);
  return Array(in[0].shape, [&](const Shape& index) {
    double mean = 0, variance = 0;
    Shape other = index;
    for (other[-1] = 0; other[-1] < in[0].shape[-1]; ++other[-1]) mean += in[0].at(other) / n;
    for (other[-1] = 0; other[-1] < in[0].shape[-1]; ++other[-1]) variance += std::pow(in[0].at(other) - mean, 2) / n;
    const double bias = in.size() > 2 ? in[2].at({index[-1]}) : 0;
    return (in[0].at(index) - mean) / std::sqrt(variance + epsilon) * in[1].at({index[-1]}) + bias;
  });
}

/// x / sqrt(mean(x^2) + epsilon) gain over the last axis
Array rms_norm_of(const Arrays& in) {
  return Array(in[0].shape, [&](const Shape& index) {
    double square = 0;
    Shape other = index;
    for (other[-1] = 0; other[-1] < in[0].shape[-1]; ++other[-1]) square += std::pow(in[0].at(other), 2);
    return in[0].at(index) / std::sqrt(square / static_cast<double>(in[0].shape[-1]) + epsilon) * in[1].at({index[-1]});
  });
}

/// Samples of a norm; `vectors` is the number of its inputs behind x.
void add_norm_samples(OpSpec& spec, const Operation& op, const Reference& reference, std::size_t vectors) {
  const auto sample = [=](const char* what, const Shape& x, Layout layout, double low, double high) {
    std::vector<Input> inputs = {{x, layout, low, high}};
    inputs.resize(1 + vectors, {{x[-1]}, layout});
    return Sample{what, inputs, op, reference};
  };
  const auto add = [&](const char* what, const Shape& x, Layout layout = Layout::dense, double low = -2,
                       double high = 2) { spec.samples.push_back(sample(what, x, layout, low, high)); };
  add("one element", {1});
  add("a vector", {7});
  add("rows", {4, 5});
  add("three axes", {2, 3, 5});
  add("one channel", {3, 1});
  add("no rows", {0, 3});
  add("transposed", {5, 4}, Layout::transposed);
  add("with gaps", {2, 3, 5}, Layout::spaced);
  add("backward", {3, 7}, Layout::backward);
  add("beside zero", {2, 19}, Layout::dense, 3, 5);
  add("large", {131, 129});
  spec.random = [=](Random& random) {
    const Shape x = any_shape(random, 1 + random.below(3));
    return sample("", x, any_layout(random), -2, 2);
  };
}

OpSpec layer_norm_spec(std::size_t vectors) {
  OpSpec spec{
      .name = vectors == 2 ? "layer_norm" : "layer_norm without bias", .covers = {"LayerNormOp"}, .broadcasts = true};
  add_norm_samples(
      spec, [](const auto& in) { return layer_norm(in[0], in[1], optional(in, 2), epsilon); }, layer_norm_of, vectors);
  const auto refuse = [&](const Shape& x, const Shape& gain, const Shape& bias) {
    spec.refusals.push_back(
        refuses<ShapeError>([=] { layer_norm(Tensor<double>(x), Tensor<double>(gain), Tensor<double>(bias)); },
                            {"layer_norm", to_string(x), to_string(gain), to_string(bias)}));
  };
  refuse({4, 3}, {4}, {4});
  refuse({4, 3}, {3}, {4});
  refuse({4, 3}, {1, 3}, {3});
  refuse({}, {1}, {1});
  return spec;
}

OpSpec rms_norm_spec() {
  OpSpec spec{.name = "rms_norm", .covers = {"RmsNormOp"}, .broadcasts = true};
  add_norm_samples(
      spec, [](const auto& in) { return rms_norm(in[0], in[1], epsilon); }, rms_norm_of, 1);
  const auto refuse = [&](const Shape& x, const Shape& gain) {
    spec.refusals.push_back(refuses<ShapeError>([=] { rms_norm(Tensor<double>(x), Tensor<double>(gain)); },
                                                {"rms_norm", to_string(x), to_string(gain)}));
  };
  refuse({4, 3}, {4});
  refuse({4, 3}, {1, 3});
  refuse({}, {1});
  return spec;
}

Specs layers_specs() {
  return {
      linear_spec<plinth::Identity>("linear", [](double z) { return z; }),
      feed_forward_spec(),
      linear_spec<plinth::Gelu>("linear with gelu", [](double z) { return z * 0.5 * std::erfc(-z * std::sqrt(0.5)); }),
      layer_norm_spec(2),
      layer_norm_spec(1),
      rms_norm_spec(),
  };
}

const InTable layers_table("layers", layers_specs);

}  // namespace
