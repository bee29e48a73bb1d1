// SPDX-License-Identifier: MIT
// The passes of a training step, which are recorded in a graph where the device has graphs.
// B batch, T sequence.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <plinth/layers/dropout.hpp>
#include <plinth/tensor/replay.hpp>
#include <plinth/train/token_windows.hpp>

namespace plinth::detail {

/// What forward and backward passes read, at addresses that stay, and what they gave: the loss and the gradients.
template <class M>
class RecordedStep {
  using T = typename M::element;
  using D = typename M::device;
  using Scalar = Tensor<accumulator_t<T>, D>;

 public:
  /// Of so many micro-steps.
  RecordedStep(std::uint64_t seed, std::int64_t micro_steps) : batches_(static_cast<std::size_t>(micro_steps)) {
    for (std::int64_t micro = 0; micro < micro_steps; ++micro) {
      const TrainingScope<D> scope(seed, 0, micro);
      keys_.push_back(scope.key());
      keys_.back().clock = keys_.front().clock;
    }
  }

  /// Of a micro-step: what it is computed from, and the scope in which.
  /// @{
  const Batch<D>& batch(std::int64_t micro) const { return batches_[static_cast<std::size_t>(micro)]; }
  TrainingScope<D> scope(std::int64_t micro) const { return TrainingScope<D>(keys_[static_cast<std::size_t>(micro)]); }
  /// @}

  /// What the loss is multiplied by in half precision, at an address that stays.
  /// @{
  const Scalar& factor() const { return factor_; }
  void set_factor(const Scalar& factor) {
    if (!factor_.defined()) factor_ = Scalar(Shape());
    kernels<D>::copy(queue<D>::current(), {1}, {1}, factor.data(), {1}, factor_.mutable_data());
  }
  /// @}

  /// The passes of this step over draw(micro-step), batches in the program's memory: gathers the gradients of a model
  /// that has none, and returns the loss. passes() computes both from batch(micro) within scope(micro).
  template <class Draw, class Passes>
  Scalar run(const M& model, std::int64_t step, const Draw& draw, const Passes& passes) {
    const auto place = static_cast<std::int32_t>(step);
    memory<D>::copy_from_host(keys_.front().clock.mutable_data(), &place, sizeof place);
    for (std::size_t i = 0; i < batches_.size(); ++i) {
      const Batch<Cpu> drawn = draw(static_cast<std::int64_t>(i));
      write(drawn.inputs, batches_[i].inputs);
      write(drawn.targets, batches_[i].targets);
    }
    if (auto now = parts_of(model); now != parts_) {
      gradients_.clear();
      replay_.reset();
      parts_ = std::move(now);
    }
    if (replay_.run([&] { loss_ = passes(); }, [&] { clear_gradients(model); })) {
      if (replay_.recorded()) remember_gradients(model);
    } else {
      for (const auto& [x, dx] : gradients_) node_of(x)->receive(dx);
    }
    return loss_;
  }

 private:
  /// What a recording knows of a part of the model: a change asks for another recording.
  struct Part {
    const void* data;  // of a parameter
    bool wanted;       // its gradient
    double dropped;
    std::uint32_t site;
    bool operator==(const Part&) const = default;
  };

  static std::vector<Part> parts_of(const M& model) {
    std::vector<Part> parts;
    walk("", model, [&](const std::string&, const auto& part) {
      using P = std::remove_cvref_t<decltype(part)>;
      if constexpr (is_tensor<P>)
        parts.push_back({part.data(), static_cast<bool>(wanted_node(part)), 0, 0});
      else if constexpr (std::same_as<P, Dropout>)
        parts.push_back({nullptr, false, part.probability, part.site});
    });
    return parts;
  }

  static void write(const Tensor<std::int32_t, Cpu>& from, Tensor<std::int32_t, D>& to) {
    if (!to.defined()) to = Tensor<std::int32_t, D>(from.shape());
    memory<D>::copy_from_host(to.mutable_data(), from.data(),
                              static_cast<std::size_t>(from.count()) * sizeof(std::int32_t));
  }

  void remember_gradients(const M& model) {
    for_each_distinct_parameter(model, [&](const std::string&, const auto& x) {
      if (auto dx = gradient(x); dx.defined()) gradients_.emplace_back(x, std::move(dx));
    });
  }

  std::vector<typename TrainingScope<D>::Key> keys_;  // of one clock
  std::vector<Batch<D>> batches_;
  std::vector<Part> parts_;
  Replay<D> replay_;
  Scalar loss_, factor_;
  std::vector<std::pair<Tensor<T, D>, Tensor<T, D>>> gradients_;
};

}  // namespace plinth::detail
