// SPDX-License-Identifier: MIT
// AdamW: Adam with weight decay apart from the gradient.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include <plinth/autograd/module.hpp>
#include <plinth/ops/create.hpp>

namespace plinth {

/// AdamW over the parameters of a model, which it shares. Weight decay acts on parameters with at least two axes, not
/// on gains and biases.
///   m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2,
///   w = w - rate (decay w + (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon))
/// Loshchilov & Hutter 2019 (arXiv:1711.05101), algorithm 2.  PyTorch: torch.optim.AdamW.
template <class T, class D = Cpu>
class AdamW {
 public:
  /// Throws ArgumentError for settings out of range or a parameter that is not dense in memory.
  template <Module M>
  explicit AdamW(M& model, const AdamWSettings& settings = {}) : settings_(settings), step_values_({3}) {
    const auto check = [](bool good, const char* setting, double value) {
      detail::require<ArgumentError>(good, "adamw: ", setting, " ", value, " is out of range");
    };
    check(settings.beta1 >= 0 && settings.beta1 < 1, "beta1", settings.beta1);
    check(settings.beta2 >= 0 && settings.beta2 < 1, "beta2", settings.beta2);
    check(settings.epsilon >= 0, "epsilon", settings.epsilon);
    check(settings.weight_decay >= 0, "weight_decay", settings.weight_decay);
    for_each_parameter(model, [&](const std::string& name, Tensor<T, D>& weight) {
      detail::require<ArgumentError>(weight.contiguous(), "adamw: ", name, " has strides ", weight.strides());
      if (!detail::node_of(weight)) require_gradient(weight, false);  // a slot to share, should it be trained later
      slots_.push_back({weight, zeros<accumulator_t<T>, D>(weight.shape()), zeros<accumulator_t<T>, D>(weight.shape())});
    });
  }

  /// One update from the gathered gradients; parameters without one stay as they are.
  void step(double learning_rate) {
    ++steps_;
    const auto time = static_cast<double>(steps_);
    const accumulator_t<T> values[3] = {static_cast<accumulator_t<T>>(learning_rate),
                                        static_cast<accumulator_t<T>>(1 - std::pow(settings_.beta1, time)),
                                        static_cast<accumulator_t<T>>(1 - std::pow(settings_.beta2, time))};
    memory<D>::copy_from_host(step_values_.mutable_data(), values, sizeof values);
    auto& q = queue<D>::current();
    for (Slot& slot : slots_) {
      const auto g = gradient(slot.weight);
      if (!g.defined()) continue;
      AdamWSettings settings = settings_;
      if (slot.weight.rank() < 2) settings.weight_decay = 0;
      kernels<D>::adamw(q, g.count(), settings, step_values_.data(), g.data(), slot.first.mutable_data(),
                        slot.second.mutable_data(), slot.weight.mutable_data());
    }
  }

 private:
  struct Slot {
    Tensor<T, D> weight;
    Tensor<accumulator_t<T>, D> first, second;  // moments
  };

  AdamWSettings settings_;
  std::vector<Slot> slots_;
  Tensor<accumulator_t<T>, D> step_values_;
  std::int64_t steps_ = 0;
};

template <Module M>
AdamW(M&, const AdamWSettings&) -> AdamW<typename M::element, typename M::device>;
template <Module M>
AdamW(M&) -> AdamW<typename M::element, typename M::device>;

}  // namespace plinth
