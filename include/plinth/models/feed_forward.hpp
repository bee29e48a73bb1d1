// SPDX-License-Identifier: MIT
// The feed-forward part of a transformer block, plain or gated.
// B batch, T sequence, C channels, F feed-forward channels.
#pragma once

#include <cstdint>
#include <optional>

#include <plinth/activation/gelu.hpp>
#include <plinth/activation/relu.hpp>
#include <plinth/activation/sigmoid.hpp>
#include <plinth/activation/silu.hpp>
#include <plinth/activation/swish.hpp>
#include <plinth/layers/linear.hpp>

namespace plinth {

/// The function between the two layers.
enum class ActivationKind {
  relu,       ///< Relu; gated: ReGLU
  gelu,       ///< Gelu, the exact form; gated: GEGLU
  gelu_tanh,  ///< GeluTanh
  silu,       ///< Silu; gated: SwiGLU
  swish,      ///< Swish with a beta that is learned, one for each layer
  sigmoid     ///< Sigmoid; gated: GLU
};

/// y = f(z) W2^T + b2 with z = x W1^T + b1 and f = GeluTanh: both layers in one op, for backends whose products end
/// with f's gradient.
template <class T, class D>
struct FeedForwardOp {
  static constexpr const char* name = "feed_forward";
  static constexpr int required_inputs = 3;  ///< the biases may be undefined
  LinearOp<GeluTanh, T, D> up;               ///< x -> f(z)
  LinearOp<Identity, T, D> down;             ///< f(z) -> y

  /// x (..., C), W1 (F, C), W2 (C, F), b1 (F) and b2 (C) or undefined -> (..., C)
  Tensor<T, D> forward(const Tensor<T, D>& x, const Tensor<T, D>& w1, const Tensor<T, D>& w2, const Tensor<T, D>& b1,
                       const Tensor<T, D>& b2) {
    detail::require_linear(x.shape(), w1, b1);
    detail::require_linear(Shape{w1.size(0)}, w2, b2);
    const auto hidden = up.forward(x, w1, b1);
    const auto y = down.forward(hidden, w2, b2);
    down.map = {hidden, w2, b2.defined()};
    return y;
  }

  /// {dx, dW1, dW2, db1, db2}: dz = f.backward(z, dy W2), and with it and with dy what linear layers do
  std::tuple<Tensor<T, D>, Tensor<T, D>, Tensor<T, D>, Tensor<T, D>, Tensor<T, D>> backward(
      const Tensor<T, D>& dy, const Needed<5>& needed) const {
    const auto given = detail::dense(dy);
    const auto outer = down.map.gradients(name, given, {false, needed[2], needed[4]});
    std::tuple<Tensor<T, D>, Tensor<T, D>, Tensor<T, D>> inner;
    if (needed[0] || needed[1] || needed[3])
      inner = up.map.gradients(name, before_activation(given), {needed[0], needed[1], needed[3]});
    return {std::get<0>(inner), std::get<1>(inner), std::get<1>(outer), std::get<2>(inner), std::get<2>(outer)};
  }

 private:
  /// dz (..., F)
  Tensor<T, D> before_activation(const Tensor<T, D>& dy) const {
    auto& q = queue<D>::current();
    const auto &w = down.map.weight.get(name), &z = up.z.get(name);
    const GemmShape product = down.map.input_product(name, detail::leading_count(dy.shape()));
    Tensor<T, D> dz(z.shape());
    if constexpr (FusedLinearBackward<kernels<D>, D, T>) {
      kernels<D>::gemm_activation_backward(q, product, GeluTanh{}, dy.data(), w.data(), z.data(), dz.mutable_data());
    } else {
      kernels<D>::gemm(q, product, dy.data(), w.data(), dz.mutable_data(), false);
      kernels<D>::pointwise_backward(q, dz.count(), GeluTanh{}, z.data(), dz.data(), dz.mutable_data());
    }
    return dz;
  }
};

/// y = down(activation(up(x))), or gated y = down(activation(gate(x)) * up(x)).
/// Vaswani et al. 2017, section 3.3; Shazeer 2020 (arXiv:2002.05202), eq. (6).
template <class T, class D = Cpu>
struct FeedForward {
  ActivationKind activation = ActivationKind::gelu;  ///< chosen once, branched on in each call
  std::optional<Linear<T, D>> gate;                  ///< (C -> F), present in the gated form
  Linear<T, D> up,                                   ///< (C -> F)
      down;                                          ///< (F -> C)
  Tensor<T, D> beta;                                 ///< (), swish's, 1 at first; else undefined

  FeedForward() = default;
  /// From C channels to F inner ones and back, all weights zero.
  FeedForward(std::int64_t channels, std::int64_t inner, ActivationKind kind, bool gated, bool bias)
      : activation(kind), up(channels, inner, bias), down(inner, channels, bias) {
    if (gated) gate.emplace(channels, inner, bias);
    if (kind != ActivationKind::swish) return;
    beta = full<T, D>(Shape(), static_cast<T>(1.0f));
    require_gradient(beta);
  }

  /// x (..., C) -> (..., C). Throws ShapeError.
  Tensor<T, D> operator()(const Tensor<T, D>& x) const {
    if constexpr (FusedLinearBackward<kernels<D>, D, T>)
      if (activation == ActivationKind::gelu_tanh && !gate) return in_one(x);
    return down(gate ? activated(*gate, x) * up(x) : activated(up, x));
  }

  static void visit(auto& self, auto&& f) {
    f("gate", self.gate);
    f("up", self.up);
    f("down", self.down);
    f("beta", self.beta);
  }

 private:
  /// down(up(x, GeluTanh{})) as one op
  Tensor<T, D> in_one(const Tensor<T, D>& x) const {
    return apply(FeedForwardOp<T, D>{{{}, {}, {}, up.packed.of(up.weight)}, {{}, {}, {}, down.packed.of(down.weight)}},
                 x, up.weight, down.weight, up.bias, down.bias);
  }

  /// activation(layer(x)), the kind chosen once per layer; fused into the product where that is worth its compile time.
  Tensor<T, D> activated(const Linear<T, D>& layer, const Tensor<T, D>& x) const {
    switch (activation) {
      case ActivationKind::relu:
        return relu(layer(x));
      case ActivationKind::gelu:
        return layer(x, Gelu{});
      case ActivationKind::gelu_tanh:
        return layer(x, GeluTanh{});
      case ActivationKind::silu:
        break;
      case ActivationKind::swish:
        return swish(layer(x), beta);
      case ActivationKind::sigmoid:
        return sigmoid(layer(x));
    }
    return layer(x, Silu{});
  }
};

}  // namespace plinth
