// SPDX-License-Identifier: MIT
// Gradient clipping by global norm.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <plinth/autograd/module.hpp>
#include <plinth/kernels/arguments.hpp>
#include <plinth/ops/create.hpp>

namespace plinth {

namespace detail {

/// min(1, limit / (norm + 1e-6))
struct ClipFactor {
  double limit;
  template <class T>
  PLINTH_HD T forward(T norm) const {
    const T factor = static_cast<T>(limit) / (norm + T(1e-6));
    return factor < T(1) ? factor : T(1);
  }
};

struct Root {
  template <class T>
  PLINTH_HD static T forward(T x) {
    return std::sqrt(x);
  }
};

/// The gradients there are, each once. One walk over the model serves all that is done with them, for walks take long
/// to compile.
template <Module M>
auto gathered_gradients(const M& model) {
  std::vector<Tensor<typename M::element, typename M::device>> all;
  for_each_distinct_parameter(model, [&](const std::string&, const auto& x) {
    if (auto g = gradient(x); g.defined()) all.push_back(std::move(g));
  });
  return all;
}

/// The 2-norm of all of them together.
template <class T, class D>
Tensor<accumulator_t<T>, D> norm_of(const std::vector<Tensor<T, D>>& all) {
  auto& q = queue<D>::current();
  auto norm = zeros<accumulator_t<T>, D>(Shape());
  std::vector<DenseArray<T>> arrays;
  for (const auto& g : all) arrays.push_back({g.count(), g.data()});
  kernels<D>::squared_norm(q, static_cast<std::int64_t>(arrays.size()), arrays.data(), norm.mutable_data());
  kernels<D>::pointwise(q, 1, Root{}, norm.data(), norm.mutable_data());
  return norm;
}

}  // namespace detail

/// The 2-norm of all gradients together, a tensor of rank 0 on the device. Parameters without a gradient count as 0.
/// PyTorch: torch.nn.utils.get_total_norm of the gradients.
template <Module M>
auto gradient_norm(const M& model) {
  return detail::norm_of(detail::gathered_gradients(model));
}

/// min(1, limit / (norm + 1e-6)), what gradients of this norm () are multiplied by to have one of `limit` at most: for
/// an optimiser that does it as it reads them. Throws ArgumentError when the limit is not positive.
template <Real A, class D>
Tensor<A, D> clip_factor(const Tensor<A, D>& norm, double limit) {
  detail::require<ArgumentError>(limit > 0, "clip_factor: limit ", limit, " is not positive");
  Tensor<A, D> factor(norm.shape());
  kernels<D>::pointwise(queue<D>::current(), norm.count(), detail::ClipFactor{limit}, norm.data(), factor.mutable_data());
  return factor;
}

/// Scales all gradients by min(1, limit / (norm + 1e-6)) and returns their norm before that, on the device: nothing
/// waits.  Pascanu, Mikolov & Bengio 2013, algorithm 1.  PyTorch: clip_grad_norm_.
/// Throws ArgumentError when the limit is not positive.
template <Module M>
auto clip_gradient_norm(const M& model, double limit) {
  using D = typename M::device;
  detail::require<ArgumentError>(limit > 0, "clip_gradient_norm: limit ", limit, " is not positive");
  auto all = detail::gathered_gradients(model);
  const auto norm = detail::norm_of(all);
  const auto factor = clip_factor(norm, limit);
  for (auto& g : all) kernels<D>::scale(queue<D>::current(), g.count(), factor.data(), g.mutable_data());
  return norm;
}

}  // namespace plinth
