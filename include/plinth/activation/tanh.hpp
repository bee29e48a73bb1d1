// SPDX-License-Identifier: MIT
// The hyperbolic tangent as an activation.
#pragma once

#include <plinth/ops/pointwise.hpp>

namespace plinth {

/// Tanh: y = tanh(x).  PyTorch: tanh(x).
struct Tanh {
  static constexpr const char* name = "tanh";
  /// y = tanh(x)
  template <class T>
  PLINTH_HD static T forward(T x) {
    return math::tanh(x);
  }
  /// dx = dy (1 - tanh(x)^2)
  template <class T>
  PLINTH_HD static T backward(T x, T dy) {
    const T y = math::tanh(x);
    return dy * (T(1) - y * y);
  }
};

/// Tanh of each element: x of any shape -> the same shape.  PyTorch: tanh(x).
template <class T, class D>
Tensor<T, D> tanh(const Tensor<T, D>& x) {
  return pointwise<Tanh>(x);
}

}  // namespace plinth
