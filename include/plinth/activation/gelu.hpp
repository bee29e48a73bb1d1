// SPDX-License-Identifier: MIT
// GELU, exact and in its tanh form.
#pragma once

#include <plinth/ops/pointwise.hpp>

namespace plinth {

/// GELU, exact form: y = x Phi(x).  Hendrycks & Gimpel 2016, section 2.  PyTorch: gelu(x).
struct Gelu {
  static constexpr const char* name = "gelu";
  /// y = x Phi(x)
  template <class T>
  PLINTH_HD static T forward(T x) {
    return x * math::normal_cdf(x);
  }
  /// dx = dy (Phi(x) + x phi(x))
  template <class T>
  PLINTH_HD static T backward(T x, T dy) {
    return dy * (math::normal_cdf(x) + x * math::normal_pdf(x));
  }
};

/// GELU, tanh form: y = x/2 (1 + tanh(u)), u = sqrt(2/pi) (x + 0.044715 x^3).  Hendrycks & Gimpel 2016, section 2.
/// PyTorch: gelu(x, approximate="tanh"). GPT-2's activation.
struct GeluTanh {
  static constexpr const char* name = "gelu_tanh";
  static constexpr double slope = 0.79788456080286535588,  ///< sqrt(2/pi)
      cubic = 0.044715;                                    ///< that of x^3 in u

  /// y = x/2 (1 + tanh(u))
  template <class T>
  PLINTH_HD static T forward(T x) {
    return T(0.5) * x * (T(1) + math::tanh(inner(x)));
  }
  /// dx = dy/2 (1 + t + x (1 - t^2) u'), t = tanh(u), u' = sqrt(2/pi) (1 + 3 0.044715 x^2)
  template <class T>
  PLINTH_HD static T backward(T x, T dy) {
    const T t = math::tanh(inner(x));
    const T inner_slope = T(slope) * (T(1) + T(3 * cubic) * x * x);
    return dy * T(0.5) * (T(1) + t + x * (T(1) - t * t) * inner_slope);
  }

 private:
  template <class T>
  PLINTH_HD static T inner(T x) {
    return T(slope) * x * (T(1) + T(cubic) * x * x);
  }
};

template <>
inline constexpr bool detail::is_gelu_tanh<GeluTanh> = true;

/// Gelu of each element: x of any shape -> the same shape.  PyTorch: gelu(x).
template <class T, class D>
Tensor<T, D> gelu(const Tensor<T, D>& x) {
  return pointwise<Gelu>(x);
}
/// GeluTanh of each element: x of any shape -> the same shape.  PyTorch: gelu(x, approximate="tanh").
template <class T, class D>
Tensor<T, D> gelu_tanh(const Tensor<T, D>& x) {
  return pointwise<GeluTanh>(x);
}

}  // namespace plinth
