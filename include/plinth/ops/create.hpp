// SPDX-License-Identifier: MIT
// New tensors: filled, random, copied.
#pragma once

#include <cstdint>
#include <vector>

#include <plinth/autograd/apply.hpp>
#include <plinth/tensor/random.hpp>

namespace plinth {

/// A tensor with every element `value`.  PyTorch: full.
template <Element T, class D = Cpu>
Tensor<T, D> full(const Shape& shape, T value) {
  Tensor<T, D> y(shape);
  kernels<D>::fill(queue<D>::current(), y.count(), value, y.mutable_data());
  return y;
}

/// A tensor of zeros.  PyTorch: zeros.
template <Element T, class D = Cpu>
Tensor<T, D> zeros(const Shape& shape) {
  return full<T, D>(shape, T{});
}

/// Normal random numbers with mean 0: element i is a function of the stream and i alone.  PyTorch: randn * deviation.
template <Real T, class D = Cpu>
Tensor<T, D> random_normal(const Shape& shape, double deviation, const RandomStream& stream) {
  std::vector<T> values(static_cast<std::size_t>(element_count(shape)));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<T>(static_cast<accumulator_t<T>>(deviation * stream.normal(i)));
  return Tensor<T, D>(shape, values);
}

/// A dense copy with memory of its own, without history.  PyTorch: x.detach().clone().
template <class T, class D>
Tensor<T, D> clone(const Tensor<T, D>& x) {
  Tensor<T, D> y(x.shape());
  kernels<D>::copy(queue<D>::current(), x.shape(), x.strides(), x.data(), y.strides(), y.mutable_data());
  return y;
}

namespace detail {

/// x without history, dense in memory: itself where it already is.
template <class T, class D>
Tensor<T, D> dense(const Tensor<T, D>& x) {
  return x.contiguous() ? detach(x) : clone(x);
}

}  // namespace detail
}  // namespace plinth
