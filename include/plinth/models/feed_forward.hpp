// SPDX-License-Identifier: MIT
// The feed-forward part of a transformer block, plain or gated.
// B batch, T sequence, C channels, F feed-forward channels.
#pragma once

#include <cstdint>
#include <optional>

#include <plinth/activation/gelu.hpp>
#include <plinth/activation/silu.hpp>
#include <plinth/layers/linear.hpp>

namespace plinth {

enum class ActivationKind { gelu, gelu_tanh, silu };

namespace detail {

/// activation(layer(x)), the kind chosen once per layer.
template <class T, class D>
Tensor<T, D> activated(const Linear<T, D>& layer, const Tensor<T, D>& x, ActivationKind kind) {
  switch (kind) {
    case ActivationKind::gelu: return layer(x, Gelu{});
    case ActivationKind::gelu_tanh: return layer(x, GeluTanh{});
    case ActivationKind::silu: break;
  }
  return layer(x, Silu{});
}

}  // namespace detail

/// y = down(activation(up(x))), or gated y = down(activation(gate(x)) * up(x)).
/// Vaswani et al. 2017, section 3.3; Shazeer 2020 (arXiv:2002.05202), eq. (6).
template <class T, class D = Cpu>
struct FeedForward {
  ActivationKind activation = ActivationKind::gelu;
  std::optional<Linear<T, D>> gate;  // (C -> F), present in the gated form
  Linear<T, D> up, down;             // (C -> F), (F -> C)

  FeedForward() = default;
  FeedForward(std::int64_t channels, std::int64_t inner, ActivationKind kind, bool gated, bool bias)
      : activation(kind), up(channels, inner, bias), down(inner, channels, bias) {
    if (gated) gate.emplace(channels, inner, bias);
  }

  /// x (B, T, C) -> (B, T, C)
  Tensor<T, D> operator()(const Tensor<T, D>& x) const {
    if (gate) return down(detail::activated(*gate, x, activation) * up(x));
    return down(detail::activated(up, x, activation));
  }

  static void visit(auto& self, auto&& f) {
    f("gate", self.gate);
    f("up", self.up);
    f("down", self.down);
  }
};

}  // namespace plinth
