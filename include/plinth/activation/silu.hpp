// SPDX-License-Identifier: MIT
// SiLU, the Swish with beta = 1.
#pragma once

#include <plinth/ops/pointwise.hpp>

namespace plinth {

/// SiLU: y = x sigma(x).  Elfwing, Uchibe & Doya 2017, section 2; Ramachandran et al. 2017.  PyTorch: silu(x).
struct Silu {
  static constexpr const char* name = "silu";
  /// y = x sigma(x)
  template <class T>
  PLINTH_HD static T forward(T x) {
    return x * math::sigmoid(x);
  }
  /// dx = dy sigma(x) (1 + x (1 - sigma(x)))
  template <class T>
  PLINTH_HD static T backward(T x, T dy) {
    const T s = math::sigmoid(x);
    return dy * s * (T(1) + x * (T(1) - s));
  }
};

/// Silu of each element: x of any shape -> the same shape.  PyTorch: silu(x).
template <class T, class D>
Tensor<T, D> silu(const Tensor<T, D>& x) {
  return pointwise<Silu>(x);
}

}  // namespace plinth
