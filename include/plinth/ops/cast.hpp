// SPDX-License-Identifier: MIT
// Another element type or another device, with gradients.
#pragma once

#include <tuple>
#include <vector>

#include <plinth/ops/create.hpp>

namespace plinth {

template <class To, class From, class D>
struct CastOp {
  static constexpr const char* name = "cast";

  Tensor<To, D> forward(const Tensor<From, D>& x) { return converted<To>(x); }
  std::tuple<Tensor<From, D>> backward(const Tensor<To, D>& dy) const { return {converted<From>(dy)}; }

 private:
  template <class Y, class X>
  static Tensor<Y, D> converted(const Tensor<X, D>& x) {
    const auto values = detail::dense(x);
    Tensor<Y, D> y(x.shape());
    kernels<D>::cast(queue<D>::current(), y.count(), values.data(), y.mutable_data());
    return y;
  }
};

/// The values rounded to another element type.  PyTorch: x.to(dtype).
template <Real To, Real From, class D>
Tensor<To, D> cast(const Tensor<From, D>& x) {
  if constexpr (std::same_as<To, From>)
    return x;
  else
    return apply(CastOp<To, From, D>{}, x);
}

}  // namespace plinth
