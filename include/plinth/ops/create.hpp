// SPDX-License-Identifier: MIT
// New tensors: filled, random, copied.
#pragma once

#include <algorithm>
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

namespace detail {

/// A tensor whose element i the program computes as f(i), on all its threads, but for a device that keeps no values. The
/// tensor's memory comes first, so that a budget refuses it before the program takes as much. f neither throws nor
/// has state.
template <Element T, class D, class F>
Tensor<T, D> tabulate(const Shape& shape, const F& f) {
  Tensor<T, D> y(shape);
  if constexpr (memory<D>::keeps_values) {
    std::vector<T> values(static_cast<std::size_t>(y.count()));
    constexpr std::int64_t together = 1024;
    queue<Cpu>::current().each_thread((y.count() + together - 1) / together, [&](int, std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin * together; i < std::min(end * together, y.count()); ++i)
        values[static_cast<std::size_t>(i)] = f(i);
    });
    memory<D>::copy_from_host(y.mutable_data(), values.data(), values.size() * sizeof(T));
  }
  return y;
}

/// 0, 1, ... (n)
template <class D>
Tensor<std::int32_t, D> counted(std::int64_t n) {
  return tabulate<std::int32_t, D>({n}, [](std::int64_t i) { return static_cast<std::int32_t>(i); });
}

}  // namespace detail

/// Normal random numbers with mean 0: element i is a function of the stream and i alone.  PyTorch: randn * deviation.
template <Real T, class D = Cpu>
Tensor<T, D> random_normal(const Shape& shape, double deviation, const RandomStream& stream) {
  return detail::tabulate<T, D>(shape, [&](std::int64_t i) {
    return static_cast<T>(static_cast<accumulator_t<T>>(deviation * stream.normal(static_cast<std::uint64_t>(i))));
  });
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
