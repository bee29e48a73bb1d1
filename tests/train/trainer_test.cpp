// SPDX-License-Identifier: MIT
// The Trainer: it learns, is what a loop by hand is, refuses bad options, and threads may train at once.
#include <plinth/train/trainer.hpp>

#include <cmath>
#include <limits>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <plinth/models/decoder.hpp>
#include <plinth/ops/reduction.hpp>
#include <plinth/train/sgd.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"
#include "train/runs.hpp"

using namespace plinth;
using Catch::Matchers::Contains;
using runs::data;
using runs::tiny;
using runs::weights;

namespace {

/// The losses of a training run, and the weights behind them.
std::vector<float> train(const TransformerConfig& model_config, const TrainerOptions& options) {
  Decoder<float> model(model_config);
  std::vector<float> all;
  Trainer trainer(model, options);
  trainer.fit(data(), [&](const TrainingStep& report) { all.push_back(static_cast<float>(report.loss)); });
  const auto w = weights(model);
  all.insert(all.end(), w.begin(), w.end());
  return all;
}

template <class Change>
void refuses(const char* text, Change change) {
  Decoder<float> model(tiny);
  TrainerOptions options;
  change(options);
  CHECK_THROWS_AS(Trainer(model, options), ArgumentError);
  CHECK_THROWS_WITH(Trainer(model, options), Contains(text));
}

/// The options say all that the schedule takes.
template <class Schedule>
constexpr bool made_from_options =
    std::is_constructible_v<Trainer<Decoder<float>, AdamW<float>, Schedule>, Decoder<float>&, const TrainerOptions&>;

static_assert(made_from_options<CosineSchedule> && made_from_options<LinearSchedule>);
static_assert(!made_from_options<StableSchedule> && !made_from_options<ConstantSchedule> &&
              !made_from_options<InverseSquareRootSchedule>);

}  // namespace

TEST_CASE("the trainer reports each step and the loss falls") {
  Decoder<float> model(tiny);
  std::vector<float> losses;
  Trainer trainer(model, {.steps = 120, .batch = 8, .learning_rate = 1e-2, .final_learning_rate = 1e-3, .warmup_steps = 10});
  trainer.fit(data(), [&](const TrainingStep& report) {
    CHECK(report.step == static_cast<std::int64_t>(losses.size()));
    CHECK(report.gradient_norm > 0);
    if (report.step == 0) CHECK(report.learning_rate == Approx(1e-2 / 11));
    if (report.step == 10) CHECK(report.learning_rate == Approx(1e-2));
    losses.push_back(static_cast<float>(report.loss));
  });
  REQUIRE(losses.size() == 120);
  CHECK(losses.front() == Approx(std::log(7.0)).margin(0.05));
  CHECK(losses.back() < 1.2f);
  CHECK_FALSE(gradient(model.input.token_embedding.weight).defined());
}

TEST_CASE("the trainer is the loop by hand") {
  const TrainerOptions options = {.steps = 4, .batch = 3, .context = 6, .accumulation = 2, .learning_rate = 1e-2,
                                  .warmup_steps = 2, .clip_norm = 0.5, .seed = 9};
  Decoder<float> model(tiny);
  std::vector<float> losses;
  AdamW optimizer(model, options.adamw);
  const CosineSchedule rate{1e-2, 0, 2, 4};
  const auto windows = data();
  for (std::int64_t step = 0; step < 4; ++step) {
    float mean = 0;
    for (std::int64_t micro = 0; micro < 2; ++micro) {
      const TrainingScope<Cpu> training(9, step, micro);
      const auto batch = windows.batch(3, 6, 9, step, micro);
      const auto loss = model.loss(batch.inputs, batch.targets) * 0.5;
      backward(loss);
      mean += loss.item();
    }
    losses.push_back(mean);
    clip_gradient_norm(model, 0.5);
    optimizer.step(rate(step));
    clear_gradients(model);
  }
  const auto w = weights(model);
  losses.insert(losses.end(), w.begin(), w.end());
  CHECK(train(tiny, options) == losses);
}

