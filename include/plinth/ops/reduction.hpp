// SPDX-License-Identifier: MIT
// Sums and means, over one axis or over everything.
#pragma once

#include <cstdint>
#include <tuple>

#include <plinth/ops/arithmetic.hpp>
#include <plinth/ops/shape.hpp>

namespace plinth {

/// dx = dy, repeated along the axis
template <class T, class D>
struct SumOp {
  static constexpr const char* name = "sum";
  int axis = 0;  ///< counted from 0
  Shape from;    ///< of x

  /// (..., n, ...) to (..., ...)
  Tensor<T, D> forward(const Tensor<T, D>& x) {
    from = x.shape();
    Shape shape;
    std::int64_t outer = 1, inner = 1;
    for (int i = 0; i < x.rank(); ++i) {
      if (i < axis) outer *= x.size(i);
      if (i > axis) inner *= x.size(i);
      if (i != axis) shape.push_back(x.size(i));
    }
    const auto values = detail::dense(x);
    Tensor<T, D> y(shape);
    kernels<D>::reduce_sum(queue<D>::current(), outer, x.size(axis), inner, values.data(), y.mutable_data());
    return y;
  }
  /// {dx}
  std::tuple<Tensor<T, D>> backward(const Tensor<T, D>& dy) const {
    Shape strides;  // dy seen along the summed axis: a stride of 0
    for (int i = 0, j = 0; i < from.rank(); ++i) strides.push_back(i == axis ? 0 : dy.strides()[j++]);
    return {detail::TensorAccess::view(dy, from, strides)};
  }
};

/// The sum over one axis, which disappears; negative counts from the end.  PyTorch: x.sum(axis).
/// Throws ShapeError when there is no such axis.
template <Real T, class D>
Tensor<T, D> sum(const Tensor<T, D>& x, int axis) {
  return apply(SumOp<T, D>{detail::checked_axis("sum", axis, x.rank()), {}}, x);
}

/// The sum of all elements, a tensor of rank 0.  PyTorch: x.sum().
template <Real T, class D>
Tensor<T, D> sum(const Tensor<T, D>& x) {
  return sum(reshape(x, {x.count()}), 0);
}

/// The mean over one axis, which disappears; negative counts from the end.  PyTorch: x.mean(axis).
/// Throws ShapeError when there is no such axis.
template <Real T, class D>
Tensor<T, D> mean(const Tensor<T, D>& x, int axis) {
  const auto count = static_cast<double>(x.size(axis));
  return sum(x, axis) / count;
}

/// The mean of all elements, of shape ().  PyTorch: x.mean().
template <Real T, class D>
Tensor<T, D> mean(const Tensor<T, D>& x) {
  return sum(x) / static_cast<double>(x.count());
}

}  // namespace plinth
