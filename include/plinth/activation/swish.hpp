// SPDX-License-Identifier: MIT
// Swish, whose beta is a number or learned with the weights.
#pragma once

#include <plinth/activation/sigmoid.hpp>
#include <plinth/ops/arithmetic.hpp>

namespace plinth {

/// Swish: y = x sigma(beta x); beta = 1 is SiLU, beta = 1.702 approximates GELU.
/// Ramachandran, Zoph & Le 2017 (arXiv:1710.05941), section 4.
struct Swish {
  static constexpr const char* name = "swish";
  double beta = 1;  ///< the same for all elements; it has no gradient

  /// y = x sigma(beta x)
  template <class T>
  PLINTH_HD T forward(T x) const {
    return x * math::sigmoid(T(beta) * x);
  }
  /// dx = dy sigma(z) (1 + z sigma(-z)), z = beta x
  template <class T>
  PLINTH_HD T backward(T x, T dy) const {
    const T z = T(beta) * x, s = math::sigmoid(z);
    return dy * s * (T(1) + z * math::sigmoid(-z));
  }
};

/// Swish of each element: x of any shape -> the same shape.
template <class T, class D>
Tensor<T, D> swish(const Tensor<T, D>& x, double beta) {
  return pointwise(x, Swish{beta});
}

/// x sigma(beta x) with a beta that has a gradient: one for all elements, of shape (), or any that broadcasts to x.
/// Throws ShapeError naming both shapes when it does not broadcast.
template <Real T, class D>
Tensor<T, D> swish(const Tensor<T, D>& x, const Tensor<T, D>& beta) {
  return x * sigmoid(x * beta);
}

}  // namespace plinth
