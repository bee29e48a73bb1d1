// SPDX-License-Identifier: MIT
// Finding numbers that are infinite or none at all without waiting for the device in every step.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>

#include <plinth/autograd/module.hpp>
#include <plinth/ops/arithmetic.hpp>

namespace plinth {

namespace detail {

/// 1 for a finite number, 0 for any other.
struct IsFinite {
  template <class T>
  PLINTH_HD static T forward(T x) {
    return math::is_finite(x) ? T(1) : T(0);
  }
};

template <class T, class D>
bool all_finite(const Tensor<T, D>& x) {
  for (const T value : x.to_vector())
    if (!math::is_finite(static_cast<double>(value))) return false;
  return true;
}

}  // namespace detail

/// 1 for each number that is finite, 0 for any other, in the shape of x, dense; without a gradient.
/// PyTorch: isfinite(x).
template <Real T, class D>
Tensor<T, D> is_finite(const Tensor<T, D>& x) {
  const auto values = detail::dense(x);
  Tensor<T, D> y(x.shape());
  kernels<D>::pointwise(queue<D>::current(), y.count(), detail::IsFinite{}, values.data(), y.mutable_data());
  return y;
}

/// Follows steps on the device: from the first one with a sum that is not finite on, no step changes anything, and how
/// many did is counted there until the program looks. By hand, with a loss of rank 0:
///   watch.follow(loss + norm, [&](const auto& finite) { optimizer.step(rate, {.proceed = finite}); });
///   if (step % 100 == 99 && watch.look(loss, norm, loss_value, norm_value) > 0) ...
template <class A, class D>
class NonFiniteWatch {
  using Scalar = Tensor<A, D>;

 public:
  /// step(finite) changes nothing where the number `finite` is 0: when this sum, or one before it, is not finite.
  template <class Step>
  void follow(const Scalar& sum, const Step& step) {
    Scalar finite = is_finite(sum);
    if (finite_.defined()) finite = finite * finite_;
    Scalar taken = taken_.defined() ? taken_ + finite : finite;
    step(finite);
    finite_ = std::move(finite);
    taken_ = std::move(taken);
    ++followed_;
  }

  /// Waits for the device: the values of two numbers, and how many of the steps since the last look changed nothing.
  std::int64_t look(const Scalar& a, const Scalar& b, double& a_value, double& b_value) {
    auto& q = queue<D>::current();
    const Scalar* const all[3] = {&a, &b, &taken_};
    for (int i = 0; i < 3; ++i) kernels<D>::copy(q, {1}, {1}, all[i]->data(), {1}, values_.mutable_data() + i);
    A read[3];
    memory<D>::copy_to_host(read, values_.data(), sizeof read);
    a_value = static_cast<double>(read[0]);
    b_value = static_cast<double>(read[1]);
    const std::int64_t undone = followed_ - static_cast<std::int64_t>(read[2]);
    finite_ = taken_ = {};
    followed_ = 0;
    return undone;
  }
  /// Waits for the device, if steps were followed since the last look: how many of them changed nothing.
  std::int64_t look() {
    double ignored;
    return followed_ > 0 ? look(taken_, taken_, ignored, ignored) : 0;
  }

 private:
  Scalar finite_, taken_;  // 1 or 0; steps that changed something since the last look; undefined: 1 and 0
  Scalar values_{Shape{3}};
  std::int64_t followed_ = 0;
};

/// The dotted name of the first parameter that holds an infinite number or none at all; empty where all are finite.
/// Waits for the device for each of them.
template <Module M>
std::string first_non_finite_parameter(const M& model) {
  std::string found;
  for_each_parameter(model, [&](const std::string& name, const auto& x) {
    if (found.empty() && !detail::all_finite(x)) found = name;
  });
  return found;
}

/// The first tensor that holds an infinite number or none at all, in words: a parameter, then the loss, then a
/// gradient. Waits for the device for each of them.
template <Module M, class A, class D>
std::string first_non_finite(const M& model, const Tensor<A, D>& loss) {
  std::string parameter, gradient_of;
  const auto look = [](std::string& found, const std::string& name, const auto& x) {
    if (found.empty() && x.defined() && !detail::all_finite(x)) found = name;
  };
  for_each_parameter(model, [&](const std::string& name, const auto& x) {
    look(parameter, name, x);
    look(gradient_of, name, gradient(x));
  });
  const auto value = static_cast<double>(loss.item());
  if (!parameter.empty()) return "the parameter " + parameter + " is not finite";
  if (std::isnan(value)) return "the loss is nan";
  if (std::isinf(value)) return value > 0 ? "the loss is inf" : "the loss is -inf";
  if (!gradient_of.empty()) return "the gradient of " + gradient_of + " is not finite";
  return "the norm of all gradients is not finite";
}

}  // namespace plinth
