// SPDX-License-Identifier: MIT
// What all optimisers share: state beside each parameter, groups, and the numbers of a step in device memory.
#pragma once

#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <plinth/autograd/module.hpp>
#include <plinth/ops/create.hpp>

namespace plinth {

/// What a group of parameters has of its own: its rate is rate_factor times the step's.
struct ParameterGroup {
  double rate_factor = 1,  ///< 0: the group stays as it is
      weight_decay = 0;    ///< in place of that of the settings
};

namespace detail {

/// The parameters of a model, whose memory is shared, with N state tensors beside each. A parameter that the model
/// names twice is updated once. An optimiser is a module of its state, "<parameter>.<state name>", so that what saves
/// and loads parameters saves and loads it; with steps() this is all there is to an optimiser's state.
template <class T, class D, std::size_t N>
class Optimizer {
  static_assert(std::same_as<T, accumulator_t<T>>,
                "a model is trained in float or double: 16 bits lose small updates. Train one of these and copy_state "
                "its parameters into the 16-bit model.");

 public:
  using element = accumulator_t<T>;
  using device = D;

  /// "adam", "adamw", "sgd"
  const char* name() const { return name_; }
  /// Steps taken so far.
  std::int64_t steps() const { return steps_; }
  /// What steps() shall be, for an optimiser whose state is loaded. Throws ArgumentError when negative.
  void set_steps(std::int64_t steps) {
    require<ArgumentError>(steps >= 0, name_, ": ", steps, " steps; there cannot be fewer than 0");
    steps_ = steps;
  }

  /// Makes the parameters for which belongs(dotted name) is true a group, also those of an earlier one. Without groups
  /// every parameter has the rate as it is, and weight decay acts on those with at least two axes: not on gains and
  /// biases. Throws ArgumentError when no parameter belongs to the group, or a number is negative.
  /// PyTorch: param_groups.
  template <class Predicate>
  void set_group(Predicate&& belongs, const ParameterGroup& group) {
    require<ArgumentError>(group.rate_factor >= 0 && group.weight_decay >= 0, name_, ": a group with rate_factor ",
                           group.rate_factor, " and weight_decay ", group.weight_decay, ", neither may be negative");
    bool found = false;
    for (Slot& slot : slots_)
      if (belongs(std::string_view(slot.name))) slot.group = group, found = true;
    require<ArgumentError>(found, name_, ": no parameter belongs to the group; names are as \"", slots_.front().name,
                           '"');
  }

  static void visit(auto& self, auto&& f) {
    for (auto& slot : self.slots_)
      for (std::size_t i = 0; i < N; ++i) f(slot.name + '.' + self.state_names_[i], slot.state[i]);
  }

 protected:
  struct Slot {
    std::string name;
    Tensor<T, D> weight;
    std::array<Tensor<element, D>, N> state;
    ParameterGroup group;
  };

  /// State starts at zero, or is left out where has_state is false.
  template <Module M>
  Optimizer(const char* name, M& model, const std::array<const char*, N>& state_names, double weight_decay,
            bool has_state)
      : name_(name), state_names_(state_names), step_values_({4}) {
    for_each_distinct_parameter(model, [&](const std::string& parameter, Tensor<T, D>& weight) {
      require<ArgumentError>(weight.contiguous(), name, ": ", parameter, " has strides ", weight.strides(),
                             "; it must be dense in memory, as plinth::clone makes it");
      if (!node_of(weight)) require_gradient(weight, false);  // a slot to share, should it be trained later
      Slot slot{parameter, weight, {}, {1, weight.rank() < 2 ? 0 : weight_decay}};
      if (has_state)
        for (auto& state : slot.state) state = zeros<element, D>(weight.shape());
      slots_.push_back(std::move(slot));
    });
    require<ArgumentError>(!slots_.empty(), name, ": the model has no parameters");
  }

  void require_range(bool good, const char* setting, double value, const char* wanted) const {
    require<ArgumentError>(good, name_, ": ", setting, " ", value, " must be ", wanted);
  }

  /// Counts a step, sends its numbers to the device and calls update(slot, gradient, step values) for each parameter
  /// with a gradient. `proceed`, where defined, is a number on the device: 0 lets the step change nothing.
  template <class Update>
  void take_step(double rate, const Tensor<element, D>& proceed, double third, double fourth, const Update& update) {
    require<ArgumentError>(rate >= 0 && std::isfinite(rate), name_, ": a learning rate of ", rate,
                           " must be finite and not negative");
    const element values[4] = {static_cast<element>(rate), 1, static_cast<element>(third),
                               static_cast<element>(fourth)};
    memory<D>::copy_from_host(step_values_.mutable_data(), values, sizeof values);
    if (proceed.defined())
      kernels<D>::copy(queue<D>::current(), {1}, {1}, proceed.data(), {1}, step_values_.mutable_data() + 1);
    for (Slot& slot : slots_) {
      const auto g = gradient(slot.weight);
      if (g.defined()) update(slot, g, step_values_.data());
    }
    ++steps_;
  }

 private:
  const char* name_;
  std::array<const char*, N> state_names_;
  std::vector<Slot> slots_;
  Tensor<element, D> step_values_;
  std::int64_t steps_ = 0;
};

}  // namespace detail
}  // namespace plinth
