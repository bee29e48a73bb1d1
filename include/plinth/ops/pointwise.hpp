// SPDX-License-Identifier: MIT
// Pointwise operations: any struct with forward(x) and backward(x, dy) becomes one. The elementary functions.
#pragma once

#include <cmath>
#include <string>
#include <tuple>

#include <plinth/ops/create.hpp>
#include <plinth/tensor/scalar_math.hpp>

namespace plinth {

/// A formula for one element, on host and device: y = forward(x) and dx = backward(x, dy).
template <class F>
concept PointwiseFormula = requires(F f, float x) {
  { f.forward(x) } -> std::same_as<float>;
  { f.backward(x, x) } -> std::same_as<float>;
};

/// dx = formula.backward(x, dy)
template <PointwiseFormula F, class T, class D>
struct PointwiseOp {
  static constexpr const char* name = F::name;
  F formula;      ///< with the numbers it has been given
  Saved<T, D> x;  ///< the input, kept only where a gradient is needed

  /// y = formula.forward(x)
  Tensor<T, D> forward(const Tensor<T, D>& input) {
    const auto values = detail::dense(input);
    Tensor<T, D> y(input.shape());
    kernels<D>::pointwise(queue<D>::current(), y.count(), formula, values.data(), y.mutable_data());
    if (needs_gradient(input)) x = values;
    return y;
  }
  /// {dx}
  std::tuple<Tensor<T, D>> backward(const Tensor<T, D>& dy) const {
    const auto given = detail::dense(dy);
    Tensor<T, D> dx(dy.shape());
    kernels<D>::pointwise_backward(queue<D>::current(), dx.count(), formula, x.get(name).data(), given.data(),
                                   dx.mutable_data());
    return {dx};
  }
};

/// y = formula(x), element by element, in the shape of x. The formula is a struct as Gelu is, with its gradient.
template <PointwiseFormula F, class T, class D>
Tensor<T, D> pointwise(const Tensor<T, D>& x, F formula = {}) {
  return apply(PointwiseOp<F, T, D>{formula, {}}, x);
}

/// y = x factor + offset
struct Affine {
  static constexpr const char* name = "affine";
  double factor = 1,  ///< without a gradient
      offset = 0;     ///< without a gradient
  /// y = x factor + offset
  template <class T>
  PLINTH_HD T forward(T x) const {
    return x * static_cast<T>(factor) + static_cast<T>(offset);
  }
  /// dx = dy factor
  template <class T>
  PLINTH_HD T backward(T, T dy) const {
    return dy * static_cast<T>(factor);
  }
};

/// y = e^x
struct Exp {
  static constexpr const char* name = "exp";
  /// y = e^x
  template <class T>
  PLINTH_HD static T forward(T x) {
    return math::exp(x);
  }
  /// dx = dy e^x
  template <class T>
  PLINTH_HD static T backward(T x, T dy) {
    return dy * math::exp(x);
  }
};

/// y = ln x
struct Log {
  static constexpr const char* name = "log";
  /// y = ln x
  template <class T>
  PLINTH_HD static T forward(T x) {
    return std::log(x);
  }
  /// dx = dy / x
  template <class T>
  PLINTH_HD static T backward(T x, T dy) {
    return dy / x;
  }
};

/// y = sqrt x
struct SquareRoot {
  static constexpr const char* name = "sqrt";
  /// y = sqrt x
  template <class T>
  PLINTH_HD static T forward(T x) {
    return std::sqrt(x);
  }
  /// dx = dy / (2 sqrt x)
  template <class T>
  PLINTH_HD static T backward(T x, T dy) {
    return dy / (T(2) * std::sqrt(x));
  }
};

/// e^x of each element.  PyTorch: exp(x).
template <class T, class D>
Tensor<T, D> exp(const Tensor<T, D>& x) {
  return pointwise<Exp>(x);
}
/// The natural logarithm of each element, -inf of 0 and NaN below.  PyTorch: log(x).
template <class T, class D>
Tensor<T, D> log(const Tensor<T, D>& x) {
  return pointwise<Log>(x);
}
/// The square root of each element, NaN below 0; its slope at 0 is infinite.  PyTorch: sqrt(x).
template <class T, class D>
Tensor<T, D> sqrt(const Tensor<T, D>& x) {
  return pointwise<SquareRoot>(x);
}

}  // namespace plinth
