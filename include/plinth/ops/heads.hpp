// SPDX-License-Identifier: MIT
// Attention heads: (B, T, H D) seen as (B, H, T, D) and back, without moving a value.
// B batch, T sequence, C = H D channels, H heads, D head size.
#pragma once

#include <plinth/kernels/arguments.hpp>
#include <plinth/ops/shape.hpp>

namespace plinth {

/// (B, T, H D) -> (B, H, T, D), a view. Throws ShapeError when heads does not divide the channels.
template <Real T, class D>
Tensor<T, D> split_heads(const Tensor<T, D>& x, std::int64_t heads) {
  detail::require<ShapeError>(x.rank() == 3 && heads > 0 && x.size(2) % heads == 0, "split_heads: shape ",
                              x.shape(), " is not (B, T, C) with C a multiple of ", heads, " heads");
  return permute(reshape(x, {x.size(0), x.size(1), heads, x.size(2) / heads}), {0, 2, 1, 3});
}

/// (B, H, T, D) -> (B, T, H D), a view where the memory allows it. Throws ShapeError for another number of axes.
template <Real T, class D>
Tensor<T, D> merge_heads(const Tensor<T, D>& x) {
  detail::require<ShapeError>(x.rank() == 4, "merge_heads: shape ", x.shape(), " is not (B, H, T, D)");
  return reshape(permute(x, {0, 2, 1, 3}), {x.size(0), x.size(2), x.size(1) * x.size(3)});
}

namespace detail {

/// Uninitialised (B, H, T, D) over memory in the order (B, T, H, D), so that merge_heads is a view.
template <class T, class D>
Tensor<T, D> heads_like(const Tensor<T, D>& x) {
  const Tensor<T, D> memory({x.size(0), x.size(2), x.size(1), x.size(3)});
  const Shape& s = memory.strides();
  return TensorAccess::view(memory, x.shape(), {s[0], s[2], s[1], s[3]});
}

/// x itself when the channels of each head lie side by side, else a dense copy.
template <class T, class D>
Tensor<T, D> with_whole_channels(const Tensor<T, D>& x) {
  return x.strides()[3] == 1 || x.size(3) == 1 ? detach(x) : clone(x);
}

/// x itself when its memory is dense in the order (B, T, H, D) or (B, H, T, D), else a dense copy.
template <class T, class D>
Tensor<T, D> with_dense_heads(const Tensor<T, D>& x) {
  const bool time_major = TensorAccess::view(x, {x.size(0), x.size(2), x.size(1), x.size(3)},
                                             {x.strides()[0], x.strides()[2], x.strides()[1], x.strides()[3]})
                              .contiguous();
  return time_major || x.contiguous() ? detach(x) : clone(x);
}

/// Uninitialised, in the shape and memory order of a tensor from with_dense_heads.
template <class T, class D>
Tensor<T, D> same_heads(const Tensor<T, D>& x) {
  return x.contiguous() ? Tensor<T, D>(x.shape()) : heads_like(x);
}

template <class T, class D>
HeadLayout head_layout(const Tensor<T, D>& x) {
  return {x.strides()[0], x.strides()[1], x.strides()[2]};
}

}  // namespace detail
}  // namespace plinth
