// SPDX-License-Identifier: MIT
// The matrix product over the last two axes; leading axes are batches and broadcast.
#pragma once

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <utility>

#include <plinth/ops/reduce_to_shape.hpp>
#include <plinth/ops/shape.hpp>

namespace plinth {

namespace detail {

template <class T, class D>
Tensor<T, D> swap_last_axes(const Tensor<T, D>& x) {
  Shape shape = x.shape(), strides = x.strides();
  std::swap(shape[-1], shape[-2]);
  std::swap(strides[-1], strides[-2]);
  return TensorAccess::view(x, shape, strides);
}

/// x with its leading axes given as one batch stride: a copy where strides do not allow it.
template <class T, class D>
MatrixLayout batched_layout(Tensor<T, D>& x, const Shape& batch_shape) {
  Shape shape = batch_shape;
  shape.push_back(x.size(-2));
  shape.push_back(x.size(-1));
  const Tensor<T, D> wide = TensorAccess::view(x, shape, broadcast_strides(x, shape));
  std::int64_t step = 0, expected = 0;
  bool first = true, uniform = true;
  for (int i = batch_shape.rank() - 1; i >= 0; --i) {
    if (shape[i] == 1) continue;
    if (first) step = expected = wide.strides()[i];
    first = false;
    uniform = uniform && wide.strides()[i] == expected;
    expected *= shape[i];
  }
  x = uniform ? wide : clone(wide);
  if (!uniform) step = shape[-1] * shape[-2];
  return {x.strides()[-2], x.strides()[-1], step};
}

/// y (..., M, N) = a (..., M, K) b (..., K, N)
template <class T, class D>
Tensor<T, D> product(Tensor<T, D> a, Tensor<T, D> b) {
  Shape batches_a, batches_b;
  for (int i = 0; i + 2 < a.rank(); ++i) batches_a.push_back(a.size(i));
  for (int i = 0; i + 2 < b.rank(); ++i) batches_b.push_back(b.size(i));
  Shape shape = broadcast_shapes("matmul", batches_a, batches_b);
  GemmShape gemm{element_count(shape), a.size(-2), b.size(-1), a.size(-1), {}, {}, {}};
  gemm.a = batched_layout(a, shape);
  gemm.b = batched_layout(b, shape);
  gemm.c = {gemm.N, 1, gemm.M * gemm.N};
  shape.push_back(gemm.M);
  shape.push_back(gemm.N);
  Tensor<T, D> y(shape);
  kernels<D>::gemm(queue<D>::current(), gemm, a.data(), b.data(), y.mutable_data(), false);
  return y;
}

/// Whether a (..., M, K) and b (..., K, N) have a product.
inline bool have_product(const Shape& a, const Shape& b) {
  bool fit = a.rank() >= 2 && b.rank() >= 2 && a[-1] == b[-2];
  for (int i = 3; i <= std::min(a.rank(), b.rank()); ++i) fit = fit && (a[-i] == b[-i] || a[-i] == 1 || b[-i] == 1);
  return fit;
}

}  // namespace detail

/// da = dy b^T, db = a^T dy, summed over broadcast batches
template <class T, class D>
struct MatmulOp {
  static constexpr const char* name = "matmul";
  Saved<T, D> a,  ///< (..., M, K)
      b;          ///< (..., K, N)

  /// y (..., M, N) = a b
  Tensor<T, D> forward(const Tensor<T, D>& left, const Tensor<T, D>& right) {
    a = left;
    b = right;
    return detail::product(detach(left), detach(right));
  }
  /// {da, db}, those that are needed
  std::tuple<Tensor<T, D>, Tensor<T, D>> backward(const Tensor<T, D>& dy, Needed<2> needed) const {
    const auto &left = a.get(name), &right = b.get(name);
    Tensor<T, D> da, db;
    if (needed[0]) da = detail::reduce_to_shape(detail::product(dy, detail::swap_last_axes(right)), left.shape());
    if (needed[1]) db = detail::reduce_to_shape(detail::product(detail::swap_last_axes(left), dy), right.shape());
    return {da, db};
  }
};

/// (..., M, K) x (..., K, N) -> (..., M, N).  PyTorch: a @ b, for tensors of at least two axes.
/// Throws ShapeError naming both shapes.
template <Real T, class D>
Tensor<T, D> matmul(const Tensor<T, D>& a, const Tensor<T, D>& b) {
  detail::require<ShapeError>(detail::have_product(a.shape(), b.shape()), "matmul: shapes ", a.shape(), " and ",
                              b.shape(), " do not fit");
  return apply(MatmulOp<T, D>{}, a, b);
}

}  // namespace plinth
