// SPDX-License-Identifier: MIT
// Softmax over the last axis.
#pragma once

#include <tuple>

#include <plinth/ops/create.hpp>

namespace plinth {

namespace detail {

template <class T, class D>
std::int64_t row_count(const Tensor<T, D>& x) {
  return x.count() / std::max<std::int64_t>(x.size(-1), 1);
}

}  // namespace detail

/// dx = y (dy - sum_j dy_j y_j) over the last axis
template <class T, class D>
struct SoftmaxOp {
  static constexpr const char* name = "softmax";
  Saved<T, D> y;  ///< the probabilities

  /// y = softmax(x)
  Tensor<T, D> forward(const Tensor<T, D>& x) {
    const auto values = detail::dense(x);
    Tensor<T, D> result(x.shape());
    kernels<D>::softmax(queue<D>::current(), detail::row_count(x), x.size(-1), values.data(), result.mutable_data());
    y = result;
    return result;
  }
  /// {dx}
  std::tuple<Tensor<T, D>> backward(const Tensor<T, D>& dy) const {
    const auto& p = y.get(name);
    const auto given = detail::dense(dy);
    Tensor<T, D> dx(dy.shape());
    kernels<D>::softmax_backward(queue<D>::current(), detail::row_count(p), p.size(-1), p.data(), given.data(),
                                 dx.mutable_data());
    return {dx};
  }
};

/// p_i = exp(x_i - max x) / sum_j exp(x_j - max x) over the last axis; a row of -inf everywhere gives zeros, so that a
/// query that may see no key attends to nothing.  PyTorch: x.softmax(-1).
/// Throws ShapeError for a tensor of rank 0.
template <Real T, class D>
Tensor<T, D> softmax(const Tensor<T, D>& x) {
  detail::require<ShapeError>(x.rank() >= 1, "softmax: needs at least one axis");
  return apply(SoftmaxOp<T, D>{}, x);
}

}  // namespace plinth
