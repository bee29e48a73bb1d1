// SPDX-License-Identifier: MIT
// The training loop as a convenience: everything it does is a public call, but for recording passes on CUDA.
#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>
#include <string>
#include <utility>

#include <plinth/layers/dropout.hpp>
#include <plinth/models/language_model.hpp>
#include <plinth/ops/arithmetic.hpp>
#include <plinth/train/adam.hpp>
#include <plinth/train/clip.hpp>
#include <plinth/train/loss_scale.hpp>
#include <plinth/train/non_finite.hpp>
#include <plinth/train/recorded_step.hpp>
#include <plinth/train/schedule.hpp>
#include <plinth/train/token_windows.hpp>

namespace plinth {

/// How to train. `accumulation` micro-steps make a step, and each one's loss weighs the same in the step's mean,
/// whatever number of tokens it is a mean over; of a language model, `batch` windows of `context` tokens make a
/// micro-step. The learning rates, warmup_steps and adamw are those of the default schedule and optimiser.
struct TrainerOptions {
  std::int64_t steps = 1000,      ///< updates of the weights
      batch = 16,                 ///< windows of a micro-step
      context = 0;                ///< tokens of a window; 0: the model's config.context
  std::int64_t accumulation = 1;  ///< micro-steps of a step
  double learning_rate = 1e-3,    ///< at the peak
      final_learning_rate = 0;    ///< behind the last step
  std::int64_t warmup_steps = 0;  ///< before the peak
  AdamSettings adamw = {.beta1 = 0.9, .beta2 = 0.99, .epsilon = 1e-8, .weight_decay = 0.1};  ///< of AdamW
  double clip_norm = 1.0;         ///< the most that the 2-norm of all gradients may be; 0: no limit
  std::uint64_t seed = 1;         ///< of batches and dropout masks
  std::int64_t report_every = 1;  ///< steps from one wait for the device to the next
};

/// One forward and backward pass of a step. Whoever draws a batch as a function of these three draws the same one when
/// the step is run again.
struct MicroStep {
  std::uint64_t seed = 0;  ///< of the run
  std::int64_t step = 0,   ///< counted from 0
      micro_step = 0;      ///< of the step, counted from 0
};

/// What an observer learns of a step.
struct TrainingStep {
  std::int64_t step = 0;     ///< counted from 0
  double learning_rate = 0;  ///< of this step
  double loss = 0;           ///< mean over the micro-steps
  double gradient_norm = 0;  ///< before clipping; not finite in half precision where a step was left out
};

namespace detail {

struct Unobserved {
  void operator()(const TrainingStep&) const {}
};

}  // namespace detail

/// Where a run is. Batches and dropout masks are functions of (seed, step, micro-step), so this, the model's parameters
/// and the optimiser (its parameters and steps()) are all that a run needs to go on bit for bit.
struct TrainerState {
  std::int64_t next_step = 0;      ///< as many as were taken
  std::uint64_t seed = 1;          ///< of batches and dropout masks
  LossScaleState loss_scale = {};  ///< of a model in half precision
};

/// Trains a model, whose parameters it shares: a language model over TokenWindows, or whatever a loss is computed from.
/// In 16 bits parameters are rounded copies of masters in float, which the optimiser keeps. In half precision the loss
/// is scaled (LossScale): a step whose gradients are not finite is left out, and the next ones are scaled less.
template <Module M, class Optimizer = AdamW<typename M::element, typename M::device>, class Schedule = CosineSchedule>
class Trainer {
  using T = typename M::element;
  using D = typename M::device;
  using Scalar = Tensor<accumulator_t<T>, D>;  // of rank 0
  static constexpr bool scales_loss = std::same_as<T, half>;

 public:
  /// With AdamW and a cosine with warm-up, or a LinearSchedule. Throws ArgumentError for options out of range.
  Trainer(M& model, const TrainerOptions& options)
    requires std::same_as<Schedule, CosineSchedule> || std::same_as<Schedule, LinearSchedule>
      : Trainer(model, options, Optimizer(model, options.adamw),
                Schedule{options.learning_rate, options.final_learning_rate, options.warmup_steps, options.steps}) {
    detail::require<ArgumentError>(options.learning_rate >= 0 && options.final_learning_rate >= 0,
                                   "trainer: learning rates ", options.learning_rate, " and ",
                                   options.final_learning_rate, " must not be negative");
    detail::require<ArgumentError>(options.warmup_steps >= 0 && options.warmup_steps <= options.steps,
                                   "trainer: warmup_steps ", options.warmup_steps, " is outside [0, steps]");
  }

