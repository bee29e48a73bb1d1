// SPDX-License-Identifier: MIT
// Broadcasting and its adjoint: strides of 0 on the way out, sums on the way back.
#pragma once

#include <cstdint>

#include <plinth/ops/create.hpp>

namespace plinth::detail {

/// The strides that make x look like `shape`: 0 along axes where it is repeated.
template <class T, class D>
Shape broadcast_strides(const Tensor<T, D>& x, const Shape& shape) {
  Shape strides = shape;
  const int missing = shape.rank() - x.rank();
  for (int i = 0; i < shape.rank(); ++i)
    strides[i] = i < missing || x.size(i - missing) == 1 ? 0 : x.strides()[i - missing];
  return strides;
}

/// Sums dy over the axes along which `shape` was broadcast to it.
template <class T, class D>
Tensor<T, D> reduce_to_shape(const Tensor<T, D>& dy, const Shape& shape) {
  if (dy.shape() == shape) return dy;
  Tensor<T, D> current = dense(dy);
  const int missing = dy.rank() - shape.rank();
  for (int axis = 0; axis < dy.rank();) {
    const auto repeated = [&](int i) { return i < missing || shape[i - missing] == 1; };
    if (!repeated(axis)) {
      ++axis;
      continue;
    }
    std::int64_t outer = 1, n = 1, inner = 1;
    int end = axis;
    for (; end < dy.rank() && repeated(end); ++end) n *= dy.size(end);
    for (int i = 0; i < axis; ++i) outer *= repeated(i) ? 1 : dy.size(i);
    for (int i = end; i < dy.rank(); ++i) inner *= dy.size(i);
    Tensor<T, D> sum({outer, inner});
    kernels<D>::reduce_sum(queue<D>::current(), outer, n, inner, current.data(), sum.mutable_data());
    current = sum;
    axis = end;
  }
  return TensorAccess::view(current, shape, contiguous_strides(shape));
}

}  // namespace plinth::detail
