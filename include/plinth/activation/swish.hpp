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
  double beta = 1;

  template <class T>
  PLINTH_HD T forward(T x) const {
    return x * math::sigmoid(T(beta) * x);
  }
  template <class T>
  PLINTH_HD T backward(T x, T dy) const {
    const T z = T(beta) * x, s = math::sigmoid(z);
    return dy * s * (T(1) + z * math::sigmoid(-z));
  }
};

template <class T, class D>
Tensor<T, D> swish(const Tensor<T, D>& x, double beta) {
  return pointwise(x, Swish{beta});
}

/// The same with a beta that has a gradient: one for all elements, of shape (), or any that broadcasts to x.
template <Real T, class D>
Tensor<T, D> swish(const Tensor<T, D>& x, const Tensor<T, D>& beta) {
  return x * sigmoid(x * beta);
}

}  // namespace plinth