  /// With any optimiser over the model's parameters, which has steps(), set_steps(n) and step(rate, StepControl), and
  /// any schedule: a callable from the step, 0 first, to its rate. The dropouts of the model get the sites of their
  /// dotted names. Throws ArgumentError for options out of range.
  Trainer(M& model, const TrainerOptions& options, Optimizer optimizer, Schedule schedule)
      : model_(model), options_(options), optimizer_(std::move(optimizer)), schedule_(std::move(schedule)) {
    const auto positive = [](const char* option, std::int64_t value) {
      detail::require<ArgumentError>(value > 0, "trainer: ", option, " is ", value, ", must be positive");
    };
    positive("steps", options.steps);
    positive("batch", options.batch);
    positive("accumulation", options.accumulation);
    positive("report_every", options.report_every);
    detail::require<ArgumentError>(options.context >= 0, "trainer: context is ", options.context,
                                   ", must not be negative");
    detail::require<ArgumentError>(options.clip_norm >= 0 && std::isfinite(options.clip_norm), "trainer: clip_norm ",
                                   options.clip_norm, " must be finite and not negative; 0: no clipping");
    name_dropout_sites(model);
  }

  /// Trains a language model: loss(at) is model.loss(inputs, targets) of a batch of windows. On CUDA the passes of the
  /// second step are recorded in a graph (graph<Cuda>), which later steps replay, and recorded anew when a parameter, its
  /// need of a gradient or a dropout of the model has changed; not where model.loss copies between the program and the
  /// device. So model.loss is called twice, and what it takes from the program's memory besides the batch (a factor of
  /// the loss, say) stays as it was: give fit(loss) a loss that changes, which is called each time. The recording keeps
  /// the memory of the passes, which micro-steps share, until fit returns. The update's few kernels are not recorded.
  template <class Observer = detail::Unobserved>
  void fit(const TokenWindows& data, Observer&& observer = {}) {
    static_assert(LanguageModel<M>, "a language model has loss(tokens, targets), such as: "
                                    "return cross_entropy((*this)(tokens), targets);");
    const auto loss = [&](const MicroStep& at) { return loss_of(windows<D>(data, at)); };
    if constexpr (detail::Recordable<D>) {
      detail::RecordedStep<M> recorded(options_.seed, options_.accumulation);
      train([&] { return backward_of_step(recorded, data); }, loss, observer);
    } else {
      fit(loss, observer);
    }
  }

  /// Runs the steps that are left, each of the mean of loss(const MicroStep&) over its micro-steps. Every
  /// `report_every` steps, and after the last, it waits for the device, and observer(const TrainingStep&) is called,
  /// which may return false to stop; a later fit goes on from there. No other step waits.
  /// Throws GradientError naming the parameters that the first backward did not reach, and NonFiniteError naming the
  /// first tensor that is infinite or no number. The weights are then those before the step in which it arose, which is
  /// the next: steps after it, up to the one that looked, changed nothing on the device. Where anything else is thrown,
  /// by the loss too, such steps are taken back as well: state() and the optimiser's steps() are always of the weights.
  template <class Loss, class Observer = detail::Unobserved>
    requires std::invocable<Loss&, const MicroStep&>
  void fit(Loss&& loss, Observer&& observer = {}) {
    train([&] { return backward_of_step(loss); }, loss, observer);
  }

  /// Where the run is: what restore takes.
  TrainerState state() const {
    return {next_step_, options_.seed, scales_loss ? loss_scale_.state() : LossScaleState()};
  }
  /// Goes on from where another run was, whose parameters and optimiser were loaded into these.
  /// Throws ArgumentError when it had another seed or was further than `steps`.
  void restore(const TrainerState& state) {
    detail::require<ArgumentError>(state.seed == options_.seed, "trainer: the run had seed ", state.seed, ", not ",
                                   options_.seed);
    detail::require<ArgumentError>(state.next_step >= 0 && state.next_step <= options_.steps,
                                   "trainer: the run was at step ", state.next_step, ", outside [0, ", options_.steps,
                                   "]");
    next_step_ = state.next_step;
    loss_scale_ = LossScale<accumulator_t<T>, D>(state.loss_scale);
    watch_ = {};
  }
  /// The optimiser, to set groups and to save or load its state.
  /// @{
  Optimizer& optimizer() { return optimizer_; }
  const Optimizer& optimizer() const { return optimizer_; }
  /// @}

 private:
  /// Runs the steps that are left; passes() is backward_of_step of the next one.
  template <class Passes, class Loss, class Observer>
  void train(const Passes& passes, Loss& loss, Observer& observer) {
    try {
      run(passes, loss, observer);
    } catch (...) {
      try {
        take_back(watch_.look());  // the loss may throw between two looks
      } catch (const DeviceError&) {  // the device answers no more: what came first is the news
      }
      throw;
    }
  }

  template <class Passes, class Loss, class Observer>
  void run(const Passes& passes, Loss& loss, Observer& observer) {
    for (bool first = true; next_step_ < options_.steps; first = false) {
      clear_gradients(model_);  // an observer may have left some
      TrainingStep report = {next_step_, schedule_(next_step_), 0, 0};
      const Scalar mean = passes();
      if (first) require_all_reached();
      const Scalar norm = take_step(report.learning_rate, mean);
      ++next_step_;
      clear_gradients(model_);  // whose memory an observer may want
      if (next_step_ % options_.report_every != 0 && next_step_ != options_.steps) continue;
      if (const std::int64_t undone = watch_.look(mean, norm, report.loss, report.gradient_norm)) {
        take_back(undone);
        explain(loss);
      }
      if constexpr (std::same_as<decltype(observer(report)), bool>) {
        if (!observer(report)) return;
      } else {
        observer(report);
      }
    }
  }

