// SPDX-License-Identifier: MIT
// The training loop as a convenience: everything it does is a public call.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>

#include <plinth/ops/cross_entropy.hpp>
#include <plinth/ops/pointwise.hpp>
#include <plinth/train/adamw.hpp>
#include <plinth/train/clip.hpp>
#include <plinth/train/schedule.hpp>
#include <plinth/train/token_windows.hpp>

namespace plinth {

/// How to train. `batch` windows of `context` tokens make a micro-step; `accumulation` micro-steps make a step.
struct TrainerOptions {
  std::int64_t steps = 1000, batch = 16, context = 0;  // context 0: the model's
  std::int64_t accumulation = 1;
  double learning_rate = 1e-3, final_learning_rate = 0;
  std::int64_t warmup_steps = 0;
  AdamWSettings adamw = {.beta1 = 0.9, .beta2 = 0.99, .epsilon = 1e-8, .weight_decay = 0.1};
  double clip_norm = 1.0;
  std::uint64_t seed = 1;
};

/// What an observer learns after each step. Reading loss or gradient_norm (both of rank 0) waits for the device.
template <class M>
struct TrainingStep {
  using Scalar = Tensor<accumulator_t<typename M::element>, typename M::device>;
  std::int64_t step = 0;  // counted from 0
  double learning_rate = 0;
  Scalar loss;           // of the last micro-step
  Scalar gradient_norm;  // before clipping
};

/// Trains a language model, whose parameters it shares.
template <Module M>
class Trainer {
 public:
  /// Throws ArgumentError for options out of range.
  Trainer(M& model, const TrainerOptions& options) : model_(model), options_(options), optimizer_(model, options.adamw) {
    if (options_.context == 0) options_.context = model.config.context;
    const auto positive = [](const char* option, std::int64_t value) {
      detail::require<ArgumentError>(value > 0, "trainer: ", option, " is ", value, ", must be positive");
    };
    positive("steps", options.steps);
    positive("batch", options.batch);
    positive("accumulation", options.accumulation);
    positive("context", options_.context);
    detail::require<ArgumentError>(options_.context <= model.config.context, "trainer: context ", options_.context,
                                   " is longer than the model's, ", model.config.context);
    detail::require<ArgumentError>(options.learning_rate >= 0 && options.final_learning_rate >= 0,
                                   "trainer: learning rates ", options.learning_rate, " and ",
                                   options.final_learning_rate, " must not be negative");
    detail::require<ArgumentError>(options.clip_norm > 0, "trainer: clip_norm ", options.clip_norm, " is not positive");
    detail::require<ArgumentError>(options.warmup_steps >= 0 && options.warmup_steps <= options.steps,
                                   "trainer: warmup_steps ", options.warmup_steps, " is outside [0, steps]");
  }

  /// Runs all steps; observer(const TrainingStep<M>&) is called after each one and may return false to stop.
  /// Throws GradientError naming the parameters that the first backward did not reach.
  template <class Observer>
  void fit(const TokenWindows& data, Observer&& observer) {
    using D = typename M::device;
    const CosineSchedule rate{options_.learning_rate, options_.final_learning_rate, options_.warmup_steps, options_.steps};
    for (std::int64_t step = 0; step < options_.steps; ++step) {
      TrainingStep<M> report{step, rate(step), {}, {}};
      for (std::int64_t micro = 0; micro < options_.accumulation; ++micro) {
        const TrainingScope<D> training(options_.seed, step, micro);
        const auto batch = data.template batch<D>(options_.batch, options_.context, options_.seed, step, micro);
        const auto loss = cross_entropy(model_(batch.inputs), batch.targets);
        backward(loss * (1.0 / static_cast<double>(options_.accumulation)));
        report.loss = detach(loss);
      }
      if (step == 0) require_all_reached();
      report.gradient_norm = clip_gradient_norm(model_, options_.clip_norm);
      optimizer_.step(report.learning_rate);
      clear_gradients(model_);
      if constexpr (std::same_as<decltype(observer(report)), bool>) {
        if (!observer(report)) return;
      } else {
        observer(report);
      }
    }
  }
  void fit(const TokenWindows& data) {
    fit(data, [](const TrainingStep<M>&) {});
  }

 private:
  void require_all_reached() const {
    std::string names;
    for (const std::string& name : unreached(model_)) names += (names.empty() ? "" : ", ") + name;
    detail::require<GradientError>(names.empty(), "trainer: no gradient reached ", names);
  }

  M& model_;
  TrainerOptions options_;
  AdamW<typename M::element, typename M::device> optimizer_;
};

}  // namespace plinth
