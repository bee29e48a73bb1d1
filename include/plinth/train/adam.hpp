// SPDX-License-Identifier: MIT
// Adam, and AdamW: Adam with weight decay apart from the gradient.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <utility>

#include <plinth/train/optimizer.hpp>

namespace plinth {

/// Adam over the parameters of a model, which it shares. Weight decay is added to the gradient.
///   g = g + decay w,  m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2,
///   w = w - rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
/// Kingma & Ba 2015 (arXiv:1412.6980), algorithm 1.  PyTorch: torch.optim.Adam.
template <class T, class D = Cpu>
class Adam : public detail::Optimizer<T, D, 2> {
  using Base = detail::Optimizer<T, D, 2>;

 public:
  /// Throws ArgumentError for settings out of range, a parameter that is not dense in memory, or parameters that share
  /// memory without sharing a gradient.
  template <Module M>
  explicit Adam(M& model, const AdamSettings& settings = {}) : Adam("adam", model, settings, false) {}

  /// One update from the gathered gradients; parameters without one stay as they are. Throws ArgumentError for a
  /// learning rate that is negative or not finite.
  void step(double learning_rate, const StepControl<accumulator_t<T>, D>& control = {}) {
    const auto time = static_cast<double>(this->steps() + 1);
    this->take_step(learning_rate, control, {1 - std::pow(settings_.beta1, time), 1 - std::pow(settings_.beta2, time)},
                    [this](std::int64_t n, const auto* step_values, const auto* parameters) {
                      kernels<D>::adam(queue<D>::current(), n, settings_, decoupled_, step_values, parameters);
                    });
  }

  /// Each setting's name and value.
  std::array<std::pair<const char*, double>, 4> settings() const {
    return {{{"beta1", settings_.beta1},
             {"beta2", settings_.beta2},
             {"epsilon", settings_.epsilon},
             {"weight_decay", settings_.weight_decay}}};
  }

 protected:
  /// For AdamW: its name in errors, and whether weight decay acts apart from the gradient.
  template <Module M>
  Adam(const char* name, M& model, const AdamSettings& settings, bool decoupled)
      : Base(name, model, {"first", "second"}, settings.weight_decay, true),
        settings_(settings),
        decoupled_(decoupled) {
    this->require_range(settings.beta1 >= 0 && settings.beta1 < 1, "beta1", settings.beta1, "in [0, 1)");
    this->require_range(settings.beta2 >= 0 && settings.beta2 < 1, "beta2", settings.beta2, "in [0, 1)");
    // Moments are 0 where all gradients were, as for a token that no batch held yet.
    this->require_range(static_cast<typename Base::element>(settings.epsilon) > 0, "epsilon", settings.epsilon,
                        "positive, or weights without a gradient become 0 / 0");
    this->require_range(settings.weight_decay >= 0, "weight_decay", settings.weight_decay, "at least 0");
  }

 private:
  AdamSettings settings_;
  bool decoupled_;
};

/// Adam with weight decay apart from the gradient: w = w - rate decay w, and Adam's update of the gradient alone.
/// Loshchilov & Hutter 2019 (arXiv:1711.05101), algorithm 2.  PyTorch: torch.optim.AdamW.
template <class T, class D = Cpu>
class AdamW : public Adam<T, D> {
 public:
  /// Throws as Adam does.
  template <Module M>
  explicit AdamW(M& model, const AdamSettings& settings = {}) : Adam<T, D>("adamw", model, settings, true) {}
};

/// Element type and device are the model's.
/// @{
template <Module M>
Adam(M&, const AdamSettings&) -> Adam<typename M::element, typename M::device>;
template <Module M>
Adam(M&) -> Adam<typename M::element, typename M::device>;
template <Module M>
AdamW(M&, const AdamSettings&) -> AdamW<typename M::element, typename M::device>;
template <Module M>
AdamW(M&) -> AdamW<typename M::element, typename M::device>;
/// @}

}  // namespace plinth
