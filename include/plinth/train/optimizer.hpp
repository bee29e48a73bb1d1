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
#include <plinth/kernels/arguments.hpp>
#include <plinth/ops/cast.hpp>

namespace plinth {

/// Numbers on the device that a step reads there, so that nothing waits for them.
template <class A, class D>
struct StepControl {
  Tensor<A, D> proceed = {};          ///< (), 0: the step is counted and changes nothing; undefined: 1
  Tensor<A, D> gradient_factor = {};  ///< (), what all gradients are multiplied by; undefined: 1
};

namespace detail {

/// The parameters of a model, whose memory is shared, with N state tensors beside each. A parameter that the model
/// names twice is updated once. An optimiser is a module of its state, "<parameter>.<state name>", so that what saves
/// and loads parameters saves and loads it; with steps() this is all there is to an optimiser's state.
///
/// 16 bits lose small updates: such a parameter gets a master in float, "<parameter>.master", which is what is trained,
/// and the parameter is its rounded copy. Micikevicius et al. 2018 (arXiv:1710.03740), section 3.1.
template <class T, class D, std::size_t N>
class Optimizer {
  static constexpr bool has_masters = !std::same_as<T, accumulator_t<T>>;

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
    for (auto& slot : self.slots_) {
      for (std::size_t i = 0; i < N; ++i) f(slot.name + '.' + self.state_names_[i], slot.state[i]);
      if constexpr (has_masters) f(slot.name + ".master", slot.master);
    }
  }

 protected:
  struct Slot {
    std::string name;
    Tensor<T, D> weight;
    std::array<Tensor<element, D>, N> state;
    Tensor<element, D> master;
    ParameterGroup group;
  };

  /// State starts at zero, or is left out where has_state is false.
  template <Module M>
  Optimizer(const char* name, M& model, const std::array<const char*, N>& state_names, double weight_decay,
            bool has_state)
      : name_(name), state_names_(state_names), step_values_({5}) {
    for_each_distinct_parameter(model, [&](const std::string& parameter, Tensor<T, D>& weight) {
      require<ArgumentError>(weight.contiguous(), name, ": ", parameter, " has strides ", weight.strides(),
                             "; it must be dense in memory, as plinth::clone makes it");
      if (!node_of(weight)) require_gradient(weight, false);  // a slot to share, should it be trained later
      Slot slot{parameter, weight, {}, {}, {1, weight.rank() < 2 ? 0 : weight_decay}};
      if (has_state)
        for (auto& state : slot.state) state = zeros<element, D>(weight.shape());
      if constexpr (has_masters) slot.master = converted<element>(detach(weight));
      slots_.push_back(std::move(slot));
    });
    require<ArgumentError>(!slots_.empty(), name, ": the model has no parameters");
  }

  void require_range(bool good, const char* setting, double value, const char* wanted) const {
    require<ArgumentError>(good, name_, ": ", setting, " ", value, " must be ", wanted);
  }

  /// Counts a step, sends its numbers to the device, those of the optimiser's own behind the others, and calls
  /// update(n, step values, parameters) with the n parameters that have a gradient.
  template <class Update>
  void take_step(double rate, const StepControl<element, D>& control, const std::array<double, 2>& own,
                 const Update& update) {
    require<ArgumentError>(rate >= 0 && std::isfinite(rate), name_, ": a learning rate of ", rate,
                           " must be finite and not negative");
    const element values[5] = {static_cast<element>(rate), 1, 1, static_cast<element>(own[0]),
                               static_cast<element>(own[1])};
    memory<D>::copy_from_host(step_values_.mutable_data(), values, sizeof values);
    const Tensor<element, D>* const given[2] = {&control.proceed, &control.gradient_factor};
    for (int i = 0; i < 2; ++i)
      if (given[i]->defined())
        kernels<D>::copy(queue<D>::current(), {1}, {1}, given[i]->data(), {1}, step_values_.mutable_data() + 1 + i);
    std::vector<TrainedParameter<T>> parameters;
    for (Slot& slot : slots_) {
      const auto g = gradient(slot.weight);
      if (!g.defined()) continue;
      TrainedParameter<T> parameter{g.count(), slot.group, g.data()};
      parameter.first = slot.state[0].mutable_data();
      if constexpr (N > 1) parameter.second = slot.state[1].mutable_data();
      parameter.master = slot.master.mutable_data();
      parameter.weight = slot.weight.mutable_data();
      parameters.push_back(parameter);
    }
    update(static_cast<std::int64_t>(parameters.size()), step_values_.data(), parameters.data());
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
