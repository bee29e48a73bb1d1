// SPDX-License-Identifier: MIT
// Softplus, the smooth rectifier.
#pragma once

#include <cmath>

#include <plinth/ops/pointwise.hpp>

namespace plinth {

/// Softplus: y = ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|); the second form neither overflows nor loses small values.
/// Dugas et al. 2000, eq. (1).  PyTorch: softplus(x), which returns x itself above 20.
struct Softplus {
  static constexpr const char* name = "softplus";
  /// y = max(x, 0) + ln(1 + e^-|x|)
  template <class T>
  PLINTH_HD static T forward(T x) {
    return (x > T(0) ? x : T(0)) + std::log1p(math::exp_negative(x > T(0) ? -x : x));
  }
  /// dx = dy sigma(x)
  template <class T>
  PLINTH_HD static T backward(T x, T dy) {
    return dy * math::sigmoid(x);
  }
};

/// Softplus of each element: x of any shape -> the same shape.  PyTorch: softplus(x).
template <class T, class D>
Tensor<T, D> softplus(const Tensor<T, D>& x) {
  return pointwise<Softplus>(x);
}

}  // namespace plinth
