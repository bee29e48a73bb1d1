// SPDX-License-Identifier: MIT
// Checks gradients against central differences.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <plinth/autograd/tape.hpp>

namespace plinth {

/// Tolerances of gradcheck; the defaults are PyTorch's.
struct GradcheckOptions {
  double epsilon = 1e-6,  ///< half of the distance of the two values that a difference is taken of
      absolute = 1e-5,    ///< error that is allowed
      relative = 1e-3;    ///< error that is allowed, of the gradient
};

/// Compares the gradients of f, a function of `inputs` to one tensor of any shape, with central differences, every
/// element of every input. The output is weighted by fixed irregular numbers, so that errors do not cancel.
/// Returns an empty string, or where and how far they differ. The inputs' values are restored.
/// Works in double only: float has too few digits.  PyTorch: torch.autograd.gradcheck.
template <class D, class F>
std::string gradcheck(const F& f, std::vector<Tensor<double, D>> inputs, const GradcheckOptions& options = {}) {
  const auto weight_of = [](std::int64_t i) { return 0.5 + std::fmod(0.6180339887498949 * static_cast<double>(i + 1), 1.0); };
  const auto weighted = [&] {
    const NoGradient no_gradient;
    const auto values = f(inputs).to_vector();
    double sum = 0;
    for (std::size_t i = 0; i < values.size(); ++i) sum += weight_of(static_cast<std::int64_t>(i)) * values[i];
    return sum;
  };
  for (auto& x : inputs) {
    require_gradient(x);
    clear_gradient(x);
  }
  const auto y = f(inputs);
  std::vector<double> seed(static_cast<std::size_t>(y.count()));
  for (std::size_t i = 0; i < seed.size(); ++i) seed[i] = weight_of(static_cast<std::int64_t>(i));
  backward(y, Tensor<double, D>(y.shape(), seed));

  for (std::size_t k = 0; k < inputs.size(); ++k) {
    auto& x = inputs[k];
    const auto analytic_tensor = gradient(x);
    if (!analytic_tensor.defined()) return "input " + std::to_string(k) + " received no gradient";
    const auto analytic = analytic_tensor.to_vector();
    const auto values = x.to_vector();
    for (std::int64_t i = 0; i < x.count(); ++i) {
      std::int64_t place = 0, rest = i;  // where element i lies
      for (int axis = x.rank() - 1; axis >= 0; --axis) {
        place += rest % x.size(axis) * x.strides()[axis];
        rest /= x.size(axis);
      }
      const double value = values[static_cast<std::size_t>(i)];
      const auto at = [&](double changed) {
        memory<D>::copy_from_host(x.mutable_data() + place, &changed, sizeof changed);
        return weighted();
      };
      const double numeric = (at(value + options.epsilon) - at(value - options.epsilon)) / (2 * options.epsilon);
      memory<D>::copy_from_host(x.mutable_data() + place, &value, sizeof value);
      const double found = analytic[static_cast<std::size_t>(i)];
      if (!(std::abs(found - numeric) <= options.absolute + options.relative * std::abs(numeric)))
        return detail::join("input ", k, ", element ", i, ": gradient ", found, ", central difference ", numeric);
    }
  }
  return {};
}

}  // namespace plinth