TEST_CASE("accumulated micro-steps are one step of the whole batch") {
  const Decoder<double> model(tiny);
  const auto windows = data();
  std::vector<std::int32_t> inputs, targets;
  for (std::int64_t micro = 0; micro < 4; ++micro) {
    const auto batch = windows.batch(3, 8, 1, 0, micro);
    backward(cross_entropy(model(batch.inputs), batch.targets) * 0.25);
    for (const auto token : batch.inputs.to_vector()) inputs.push_back(token);
    for (const auto token : batch.targets.to_vector()) targets.push_back(token);
  }
  std::vector<double> accumulated, whole;
  const auto gather = [&](std::vector<double>& to) {
    for_each_parameter(model, [&](const std::string&, const Tensor<double>& x) {
      for (const double value : gradient(x).to_vector()) to.push_back(value);
    });
  };
  gather(accumulated);
  clear_gradients(model);
  const Tensor<std::int32_t> all_inputs({12, 8}, inputs), all_targets({12, 8}, targets);
  backward(cross_entropy(model(all_inputs), all_targets));
  gather(whole);
  CHECK(numbers::distance(accumulated, whole) < 1e-12);
}

TEST_CASE("the seed of the trainer decides batches and masks") {
  TrainerOptions options = {.steps = 3, .batch = 2};
  const auto first = train(tiny, options);
  CHECK(train(tiny, options) == first);
  options.seed = 2;
  CHECK(train(tiny, options) != first);
}

TEST_CASE("the trainer refuses options out of range") {
  refuses("steps is 0", [](auto& o) { o.steps = 0; });
  refuses("batch is -1", [](auto& o) { o.batch = -1; });
  refuses("accumulation is 0", [](auto& o) { o.accumulation = 0; });
  refuses("context is -3", [](auto& o) { o.context = -3; });
  refuses("report_every is 0", [](auto& o) { o.report_every = 0; });
  refuses("warmup_steps 1001 is outside [0, steps]", [](auto& o) { o.warmup_steps = 1001; });
  refuses("warmup_steps -1", [](auto& o) { o.warmup_steps = -1; });
  refuses("learning rates -0.1 and 0", [](auto& o) { o.learning_rate = -0.1; });
  refuses("learning rates", [](auto& o) { o.final_learning_rate = std::nan(""); });
  refuses("clip_norm -1 must be finite and not negative; 0: no clipping", [](auto& o) { o.clip_norm = -1; });
  refuses("clip_norm inf must be finite", [](auto& o) { o.clip_norm = std::numeric_limits<double>::infinity(); });
  refuses("clip_norm", [](auto& o) { o.clip_norm = std::nan(""); });
  refuses("adamw: beta2 1 must be in [0, 1)", [](auto& o) { o.adamw.beta2 = 1; });
}

TEST_CASE("a clip_norm of 0 leaves gradients as they are and reports their norm") {
  const auto run = [](double clip_norm) {
    Decoder<float> model(tiny);
    std::vector<float> all;
    // Plain descent: Adam would hide a factor that all gradients have in common.
    Trainer(model, {.steps = 3, .batch = 2, .clip_norm = clip_norm}, Sgd(model), ConstantSchedule{0.1})
        .fit(data(), [&](const TrainingStep& report) { all.push_back(static_cast<float>(report.gradient_norm)); });
    const auto w = weights(model);
    all.insert(all.end(), w.begin(), w.end());
    return all;
  };
  CHECK(run(0).front() > 0.01f);
  CHECK(run(0) == run(1e9));
  CHECK(run(0) != run(0.01));
}