  auto loss_of(const Batch<D>& batch) const { return model_.loss(batch.inputs, batch.targets); }
  template <class To>
  Batch<To> windows(const TokenWindows& data, const MicroStep& at) const {
    const std::int64_t context = detail::training_context(model_, options_.context);
    return data.template batch<To>(options_.batch, context, at.seed, at.step, at.micro_step);
  }

  /// Gathers the gradients of the next step and returns its loss.
  template <class Loss>
  Scalar backward_of_step(Loss& loss) {
    const auto scope = [&](std::int64_t micro) { return TrainingScope<D>(options_.seed, next_step_, micro); };
    return backward_of_step(loss, scope, loss_scale_.factor());
  }
  /// The same of a language model, by a replay where that is possible.
  Scalar backward_of_step(detail::RecordedStep<M>& recorded, const TokenWindows& data) {
    const auto draw = [&](std::int64_t micro) { return windows<Cpu>(data, {options_.seed, next_step_, micro}); };
    const auto loss = [&](const MicroStep& at) { return loss_of(recorded.batch(at.micro_step)); };
    const auto scope = [&](std::int64_t micro) { return recorded.scope(micro); };
    if constexpr (scales_loss) recorded.set_factor(loss_scale_.factor());
    return recorded.run(model_, next_step_, draw, [&] { return backward_of_step(loss, scope, recorded.factor()); });
  }
  /// Gathers the gradients of loss(micro-step), each within scope(number of the micro-step), and returns their mean.
  template <class Loss, class Scope>
  Scalar backward_of_step(Loss& loss, const Scope& scope, const Scalar& factor) {
    Scalar mean;
    for (std::int64_t micro = 0; micro < options_.accumulation; ++micro) {
      const TrainingScope<D> training = scope(micro);
      const auto part =
          loss(MicroStep{options_.seed, next_step_, micro}) * (1.0 / static_cast<double>(options_.accumulation));
      if constexpr (scales_loss)
        backward(part * factor);
      else
        backward(part);
      mean = mean.defined() ? mean + detach(part) : detach(part);
    }
    return mean;
  }

  /// One update from the gathered gradients; returns their norm.
  Scalar take_step(double rate, const Scalar& mean) {
    Scalar norm = gradient_norm(model_);
    if constexpr (scales_loss) norm = norm / loss_scale_.factor();
    Scalar factor = options_.clip_norm > 0 ? clip_factor(norm, options_.clip_norm) : Scalar();
    if constexpr (scales_loss) {
      const Scalar unscaled = full<accumulator_t<T>, D>(Shape(), 1) / loss_scale_.factor(), fits = is_finite(norm);
      factor = factor.defined() ? factor * unscaled : unscaled;
      watch_.follow(mean + loss_scale_.broken(), [&](const Scalar& good) {
        auto followed = loss_scale_;
        followed.follow(fits, good);
        optimizer_.step(rate, StepControl<accumulator_t<T>, D>{good * fits, factor});
        loss_scale_ = std::move(followed);  // with the step, or not at all
      });
    } else {
      watch_.follow(mean + norm, [&](const Scalar& finite) {
        optimizer_.step(rate, StepControl<accumulator_t<T>, D>{finite, factor});
      });
    }
    return norm;
  }

  /// Takes back the last steps, which changed nothing.
  void take_back(std::int64_t undone) {
    next_step_ -= undone;
    optimizer_.set_steps(optimizer_.steps() - undone);
  }

  /// Runs the next step, of which the watch knows that it changes nothing, to see what goes wrong, and throws.
  template <class Loss>
  [[noreturn]] void explain(Loss& loss) {
    const Scalar mean = backward_of_step(loss);
    const std::string what = first_non_finite(model_, mean);
    clear_gradients(model_);
    if constexpr (scales_loss)
      if (std::isnan(loss_scale_.broken().item())) loss_scale_ = LossScale<accumulator_t<T>, D>();
    detail::fail<NonFiniteError>("trainer: step ", next_step_, ": ", what, "; the weights are those before this step: ",
                                 "lower the learning rate or look at the data");
  }

  void require_all_reached() const {
    std::string names;
    for (const std::string& name : unreached(model_)) names += (names.empty() ? "" : ", ") + name;
    detail::require<GradientError>(names.empty(), "trainer: no gradient reached ", names);
  }

  M& model_;
  TrainerOptions options_;
  Optimizer optimizer_;
  Schedule schedule_;
  NonFiniteWatch<accumulator_t<T>, D> watch_;
  LossScale<accumulator_t<T>, D> loss_scale_;
  std::int64_t next_step_ = 0;
};

}  // namespace plinth
