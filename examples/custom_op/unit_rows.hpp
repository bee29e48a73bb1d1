// SPDX-License-Identifier: MIT
// An operation that the library does not have: its kernels, its gradient, and the function to call.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <tuple>

#include <plinth/plinth.hpp>

/// What keeps a row of zeros from a division by zero.
inline constexpr double unit_rows_epsilon = 1e-12;

/// The sum of a[i] b[i], in sixteen partial sums that the compiler can keep in vector registers.
template <class T>
T dot(const T* a, const T* b, std::int64_t n) {
  constexpr int lanes = 16;
  T partial[lanes] = {}, sum = 0;
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (int lane = 0; lane < lanes; ++lane) partial[lane] += a[i + lane] * b[i + lane];
  for (; i < n; ++i) sum += a[i] * b[i];
  for (const T part : partial) sum += part;
  return sum;
}

/// The kernels of device D, which see pointers and sizes, never tensors. Another device needs another specialisation
/// and nothing else.
template <class D>
struct UnitRowsKernels;

template <>
struct UnitRowsKernels<plinth::Cpu> {
  /// y = x inverse_length over each row, inverse_length = 1 / sqrt(sum of x^2 + epsilon)
  template <class T>
  static void forward(plinth::queue<plinth::Cpu>& queue, std::int64_t rows, std::int64_t columns, const T* x, T* y,
                      T* inverse_length) {
    queue.parallel(rows, [=](std::int64_t r) {
      const T* from = x + r * columns;
      const T inverse = 1 / std::sqrt(dot(from, from, columns) + static_cast<T>(unit_rows_epsilon));
      for (std::int64_t i = 0; i < columns; ++i) y[r * columns + i] = from[i] * inverse;
      inverse_length[r] = inverse;
    });
  }

  /// dx = (dy - y (y . dy)) inverse_length over each row: what is left of dy across y
  template <class T>
  static void backward(plinth::queue<plinth::Cpu>& queue, std::int64_t rows, std::int64_t columns, const T* y,
                       const T* inverse_length, const T* dy, T* dx) {
    queue.parallel(rows, [=](std::int64_t r) {
      const T *along = y + r * columns, *given = dy + r * columns;
      const T projection = dot(along, given, columns), inverse = inverse_length[r];
      for (std::int64_t i = 0; i < columns; ++i) dx[r * columns + i] = (given[i] - along[i] * projection) * inverse;
    });
  }
};

/// The operation: `forward` keeps what `backward` needs, `apply` puts it on the tape.
template <class T, class D>
struct UnitRowsOp {
  static constexpr const char* name = "unit_rows";
  plinth::Saved<T, D> y, inverse_length;

  plinth::Tensor<T, D> forward(const plinth::Tensor<T, D>& x) {
    const auto values = x.contiguous() ? x : plinth::clone(x);
    plinth::Tensor<T, D> units(x.shape()), inverse({rows(x)});
    UnitRowsKernels<D>::forward(plinth::queue<D>::current(), rows(x), x.size(-1), values.data(), units.mutable_data(),
                                inverse.mutable_data());
    y = units;
    inverse_length = inverse;
    return units;
  }

  std::tuple<plinth::Tensor<T, D>> backward(const plinth::Tensor<T, D>& dy) const {
    const auto given = dy.contiguous() ? dy : plinth::clone(dy);
    plinth::Tensor<T, D> dx(dy.shape());
    UnitRowsKernels<D>::backward(plinth::queue<D>::current(), rows(dy), dy.size(-1), y.get(name).data(),
                                 inverse_length.get(name).data(), given.data(), dx.mutable_data());
    return {dx};
  }

 private:
  static std::int64_t rows(const plinth::Tensor<T, D>& x) { return x.count() / std::max<std::int64_t>(x.size(-1), 1); }
};

/// Every row divided by its length: y = x / sqrt(sum of x^2 + epsilon) over the last axis.
/// PyTorch: torch.nn.functional.normalize(x, dim=-1), but for the place of epsilon. Throws ShapeError for rank 0.
template <plinth::Real T, class D>
plinth::Tensor<T, D> unit_rows(const plinth::Tensor<T, D>& x) {
  if (x.rank() == 0) throw plinth::ShapeError("unit_rows: a tensor of shape () has no rows");
  return plinth::apply(UnitRowsOp<T, D>{}, x);
}

/// The same, composed of the library's operations: the definition that the kernels are compared with.
template <plinth::Real T, class D>
plinth::Tensor<T, D> composed_unit_rows(const plinth::Tensor<T, D>& x) {
  auto kept = x.shape();
  kept[-1] = 1;
  return x / plinth::sqrt(plinth::reshape(plinth::sum(x * x, -1), kept) + unit_rows_epsilon);
}
