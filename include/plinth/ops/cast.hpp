// SPDX-License-Identifier: MIT
// Another element type or another device, with gradients.
#pragma once

#include <concepts>
#include <tuple>

#include <plinth/ops/create.hpp>

namespace plinth {

namespace detail {

/// x in another element type, dense and without history; x itself where it is that already.
template <class To, class From, class D>
Tensor<To, D> converted(const Tensor<From, D>& x) {
  const auto values = dense(x);
  if constexpr (std::same_as<To, From>) {
    return values;
  } else {
    Tensor<To, D> y(x.shape());
    kernels<D>::cast(queue<D>::current(), y.count(), values.data(), y.mutable_data());
    return y;
  }
}

}  // namespace detail

/// dx = dy, rounded to the type of x
template <class To, class From, class D>
struct CastOp {
  static constexpr const char* name = "cast";

  /// y = x, rounded to nearest even; x itself, dense, where the type is the same
  Tensor<To, D> forward(const Tensor<From, D>& x) { return detail::converted<To>(x); }
  /// {dx}
  std::tuple<Tensor<From, D>> backward(const Tensor<To, D>& dy) const { return {detail::converted<From>(dy)}; }
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
