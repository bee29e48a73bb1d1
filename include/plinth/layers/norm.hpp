// SPDX-License-Identifier: MIT
// Layer norm and RMS norm: formula, gradient, kernel call and the layer that is either of them.
#pragma once

#include <cstdint>
#include <tuple>

#include <plinth/ops/softmax.hpp>

namespace plinth {

/// With n = (x - mean) / deviation and g = dy gain: dx = (g - mean(g) - n mean(g n)) / deviation, dgain = the sum of
/// dy n over rows, dbias = the sum of dy over rows.
template <class T, class D>
struct LayerNormOp {
  /// What sums over a row are computed in.
  using A = accumulator_t<T>;
  static constexpr const char* name = "layer_norm";
  static constexpr int required_inputs = 2;  ///< the bias may be undefined
  double epsilon = 0;                        ///< added to the variance
  Saved<T, D> x,                             ///< (..., C)
      gain;                                  ///< (C)
  Tensor<A, D> mean,                         ///< of each row
      inverse_deviation;                     ///< 1 / sqrt(variance + epsilon) of each row
  bool has_bias = false;                     ///< whether dbias is wanted

  /// input (..., C), g (C), bias (C) or undefined -> (..., C)
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
  /// {dx, dgain, dbias or undefined}
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
/// Throws ShapeError naming all shapes.
template <Real T, class D>
Tensor<T, D> layer_norm(const Tensor<T, D>& x, const Tensor<T, D>& gain, const Tensor<T, D>& bias = {},
                        double epsilon = 1e-5) {
  const bool fits = x.rank() >= 1 && gain.shape() == Shape({x.size(-1)}) && (!bias.defined() || bias.shape() == gain.shape());
  detail::require<ShapeError>(fits, "layer_norm: x ", x.shape(), ", gain ", gain.shape(),
                              " and bias ", bias.shape(), " do not fit");
  return apply(LayerNormOp<T, D>{epsilon, {}, {}, {}, {}, false}, x, gain, bias);
}

/// With n = x / rms and g = dy gain: dx = (g - n mean(g n)) / rms, dgain = the sum of dy n over rows.
template <class T, class D>
struct RmsNormOp {
  /// What sums over a row are computed in.
  using A = accumulator_t<T>;
  static constexpr const char* name = "rms_norm";
  double epsilon = 0;        ///< added to the mean square
  Saved<T, D> x,             ///< (..., C)
      gain;                  ///< (C)
  Tensor<A, D> inverse_rms;  ///< 1 / sqrt(mean(x^2) + epsilon) of each row

  /// input (..., C), g (C) -> (..., C)
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
  /// {dx, dgain}
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
/// PyTorch: rms_norm. Throws ShapeError naming both shapes.
template <Real T, class D>
Tensor<T, D> rms_norm(const Tensor<T, D>& x, const Tensor<T, D>& gain, double epsilon = 1e-5) {
  detail::require<ShapeError>(x.rank() >= 1 && gain.shape() == Shape({x.size(-1)}), "rms_norm: x ", x.shape(),
                              " and gain ", gain.shape(), " do not fit");
  return apply(RmsNormOp<T, D>{epsilon, {}, {}, {}}, x, gain);
}

/// What a Norm computes.
enum class NormKind {
  layer,  ///< layer_norm
  rms     ///< rms_norm, without a bias
};

/// A norm layer of a kind chosen at run time. Gains start at one, biases at zero.  PyTorch: nn.LayerNorm, nn.RMSNorm.
template <class T, class D = Cpu>
struct Norm {
  NormKind kind = NormKind::layer;  ///< chosen once, branched on in each call
  double epsilon = 1e-5;            ///< added to the variance, or to the mean square
  Tensor<T, D> gain;                ///< (C)
  Tensor<T, D> bias;                ///< (C), or undefined

  Norm() = default;
  /// Over so many channels, C. with_bias is for the layer norm alone.
  Norm(NormKind norm_kind, std::int64_t channels, bool with_bias, double norm_epsilon)
      : kind(norm_kind), epsilon(norm_epsilon), gain(full<T, D>({channels}, T(1))) {
    require_gradient(gain);
    if (kind == NormKind::rms || !with_bias) return;
    bias = zeros<T, D>({channels});
    require_gradient(bias);
  }

  /// x (..., C) -> (..., C). Throws ShapeError.
  Tensor<T, D> operator()(const Tensor<T, D>& x) const {
    return kind == NormKind::layer ? layer_norm(x, gain, bias, epsilon) : rms_norm(x, gain, epsilon);
  }
  static void visit(auto& self, auto&& f) {
    f("gain", self.gain);
    f("bias", self.bias);
  }
};

}  // namespace plinth
