// SPDX-License-Identifier: MIT
// Layer norm and RMS norm: formula, gradient, kernel call and the layer that is either of them.
#pragma once

#include <cstdint>
#include <tuple>

#include <plinth/ops/softmax.hpp>

namespace plinth {

template <class T, class D>
struct LayerNormOp {
  using A = accumulator_t<T>;
  static constexpr const char* name = "layer_norm";
  static constexpr int required_inputs = 2;
  double epsilon = 0;
  Saved<T, D> x, gain;
  Tensor<A, D> mean, inverse_deviation;
  bool has_bias = false;

  Tensor<T, D> forward(const Tensor<T, D>& input, const Tensor<T, D>& g, const Tensor<T, D>& bias) {
    const auto values = detail::dense(input), gains = detail::dense(g), biases = detail::dense(bias);
    const std::int64_t rows = detail::row_count(input);
    mean = Tensor<A, D>({rows});
    inverse_deviation = Tensor<A, D>({rows});
    Tensor<T, D> y(input.shape());
    kernels<D>::layer_norm(queue<D>::current(), rows, input.size(-1), epsilon, values.data(), gains.data(),
                           biases.data(), y.mutable_data(), mean.mutable_data(), inverse_deviation.mutable_data());
    x = values;
    gain = gains;
    has_bias = bias.defined();
    return y;
  }
  std::tuple<Tensor<T, D>, Tensor<T, D>, Tensor<T, D>> backward(const Tensor<T, D>& dy) const {
    const auto &input = x.get(name), &g = gain.get(name);
    const auto given = detail::dense(dy);
    Tensor<T, D> dx(input.shape()), dgain(g.shape()), dbias;
    if (has_bias) dbias = Tensor<T, D>(g.shape());
    kernels<D>::layer_norm_backward(queue<D>::current(), mean.count(), input.size(-1), input.data(), g.data(),
                                    mean.data(), inverse_deviation.data(), given.data(), dx.mutable_data(),
                                    dgain.mutable_data(), dbias.mutable_data());
    return {dx, dgain, dbias};
  }
};

/// y = (x - mean) / sqrt(variance + epsilon) gain + bias over the last axis, variance with divisor C.
/// x (..., C), gain (C), bias (C) or undefined. Ba, Kiros & Hinton 2016, eq. (3)-(4).  PyTorch: layer_norm.
template <Real T, class D>
Tensor<T, D> layer_norm(const Tensor<T, D>& x, const Tensor<T, D>& gain, const Tensor<T, D>& bias = {},
                        double epsilon = 1e-5) {
  const bool fits = x.rank() >= 1 && gain.shape() == Shape({x.size(-1)}) && (!bias.defined() || bias.shape() == gain.shape());
  detail::require<ShapeError>(fits, "layer_norm: x ", x.shape(), ", gain ", gain.shape(),
                              " and bias ", bias.shape(), " do not fit");
  return apply(LayerNormOp<T, D>{epsilon, {}, {}, {}, {}, false}, x, gain, bias);
}

template <class T, class D>
struct RmsNormOp {
  using A = accumulator_t<T>;
  static constexpr const char* name = "rms_norm";
  double epsilon = 0;
  Saved<T, D> x, gain;
  Tensor<A, D> inverse_rms;

  Tensor<T, D> forward(const Tensor<T, D>& input, const Tensor<T, D>& g) {
    const auto values = detail::dense(input), gains = detail::dense(g);
    const std::int64_t rows = detail::row_count(input);
    inverse_rms = Tensor<A, D>({rows});
    Tensor<T, D> y(input.shape());
    kernels<D>::rms_norm(queue<D>::current(), rows, input.size(-1), epsilon, values.data(), gains.data(),
                         y.mutable_data(), inverse_rms.mutable_data());
    x = values;
    gain = gains;
    return y;
  }
  std::tuple<Tensor<T, D>, Tensor<T, D>> backward(const Tensor<T, D>& dy) const {
    const auto &input = x.get(name), &g = gain.get(name);
    const auto given = detail::dense(dy);
    Tensor<T, D> dx(input.shape()), dgain(g.shape());
    kernels<D>::rms_norm_backward(queue<D>::current(), inverse_rms.count(), input.size(-1), input.data(), g.data(),
                                  inverse_rms.data(), given.data(), dx.mutable_data(), dgain.mutable_data());
    return {dx, dgain};
  }
};

/// y = x / sqrt(mean(x^2) + epsilon) gain over the last axis. x (..., C), gain (C). Zhang & Sennrich 2019, eq. (4).
/// PyTorch: rms_norm.
template <Real T, class D>
Tensor<T, D> rms_norm(const Tensor<T, D>& x, const Tensor<T, D>& gain, double epsilon = 1e-5) {
  detail::require<ShapeError>(x.rank() >= 1 && gain.shape() == Shape({x.size(-1)}), "rms_norm: x ", x.shape(),
                              " and gain ", gain.shape(), " do not fit");
  return apply(RmsNormOp<T, D>{epsilon, {}, {}, {}}, x, gain);
}

enum class NormKind { layer, rms };

/// A norm layer of a kind chosen at run time. Gains start at one, biases at zero.
template <class T, class D = Cpu>
struct Norm {
  NormKind kind = NormKind::layer;
  double epsilon = 1e-5;
  Tensor<T, D> gain;  // (C)
  Tensor<T, D> bias;  // (C), or undefined

  Norm() = default;
  Norm(NormKind norm_kind, std::int64_t channels, bool with_bias, double norm_epsilon)
      : kind(norm_kind), epsilon(norm_epsilon), gain(full<T, D>({channels}, T(1))) {
    require_gradient(gain);
    if (kind == NormKind::rms || !with_bias) return;
    bias = zeros<T, D>({channels});
    require_gradient(bias);
  }

  /// x (..., C) -> (..., C)
  Tensor<T, D> operator()(const Tensor<T, D>& x) const {
    return kind == NormKind::layer ? layer_norm(x, gain, bias, epsilon) : rms_norm(x, gain, epsilon);
  }
  static void visit(auto& self, auto&& f) {
    f("gain", self.gain);
    f("bias", self.bias);
  }
};

}  // namespace plinth
