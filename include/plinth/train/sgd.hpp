// SPDX-License-Identifier: MIT
// Stochastic gradient descent.
#pragma once

#include <array>
#include <cstdint>
#include <utility>

#include <plinth/train/optimizer.hpp>

namespace plinth {

/// Stochastic gradient descent over the parameters of a model, which it shares; without momentum it has no state.
///   g = g + decay w,  v = momentum v + g,  w = w - rate v, or with Nesterov's momentum w = w - rate (g + momentum v)
/// Sutskever, Martens, Dahl & Hinton 2013, section 2.  PyTorch: torch.optim.SGD.
template <class T, class D = Cpu>
class Sgd : public detail::Optimizer<T, D, 1> {
  using Base = detail::Optimizer<T, D, 1>;

 public:
  /// Throws ArgumentError for settings out of range, a parameter that is not dense in memory, or parameters that share
  /// memory without sharing a gradient.
  template <Module M>
  explicit Sgd(M& model, const SgdSettings& settings = {})
      : Base("sgd", model, {"velocity"}, settings.weight_decay, settings.momentum != 0), settings_(settings) {
    this->require_range(settings.momentum >= 0 && settings.momentum < 1, "momentum", settings.momentum, "in [0, 1)");
    this->require_range(!settings.nesterov || settings.momentum > 0, "nesterov's momentum", settings.momentum,
                        "above 0");
    this->require_range(settings.weight_decay >= 0, "weight_decay", settings.weight_decay, "at least 0");
  }

  /// One update from the gathered gradients; parameters without one stay as they are. Throws ArgumentError for a
  /// learning rate that is negative or not finite.
  void step(double learning_rate, const StepControl<accumulator_t<T>, D>& control = {}) {
    this->take_step(learning_rate, control, {},
                    [this](std::int64_t n, const auto* step_values, const auto* parameters) {
                      kernels<D>::sgd(queue<D>::current(), n, settings_, step_values, parameters);
                    });
  }

  /// Each setting's name and value; nesterov is 0 or 1.
  std::array<std::pair<const char*, double>, 3> settings() const {
    return {{{"momentum", settings_.momentum},
             {"nesterov", settings_.nesterov ? 1 : 0},
             {"weight_decay", settings_.weight_decay}}};
  }

 private:
  SgdSettings settings_;
};

/// Element type and device are the model's.
/// @{
template <Module M>
Sgd(M&, const SgdSettings&) -> Sgd<typename M::element, typename M::device>;
template <Module M>
Sgd(M&) -> Sgd<typename M::element, typename M::device>;
/// @}

}  // namespace plinth
