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
    return down(gate ? activated(*gate, x) * up(x) : activated(up, x));
  }

  static void visit(auto& self, auto&& f) {
    f("gate", self.gate);
    f("up", self.up);
    f("down", self.down);
    f("beta", self.beta);
  }

 private:
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
