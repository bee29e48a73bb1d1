// SPDX-License-Identifier: MIT
// Sum, difference, product and quotient of two tensors that broadcast, and of a tensor and a number.
#pragma once

#include <tuple>

#include <plinth/ops/pointwise.hpp>
#include <plinth/ops/reduce_to_shape.hpp>

namespace plinth {

namespace detail {

struct Plus {
  template <class T>
  PLINTH_HD static T forward(T a, T b) {
    return a + b;
  }
};
struct Minus {
  template <class T>
  PLINTH_HD static T forward(T a, T b) {
    return a - b;
  }
};
struct Times {
  template <class T>
  PLINTH_HD static T forward(T a, T b) {
    return a * b;
  }
};
struct Over {
  template <class T>
  PLINTH_HD static T forward(T a, T b) {
    return a / b;
  }
};

/// y = F(a, b), both broadcast to a common shape.
template <class F, class T, class D>
Tensor<T, D> binary(const char* operation, const Tensor<T, D>& a, const Tensor<T, D>& b) {
  const Shape shape = broadcast_shapes(operation, a.shape(), b.shape());
  Tensor<T, D> y(shape);
  kernels<D>::binary(queue<D>::current(), shape, F{}, broadcast_strides(a, shape), a.data(), broadcast_strides(b, shape),
                     b.data(), y.mutable_data());
  return y;
}

template <class T, class D>
Tensor<T, D> scaled(const Tensor<T, D>& x, double factor) {
  const auto values = dense(x);
  Tensor<T, D> y(x.shape());
  kernels<D>::pointwise(queue<D>::current(), y.count(), Affine{factor, 0}, values.data(), y.mutable_data());
  return y;
}

}  // namespace detail

/// da = dy, db = dy, each summed over the axes along which that input was repeated
template <class T, class D>
struct AddOp {
  static constexpr const char* name = "add";
  Shape a_shape,  ///< a's, before it is broadcast
      b_shape;    ///< b's

  /// y = a + b
  Tensor<T, D> forward(const Tensor<T, D>& a, const Tensor<T, D>& b) {
    a_shape = a.shape();
    b_shape = b.shape();
    return detail::binary<detail::Plus>(name, a, b);
  }
  /// {da, db}
  std::tuple<Tensor<T, D>, Tensor<T, D>> backward(const Tensor<T, D>& dy) const {
    return {detail::reduce_to_shape(dy, a_shape), detail::reduce_to_shape(dy, b_shape)};
  }
};

/// da = dy, db = -dy, each summed over the axes along which that input was repeated
template <class T, class D>
struct SubtractOp {
  static constexpr const char* name = "subtract";
  Shape a_shape,  ///< a's, before it is broadcast
      b_shape;    ///< b's

  /// y = a - b
  Tensor<T, D> forward(const Tensor<T, D>& a, const Tensor<T, D>& b) {
    a_shape = a.shape();
    b_shape = b.shape();
    return detail::binary<detail::Minus>(name, a, b);
  }
  /// {da, db}
  std::tuple<Tensor<T, D>, Tensor<T, D>> backward(const Tensor<T, D>& dy) const {
    return {detail::reduce_to_shape(dy, a_shape), detail::scaled(detail::reduce_to_shape(dy, b_shape), -1)};
  }
};

/// da = dy b, db = dy a, each summed over the axes along which that input was repeated
template <class T, class D>
struct MultiplyOp {
  static constexpr const char* name = "multiply";
  Saved<T, D> a,  ///< the left factor
      b;          ///< the right one

  /// y = a b
  Tensor<T, D> forward(const Tensor<T, D>& left, const Tensor<T, D>& right) {
    a = left;
    b = right;
    return detail::binary<detail::Times>(name, left, right);
  }
  /// {da, db}, those that are needed
  std::tuple<Tensor<T, D>, Tensor<T, D>> backward(const Tensor<T, D>& dy, Needed<2> needed) const {
    const auto &left = a.get(name), &right = b.get(name);
    Tensor<T, D> da, db;
    if (needed[0]) da = detail::reduce_to_shape(detail::binary<detail::Times>(name, dy, right), left.shape());
    if (needed[1]) db = detail::reduce_to_shape(detail::binary<detail::Times>(name, dy, left), right.shape());
    return {da, db};
  }
};

/// da = dy / b, db = -dy a / b^2
template <class T, class D>
struct DivideOp {
  static constexpr const char* name = "divide";
  Saved<T, D> a,  ///< the dividend
      b;          ///< the divisor

  /// y = a / b
  Tensor<T, D> forward(const Tensor<T, D>& left, const Tensor<T, D>& right) {
    a = left;
    b = right;
    return detail::binary<detail::Over>(name, left, right);
  }
  /// {da, db}; db is left out where it is not needed
  std::tuple<Tensor<T, D>, Tensor<T, D>> backward(const Tensor<T, D>& dy, Needed<2> needed) const {
    const auto &left = a.get(name), &right = b.get(name);
    const auto da = detail::binary<detail::Over>(name, dy, right);
    Tensor<T, D> db;
    if (needed[1]) {
      const auto ratio = detail::binary<detail::Over>(name, left, right);
      db = detail::scaled(detail::reduce_to_shape(detail::binary<detail::Times>(name, da, ratio), right.shape()), -1);
    }
    return {detail::reduce_to_shape(da, left.shape()), db};
  }
};

/// Element by element, shapes broadcast.  PyTorch: a + b, a - b, a * b, a / b. Throw ShapeError naming both shapes.
/// @{
template <Real T, class D>
Tensor<T, D> operator+(const Tensor<T, D>& a, const Tensor<T, D>& b) {
  return apply(AddOp<T, D>{}, a, b);
}
template <Real T, class D>
Tensor<T, D> operator-(const Tensor<T, D>& a, const Tensor<T, D>& b) {
  return apply(SubtractOp<T, D>{}, a, b);
}
template <Real T, class D>
Tensor<T, D> operator*(const Tensor<T, D>& a, const Tensor<T, D>& b) {
  return apply(MultiplyOp<T, D>{}, a, b);
}
template <Real T, class D>
Tensor<T, D> operator/(const Tensor<T, D>& a, const Tensor<T, D>& b) {
  return apply(DivideOp<T, D>{}, a, b);
}
/// @}

/// Every element with the same number, which has no gradient, in the shape of x; -x is x times -1.
/// @{
template <Real T, class D>
Tensor<T, D> operator*(const Tensor<T, D>& x, double factor) {
  return pointwise(x, Affine{factor, 0});
}
template <Real T, class D>
Tensor<T, D> operator*(double factor, const Tensor<T, D>& x) {
  return x * factor;
}
template <Real T, class D>
Tensor<T, D> operator/(const Tensor<T, D>& x, double divisor) {
  return pointwise(x, Affine{1 / divisor, 0});
}
template <Real T, class D>
Tensor<T, D> operator+(const Tensor<T, D>& x, double offset) {
  return pointwise(x, Affine{1, offset});
}
template <Real T, class D>
Tensor<T, D> operator-(const Tensor<T, D>& x, double offset) {
  return pointwise(x, Affine{1, -offset});
}
template <Real T, class D>
Tensor<T, D> operator-(const Tensor<T, D>& x) {
  return pointwise(x, Affine{-1, 0});
}
/// @}

}  // namespace plinth
