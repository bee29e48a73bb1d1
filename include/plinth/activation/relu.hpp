// SPDX-License-Identifier: MIT
// ReLU, the rectifier.
#pragma once

#include <plinth/ops/pointwise.hpp>

namespace plinth {

/// ReLU: y = max(x, 0), with slope 0 at 0.  Nair & Hinton 2010.  PyTorch: relu(x).
struct Relu {
  static constexpr const char* name = "relu";
  /// y = max(x, 0); a NaN stays one
  template <class T>
  PLINTH_HD static T forward(T x) {
    return x <= T(0) ? T(0) : x;  // in this order a NaN stays one
  }
  /// dx = dy where x > 0, else 0
  template <class T>
  PLINTH_HD static T backward(T x, T dy) {
    return x <= T(0) ? T(0) : dy;
  }
};

/// Relu of each element: x of any shape -> the same shape.  PyTorch: relu(x).
template <class T, class D>
Tensor<T, D> relu(const Tensor<T, D>& x) {
  return pointwise<Relu>(x);
}

}  // namespace plinth
