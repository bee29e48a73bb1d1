// SPDX-License-Identifier: MIT
// Operations that rearrange: reshape, permute, transpose, slice, concatenate, broadcast. All but concatenate, and a
// reshape of a tensor that is not dense, share the memory of their input.
#pragma once

#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

#include <plinth/ops/create.hpp>
#include <plinth/ops/reduce_to_shape.hpp>

namespace plinth {

namespace detail {

/// Axis `axis` of a tensor of this rank, negative counted from the end. Throws ShapeError.
inline int checked_axis(const char* operation, int axis, int rank) {
  require<ShapeError>(axis >= -rank && axis < rank, operation, ": axis ", axis, " of a tensor with ", rank, " axes");
  return axis < 0 ? axis + rank : axis;
}

}  // namespace detail

/// dx = dy in the shape of x
template <class T, class D>
struct ReshapeOp {
  static constexpr const char* name = "reshape";
  Shape to,  ///< of y
      from;  ///< of x

  /// y: a view where x is dense, else of a copy
  Tensor<T, D> forward(const Tensor<T, D>& x) {
    from = x.shape();
    return detail::TensorAccess::view(detail::dense(x), to, contiguous_strides(to));
  }
  /// {dx}
  std::tuple<Tensor<T, D>> backward(const Tensor<T, D>& dy) const {
    return {detail::TensorAccess::view(detail::dense(dy), from, contiguous_strides(from))};
  }
};

/// The same elements in row-major order under another shape; one size may be -1.  PyTorch: x.reshape(shape).
/// Throws ShapeError when the numbers of elements differ.
template <class T, class D>
Tensor<T, D> reshape(const Tensor<T, D>& x, Shape shape) {
  const std::int64_t count = x.count();
  const Shape wanted = shape;
  int open = -1;
  bool fits = true;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == -1 && open < 0) shape[open = i] = 1;
    fits = fits && shape[i] >= 0;
  }
  const std::int64_t known = fits ? element_count(shape) : 0;
  if (open >= 0 && known > 0) shape[open] = count / known;
  fits = fits && (open < 0 || known > 0) && element_count(shape) == count;
  detail::require<ShapeError>(fits, "reshape: ", x.shape(), " does not fit ", wanted);
  return apply(ReshapeOp<T, D>{shape, {}}, x);
}

/// dx = dy with its axes put back
template <class T, class D>
struct PermuteOp {
  static constexpr const char* name = "permute";
  Shape axes;  ///< axis i of y is axis axes[i] of x

  /// y: a view
  Tensor<T, D> forward(const Tensor<T, D>& x) { return permuted(x, axes); }
  /// {dx}
  std::tuple<Tensor<T, D>> backward(const Tensor<T, D>& dy) const {
    Shape inverse = axes;
    for (int i = 0; i < axes.rank(); ++i) inverse[static_cast<int>(axes[i])] = i;
    return {permuted(dy, inverse)};
  }

 private:
  static Tensor<T, D> permuted(const Tensor<T, D>& x, const Shape& order) {
    Shape shape = order, strides = order;
    for (int i = 0; i < order.rank(); ++i) {
      shape[i] = x.size(static_cast<int>(order[i]));
      strides[i] = x.strides()[static_cast<int>(order[i])];
    }
    return detail::TensorAccess::view(x, shape, strides);
  }
};

/// Axis i of the result is axis axes[i] of x.  PyTorch: x.permute(axes). Throws ShapeError when axes is no permutation.
template <class T, class D>
Tensor<T, D> permute(const Tensor<T, D>& x, const Shape& axes) {
  std::uint32_t seen = 0;
  for (const std::int64_t axis : axes)
    if (axis >= 0 && axis < x.rank()) seen |= 1u << axis;
  detail::require<ShapeError>(axes.rank() == x.rank() && seen == (1u << x.rank()) - 1, "permute: ", axes,
                              " does not order the axes of ", x.shape());
  return apply(PermuteOp<T, D>{axes}, x);
}

/// Two axes exchanged, the last two by default; negative ones count from the end.  PyTorch: x.transpose(a, b).
/// Throws ShapeError when there is no such axis.
template <class T, class D>
Tensor<T, D> transpose(const Tensor<T, D>& x, int a = -2, int b = -1) {
  Shape axes = x.shape();
  for (int i = 0; i < x.rank(); ++i) axes[i] = i;
  std::swap(axes[detail::checked_axis("transpose", a, x.rank())], axes[detail::checked_axis("transpose", b, x.rank())]);
  return permute(x, axes);
}