TEST_CASE("data without a window is refused") {
  Decoder<float> model(tiny);
  Trainer trainer(model, {.steps = 1, .batch = 2});
  CHECK_THROWS_AS(trainer.fit(TokenWindows({1, 2, 3})), ArgumentError);
  Trainer longer(model, {.steps = 1, .batch = 2, .context = 9});
  CHECK_THROWS_WITH(longer.fit(data()), Contains("longer than the context of 8"));
  CHECK_THROWS_AS(trainer.fit(TokenWindows(std::vector<std::int32_t>(20, 7))), ArgumentError);  // no such token
}

TEST_CASE("fit goes on where it stopped, and a restored run where another was") {
  const TrainerOptions options = {.steps = 7, .batch = 2, .accumulation = 2, .learning_rate = 1e-2, .warmup_steps = 2};
  const auto whole = train(tiny, options);
  const auto until = [](std::int64_t step) { return [step](const TrainingStep& report) { return report.step + 1 < step; }; };
  Decoder<float> model(tiny), other(tiny);
  Trainer trainer(model, options), later(other, options);
  trainer.fit(data(), until(3));
  CHECK(trainer.state().next_step == 3);
  CHECK(trainer.state().seed == options.seed);
  CHECK(trainer.optimizer().steps() == 3);
  trainer.fit(data(), until(5));

  copy_state(model, other);
  copy_state(trainer.optimizer(), later.optimizer());
  later.optimizer().set_steps(trainer.optimizer().steps());
  later.restore(trainer.state());
  for (Trainer<Decoder<float>>* each : {&trainer, &later}) each->fit(data());
  CHECK(weights(model) == std::vector<float>(whole.begin() + 7, whole.end()));
  CHECK(weights(other) == weights(model));
  trainer.fit(data());  // nothing is left
  CHECK(weights(other) == weights(model));
  CHECK_THROWS_WITH(later.restore({.next_step = 8, .seed = 1}), "trainer: the run was at step 8, outside [0, 7]");
  CHECK_THROWS_WITH(later.restore({.next_step = 3, .seed = 2}), "trainer: the run had seed 2, not 1");
}

TEST_CASE("any loss, optimiser and schedule") {
  const TrainerOptions options = {.steps = 3, .batch = 2, .accumulation = 2, .clip_norm = 1e9, .seed = 5};
  Decoder<float> model(tiny), by_hand(tiny);
  Trainer trainer(model, options, Sgd(model, {.momentum = 0.9}), [](std::int64_t step) { return 0.1 * static_cast<double>(step); });
  const auto loss = [](const Decoder<float>& of, std::uint64_t seed, std::int64_t step, std::int64_t micro) {
    const auto tokens = data().batch(4, 8, seed, step, micro).inputs;
    return cross_entropy(of(tokens), tokens);
  };
  std::vector<double> rates;
  trainer.fit([&](const MicroStep& at) { return loss(model, at.seed, at.step, at.micro_step); },
              [&](const TrainingStep& report) { rates.push_back(report.learning_rate); });
  CHECK(rates == std::vector<double>{0, 0.1, 0.2});
  Sgd optimizer(by_hand, {.momentum = 0.9});
  for (std::int64_t step = 0; step < 3; ++step) {
    for (std::int64_t micro = 0; micro < 2; ++micro) {
      const TrainingScope<Cpu> training(5, step, micro);
      backward(loss(by_hand, 5, step, micro) * 0.5);
    }
    clip_gradient_norm(by_hand, 1e9);
    optimizer.step(rates[static_cast<std::size_t>(step)]);
    clear_gradients(by_hand);
  }
  CHECK(weights(model) == weights(by_hand));
}

TEST_CASE("two threads train two models at once") {
  const TrainerOptions options = {.steps = 10, .batch = 2, .learning_rate = 1e-2};
  auto other = tiny;
  other.seed = 5;
  const auto first = train(tiny, options), second = train(other, options);
  std::vector<float> results[2];
  std::thread one([&] { results[0] = train(tiny, options); }), two([&] { results[1] = train(other, options); });
  one.join();
  two.join();
  CHECK(results[0] == first);
  CHECK(results[1] == second);
}
