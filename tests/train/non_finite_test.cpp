// SPDX-License-Identifier: MIT
// A loss or gradient that is not finite stops the run, is named, and has changed nothing, however late it is looked
// for.
#include <plinth/train/trainer.hpp>

#include <limits>
#include <string>
#include <vector>

#include <plinth/ops/reduction.hpp>
#include <plinth/train/sgd.hpp>

#include "catch.hpp"
#include "kernels/plain_backend.hpp"

using namespace plinth;
using Catch::Matchers::Contains;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity(),
                 no_number = std::numeric_limits<double>::quiet_NaN();

template <class D>
struct Two {
  using element = double;
  using device = D;
  Tensor<double, D> first{{2}, {1, 2}}, second{{1}, {3}};

  Two() { set_trainable(*this, true); }
  static void visit(auto& self, auto&& f) {
    f("first", self.first);
    f("second", self.second);
  }
};

template <class M>
std::vector<double> weights(const M& model) {
  auto all = model.first.to_vector();
  all.push_back(model.second.to_vector()[0]);
  return all;
}

/// What is added to the loss, and what a loss of gradient 0 or `slope` in `second` is multiplied with.
struct Fault {
  std::int64_t step = -1, micro_step = 0;
  double offset = 0, slope = 1;
};

/// A loss that falls, but for the fault.
template <class D>
auto loss_of(const Two<D>& model, const Fault& fault) {
  return [&model, &fault](const MicroStep& at) {
    const bool bad = at.step == fault.step && at.micro_step == fault.micro_step;
    const Tensor<double, D> slope({1}, {bad ? fault.slope : 1}), offset(Shape(), {bad ? fault.offset : 0});
    return sum(model.first * model.first) + sum(model.second * slope) + offset;
  };
}

/// Trains with a fault, looking every so many steps, and checks what is left; then goes on without it to the end.
template <class D>
void stops(const Fault& fault, const std::string& text, std::int64_t report_every) {
  const TrainerOptions options = {
      .steps = 9, .accumulation = 2, .learning_rate = 0.1, .clip_norm = 1e300, .report_every = report_every};
  INFO(text << ", looked for every " << report_every << " steps");
  Two<D> model, good;
  Trainer trainer(model, options), undisturbed(good, options);
  const Fault none;
  std::vector<double> before;
  undisturbed.fit(loss_of(good, none), [&](const TrainingStep& report) {
    if (report.step < fault.step) before = weights(good);
  });
  Fault now = fault;
  std::int64_t reports = 0;
  const auto run = [&] { trainer.fit(loss_of(model, now), [&](const TrainingStep&) { ++reports; }); };
  CHECK_THROWS_WITH(run(), Contains("step " + std::to_string(fault.step) + ": " + text));
  CHECK(reports == fault.step / report_every);
  if (report_every == 1 && fault.step > 0) CHECK(weights(model) == before);
  CHECK(trainer.state().next_step == fault.step);
  CHECK(trainer.optimizer().steps() == fault.step);
  CHECK_FALSE(gradient(model.first).defined());
  CHECK_THROWS_AS(run(), NonFiniteError);  // it is still there
  now = none;
  run();
  CHECK(weights(model) == weights(good));
}

}  // namespace

TEST_CASE("a loss or gradient that is not finite stops the run and is named") {
  for (const std::int64_t every : {1, 2, 4, 100}) {
    stops<Cpu>({.step = 3, .micro_step = 1, .offset = no_number}, "the loss is nan", every);
    stops<Cpu>({.step = 4, .offset = -infinity}, "the loss is -inf", every);
    stops<Cpu>({.step = 8, .offset = infinity}, "the loss is inf", every);
    stops<Cpu>({.step = 5, .offset = -infinity, .slope = infinity}, "the loss is nan", every);
    stops<Cpu>({.step = 0, .slope = 1e200}, "the norm of all gradients is not finite", every);
    stops<Plain>({.step = 6, .offset = infinity}, "the loss is inf", every);
  }
}

TEST_CASE("an exception between two looks leaves no step counted that changed nothing") {
  struct Interrupted {};
  const TrainerOptions options = {.steps = 9, .learning_rate = 0.1, .report_every = 100};
  for (const std::int64_t bad : {3, 5, -1}) {
    INFO("a loss that is no number in step " << bad << ", an exception in step 5");
    Two<Cpu> model, good;
    Trainer trainer(model, options), undisturbed(good, options);
    Fault now{.step = bad, .offset = no_number};
    const auto run = [&](std::int64_t interruption) {
      const auto loss = loss_of(model, now);
      trainer.fit([&](const MicroStep& at) {
        if (at.step == interruption) throw Interrupted();
        return loss(at);
      });
    };
    CHECK_THROWS_AS(run(5), Interrupted);
    const std::int64_t counted = bad == 3 ? 3 : 5;
    CHECK(trainer.state().next_step == counted);
    CHECK(trainer.optimizer().steps() == counted);
    CHECK_THROWS_AS(run(counted), Interrupted);  // nothing more is taken back
    CHECK(trainer.state().next_step == counted);
    if (bad > 0) CHECK_THROWS_WITH(run(-1), Contains("step " + std::to_string(bad) + ": the loss is nan"));
    now = {};
    run(-1);
    undisturbed.fit(loss_of(good, now));
    CHECK(weights(model) == weights(good));
  }
}

TEST_CASE("the first bad tensor is named") {
  Two<Cpu> model;
  const Tensor<double> good(Shape(), {1});
  CHECK(first_non_finite(model, good) == "the norm of all gradients is not finite");
  const Tensor<double> bad({1}, {infinity});
  backward(sum(model.second * bad));
  CHECK(first_non_finite(model, good) == "the gradient of second is not finite");
  CHECK(first_non_finite(model, bad) == "the loss is inf");
  model.first.mutable_data()[1] = no_number;
  CHECK(first_non_finite(model, bad) == "the parameter first is not finite");
}

TEST_CASE("a gradient that is not finite while the loss is") {
  // d sqrt(x) / dx at 0 is infinite; the loss is 0
  Two<Cpu> model;
  model.second.mutable_data()[0] = 0;
  Trainer trainer(model, {.steps = 2}, Sgd(model), ConstantSchedule{0.1});
  CHECK_THROWS_WITH(trainer.fit([&](const MicroStep&) { return sum(model.first) + sum(sqrt(model.second)); }),
                    Contains("step 0: the gradient of second is not finite"));
  CHECK(weights(model) == std::vector<double>{1, 2, 0});
}