/// dx = dy within [begin, end) of the axis, 0 outside
template <class T, class D>
struct SliceOp {
  static constexpr const char* name = "slice";
  int axis = 0;            ///< counted from 0
  std::int64_t begin = 0,  ///< the first element
      end = 0;             ///< behind the last
  Shape from;              ///< of x

  /// y: a view
  Tensor<T, D> forward(const Tensor<T, D>& x) {
    from = x.shape();
    Shape shape = from;
    shape[axis] = end - begin;
    return detail::TensorAccess::view(x, shape, x.strides(), begin * x.strides()[axis]);
  }
  /// {dx}
  std::tuple<Tensor<T, D>> backward(const Tensor<T, D>& dy) const {
    auto dx = zeros<T, D>(from);
    kernels<D>::copy(queue<D>::current(), dy.shape(), dy.strides(), dy.data(), dx.strides(),
                     dx.mutable_data() + begin * dx.strides()[axis]);
    return {dx};
  }
};

/// Elements [begin, end) of one axis.  PyTorch: x.narrow(axis, begin, end - begin). Throws ShapeError.
template <class T, class D>
Tensor<T, D> slice(const Tensor<T, D>& x, int axis, std::int64_t begin, std::int64_t end) {
  const int checked = detail::checked_axis("slice", axis, x.rank());
  detail::require<ShapeError>(begin >= 0 && begin <= end && end <= x.size(checked), "slice: [", begin, ", ", end,
                              ") of axis ", checked, " of ", x.shape());
  return apply(SliceOp<T, D>{checked, begin, end, {}}, x);
}

/// da and db are the two parts of dy
template <class T, class D>
struct ConcatenateOp {
  static constexpr const char* name = "concatenate";
  int axis = 0;  ///< counted from 0
  Shape first,   ///< of a
      second;    ///< of b

  /// y: a, then b
  Tensor<T, D> forward(const Tensor<T, D>& a, const Tensor<T, D>& b) {
    first = a.shape();
    second = b.shape();
    Shape shape = first;
    shape[axis] += second[axis];
    Tensor<T, D> y(shape);
    auto& q = queue<D>::current();
    T* to = y.mutable_data();
    kernels<D>::copy(q, first, a.strides(), a.data(), y.strides(), to);
    kernels<D>::copy(q, second, b.strides(), b.data(), y.strides(), to + first[axis] * y.strides()[axis]);
    return y;
  }
  /// {da, db}: views
  std::tuple<Tensor<T, D>, Tensor<T, D>> backward(const Tensor<T, D>& dy) const {
    return {detail::TensorAccess::view(dy, first, dy.strides()),
            detail::TensorAccess::view(dy, second, dy.strides(), first[axis] * dy.strides()[axis])};
  }
};

/// b after a along one axis.  PyTorch: torch.cat((a, b), axis). Throws ShapeError when another axis differs.
template <class T, class D>
Tensor<T, D> concatenate(const Tensor<T, D>& a, const Tensor<T, D>& b, int axis) {
  const int checked = detail::checked_axis("concatenate", axis, a.rank());
  Shape same = b.rank() == a.rank() ? b.shape() : Shape();
  if (same.rank() > 0) same[checked] = a.size(checked);
  detail::require<ShapeError>(same == a.shape(), "concatenate: shapes ", a.shape(), " and ",
                              b.shape(), " differ outside axis ", checked);
  return apply(ConcatenateOp<T, D>{checked, {}, {}}, a, b);
}

/// dx = dy summed over the axes along which x was repeated
template <class T, class D>
struct BroadcastOp {
  static constexpr const char* name = "broadcast_to";
  Shape to,  ///< of y
      from;  ///< of x

  /// y: a view with strides of 0
  Tensor<T, D> forward(const Tensor<T, D>& x) {
    from = x.shape();
    return detail::TensorAccess::view(x, to, detail::broadcast_strides(x, to));
  }
  /// {dx}
  std::tuple<Tensor<T, D>> backward(const Tensor<T, D>& dy) const { return {detail::reduce_to_shape(dy, from)}; }
};

/// x repeated, without a copy, along axes where its size is 1.  PyTorch: x.broadcast_to(shape). Throws ShapeError.
template <class T, class D>
Tensor<T, D> broadcast_to(const Tensor<T, D>& x, const Shape& shape) {
  detail::require<ShapeError>(broadcast_shapes("broadcast_to", x.shape(), shape) == shape, "broadcast_to: ",
                              x.shape(), " cannot become ", shape);
  return apply(BroadcastOp<T, D>{shape, {}}, x);
}

}  // namespace plinth
