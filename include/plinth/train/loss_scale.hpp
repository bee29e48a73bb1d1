// SPDX-License-Identifier: MIT
// Dynamic loss scaling: half precision holds no gradient below 2^-24, so the loss is multiplied until the largest of
// them just fit.
#pragma once

#include <cstdint>
#include <limits>
#include <utility>

#include <plinth/ops/arithmetic.hpp>
#include <plinth/train/non_finite.hpp>

namespace plinth {

/// Where a loss scale is: all that is needed to go on with it.
struct LossScaleState {
  double factor = 65536;          ///< what the loss is multiplied by
  std::int64_t finite_steps = 0;  ///< since it changed
};

namespace detail {

/// What a step makes of the steps without infinity since the factor changed, and of the factor.
struct FiniteSteps {
  double interval;
  template <class T>
  PLINTH_HD T forward(T steps, T finite) const {
    return finite == T(0) || steps + T(1) >= static_cast<T>(interval) ? T(0) : steps + T(1);
  }
};
struct ScaleChange {
  double interval, growth, backoff;
  template <class T>
  PLINTH_HD T forward(T steps, T finite) const {
    if (finite == T(0)) return static_cast<T>(backoff);
    return steps + T(1) >= static_cast<T>(interval) ? static_cast<T>(growth) : T(1);
  }
};

/// factor change, held in [lowest, highest].
struct BoundedProduct {
  double lowest, highest;
  template <class T>
  PLINTH_HD T forward(T factor, T change) const {
    const T next = factor * change, least = static_cast<T>(lowest), most = static_cast<T>(highest);
    return next < least ? least : next < most ? next : most;
  }
};

/// 0, or NaN below a limit.
struct NanBelow {
  double limit;
  template <class T>
  PLINTH_HD T forward(T x) const {
    return x < static_cast<T>(limit) ? std::numeric_limits<T>::quiet_NaN() : T(0);
  }
};

}  // namespace detail

/// A factor on the device, A being float: doubled after 2000 steps with finite gradients, halved after one without,
/// which must change nothing. By hand:
///   backward(loss * scale.factor());
///   const auto norm = gradient_norm(model) / scale.factor();
///   const auto finite = is_finite(norm);
///   watch.follow(loss + scale.broken(), [&](const auto& good) {  // a NonFiniteWatch, to be looked at now and then
///     optimizer.step(rate, {.proceed = good * finite, .gradient_factor = clip_factor(norm, 1.0) / scale.factor()});
///     scale.follow(finite, good);
///   });
/// Micikevicius et al. 2018 (arXiv:1710.03740), section 3.2.  PyTorch: torch.amp.GradScaler, whose constants these are.
template <class A, class D>
class LossScale {
  using Scalar = Tensor<A, D>;
  static constexpr double growth = 2, backoff = 0.5, interval = 2000;
  static constexpr double lowest = 0x1p-20;  // gradients that are infinite here are so for another reason
  static constexpr double highest = 0x1p60;  // where gradients that are 0 for ever must not take it

 public:
  /// From the start, or from where another one was.
  explicit LossScale(const LossScaleState& state = {})
      : factor_(Shape(), {static_cast<A>(state.factor)}),
        finite_steps_(Shape(), {static_cast<A>(state.finite_steps)}) {}

  /// (), what the loss is multiplied by before the backward pass, and gradients divided by behind it.
  const Scalar& factor() const { return factor_; }
  /// (), 0, or NaN when no factor was small enough for steps on end.
  Scalar broken() const {
    Scalar sign{Shape()};
    kernels<D>::pointwise(queue<D>::current(), 1, detail::NanBelow{lowest}, factor_.data(), sign.mutable_data());
    return sign;
  }

  /// Takes note of a step whose gradients were all finite, or, where the number `finite` () is 0, were not. Where the
  /// number `good` () is 0, the step does not count, and nothing changes; nor where it throws MemoryError.
  void follow(const Scalar& finite, const Scalar& good) {
    const Scalar change = combined(detail::ScaleChange{interval, growth, backoff}, finite_steps_, finite);
    const Scalar steps = combined(detail::FiniteSteps{interval}, finite_steps_, finite);
    Scalar factor = combined(detail::BoundedProduct{lowest / 2, highest}, factor_, (change - 1) * good + 1);
    finite_steps_ = finite_steps_ + (steps - finite_steps_) * good;
    factor_ = std::move(factor);
  }

  /// Waits for the device.
  LossScaleState state() const {
    return {static_cast<double>(factor_.item()), static_cast<std::int64_t>(finite_steps_.item())};
  }

 private:
  template <class F>
  static Scalar combined(const F& formula, const Scalar& a, const Scalar& b) {
    Scalar y{Shape()};
    kernels<D>::binary(queue<D>::current(), Shape(), formula, Shape(), a.data(), Shape(), b.data(), y.mutable_data());
    return y;
  }

  Scalar factor_, finite_steps_;
};

}  // namespace plinth
