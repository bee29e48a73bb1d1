// SPDX-License-Identifier: MIT
// The logistic function as an activation.
#pragma once

#include <plinth/ops/pointwise.hpp>

namespace plinth {

/// Sigmoid: y = sigma(x) = 1 / (1 + e^-x).  PyTorch: sigmoid(x).
struct Sigmoid {
  static constexpr const char* name = "sigmoid";
  /// y = sigma(x)
  template <class T>
  PLINTH_HD static T forward(T x) {
    return math::sigmoid(x);
  }
  /// sigma'(x) = sigma(x) sigma(-x): for large x, 1 - sigma(x) would be rounded to 0 too early.
  template <class T>
  PLINTH_HD static T backward(T x, T dy) {
    return dy * math::sigmoid(x) * math::sigmoid(-x);
  }
};

/// Sigmoid of each element: x of any shape -> the same shape.  PyTorch: sigmoid(x).
template <class T, class D>
Tensor<T, D> sigmoid(const Tensor<T, D>& x) {
  return pointwise<Sigmoid>(x);
}

}  // namespace plinth
