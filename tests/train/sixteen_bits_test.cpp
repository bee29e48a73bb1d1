// SPDX-License-Identifier: MIT
// Training in 16 bits: masters in float, the rule of the loss scale, steps that are left out, and how close it all comes
// to float.
#include <plinth/train/loss_scale.hpp>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <plinth/models/decoder.hpp>
#include <plinth/ops/reduction.hpp>
#include <plinth/train/sgd.hpp>
#include <plinth/train/trainer.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"

using namespace plinth;
using Catch::Matchers::Contains;

namespace {

constexpr AdamSettings adam = {.beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .weight_decay = 0.1};
constexpr double infinity = std::numeric_limits<double>::infinity();

const TransformerConfig tiny = {.vocabulary = 7, .context = 8, .hidden = 16, .layers = 1, .heads = 2};

TokenWindows data() {
  std::vector<std::int32_t> tokens;
  for (std::int32_t i = 0; i < 600; ++i) tokens.push_back(i * i % 7);
  return TokenWindows(tokens);
}

/// Every byte of all parameters.
template <class M>
std::string bytes(const M& model) {
  std::string all;
  for_each_parameter(model, [&](const std::string&, const auto& x) {
    const auto values = x.to_vector();
    all.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof values[0]);
  });
  return all;
}

/// One number, whose loss has a slope that a test chooses.
struct Slope {
  using element = half;
  using device = Cpu;
  Tensor<half> w{{1}, {half(0.0f)}};

  Slope() { require_gradient(w); }
  static void visit(auto& self, auto&& f) { f("w", self.w); }
};

/// A matrix, which decays, and a bias.
template <class T>
struct Pair {
  using element = T;
  using device = Cpu;
  Tensor<T> matrix{{2, 2}, {T(1.0f), T(-2.0f), T(0.5f), T(3.0f)}};
  Tensor<T> bias{{2}, {T(1.0f), T(-1.0f)}};

  Pair() { set_trainable(*this, true); }
  static void visit(auto& self, auto&& f) {
    f("matrix", self.matrix);
    f("bias", self.bias);
  }
};

}  // namespace

TEST_CASE("parameters of 16 bits are rounded copies of masters in float") {
  const auto check = []<class T>(T) {
    Pair<T> narrow;
    Pair<float> wide;
    AdamW of_narrow(narrow, adam);
    AdamW of_wide(wide, adam);
    for (int step = 1; step <= 300; ++step) {  // each too small to be seen in 16 bits
      for (auto* x : {&narrow.matrix, &narrow.bias}) backward(sum(*x));
      for (auto* x : {&wide.matrix, &wide.bias}) backward(sum(*x));
      of_narrow.step(1e-4);
      of_wide.step(1e-4);
      clear_gradients(narrow);
      clear_gradients(wide);
    }
    for_each_parameter(wide, [&](const std::string& name, const auto& trained) {
      std::vector<float> masters;
      for_each_parameter(of_narrow, [&](const std::string& state, const auto& master) {
        if (state == name + ".master") masters = master.to_vector();
      });
      REQUIRE(masters.size() == trained.to_vector().size());
      for (std::size_t i = 0; i < masters.size(); ++i)  // compilers may fuse other operations in the two
        CHECK(masters[i] == Approx(trained.to_vector()[i]).epsilon(300 * 0x1p-24));
      for_each_parameter(narrow, [&](const std::string& other, const auto& x) {
        if (other != name) return;
        for (std::size_t i = 0; i < masters.size(); ++i) CHECK(x.to_vector()[i].bits == T(masters[i]).bits);
      });
    });
    CHECK(parameter_count(of_narrow) == 18);
  };
  check(bfloat16());
  check(half());
}

TEST_CASE("a weight of 16 bits that somebody writes counts more than its master") {
  Pair<bfloat16> model;
  Sgd optimizer(model);
  backward(sum(model.bias));
  optimizer.step(0.25);
  CHECK(model.bias.to_vector()[0] == 0.75f);
  model.bias.mutable_data()[0] = bfloat16(5.0f);
  optimizer.step(0.25);
  CHECK(model.bias.to_vector()[0] == 4.75f);
  CHECK(model.bias.to_vector()[1] == -1.5f);
}

TEST_CASE("the loss scale follows PyTorch's rule") {
  double factor = 65536;  // GradScaler: init_scale 2^16, growth 2 after 2000, backoff 0.5
  std::int64_t steps = 0;
  std::mt19937 random(1);
  LossScale<float, Cpu> scale;
  const Tensor<float> yes(Shape(), {1.0f}), no(Shape(), {0.0f});
  for (int step = 0; step < 30000; ++step) {
    const bool finite = random() % (step < 15000 ? 5000 : 1500) != 0;
    scale.follow(Tensor<float>(Shape(), {finite ? 1.0f : 0.0f}), yes);
    scale.follow(Tensor<float>(Shape(), {step % 2 ? 1.0f : 0.0f}), no);
    steps = finite ? steps + 1 : 0;
    if (!finite) factor *= 0.5;
    if (steps == 2000) factor *= 2, steps = 0;
    REQUIRE(scale.state().factor == factor);
    REQUIRE(scale.state().finite_steps == steps);
  }
  CHECK(factor != 65536);
  LossScale<float, Cpu> small({0x1p-19, 3});
  CHECK(small.broken().item() == 0);
  for (int i = 0; i < 2; ++i) small.follow(no, yes);
  CHECK(std::isnan(small.broken().item()));
  for (int i = 0; i < 300; ++i) small.follow(no, yes);
  CHECK(small.state().factor == 0x1p-21);
  LossScale<float, Cpu> large({0x1p60, 1999});
  large.follow(yes, yes);
  CHECK(large.state().factor == 0x1p60);
}

TEST_CASE("a step whose gradients are not finite leaves weights, masters and moments as they were") {
  Decoder<half> model(tiny);
  AdamW optimizer(model);
  const auto windows = data();
  std::mt19937 random(2);
  const auto norm_after_backward = [&](std::int64_t step) {
    clear_gradients(model);
    const auto batch = windows.batch(2, 8, 1, step);
    backward(model.loss(batch.inputs, batch.targets) * 128.0);
    return gradient_norm(model);
  };
  optimizer.step(1e-3, {.proceed = is_finite(norm_after_backward(0))});
  const std::string weights = bytes(model), state = bytes(optimizer);
  std::vector<Tensor<half>> parameters;
  for_each_parameter(model, [&](const std::string&, const auto& x) { parameters.push_back(x); });
  for (std::int64_t injected = 0; injected < 1000; ++injected) {
    norm_after_backward(injected);
    auto g = gradient(parameters[random() % parameters.size()]);
    const float wrong[] = {INFINITY, -INFINITY, NAN};
    g.mutable_data()[random() % static_cast<std::uint32_t>(g.count())] = half(wrong[injected % 3]);
    const auto norm = gradient_norm(model);
    optimizer.step(1e-3, {.proceed = is_finite(norm), .gradient_factor = clip_factor(norm, 1)});
    REQUIRE(bytes(model) == weights);
    REQUIRE(bytes(optimizer) == state);
  }
  optimizer.step(1e-3, {.proceed = is_finite(norm_after_backward(0))});
  CHECK(bytes(model) != weights);
}

TEST_CASE("gradients that half cannot hold are scaled until they fit") {
  Slope model;
  Trainer trainer(model, {.steps = 9, .clip_norm = 0}, Sgd(model), [](std::int64_t) { return 0.5; });
  std::vector<double> norms, weights;
  trainer.fit([&](const MicroStep&) { return sum(cast<float>(model.w)) * 4.0; },
              [&](const TrainingStep& step) {
                norms.push_back(step.gradient_norm);
                weights.push_back(static_cast<double>(static_cast<float>(model.w.to_vector()[0])));
              });
  // 4 times 2^16, 2^15 and 2^14 is more than 65504.
  CHECK(norms == std::vector<double>{infinity, infinity, infinity, 4, 4, 4, 4, 4, 4});
  CHECK(weights == std::vector<double>{0, 0, 0, -2, -4, -6, -8, -10, -12});
  CHECK(trainer.state().loss_scale.factor == 0x1p13);
  CHECK(trainer.state().loss_scale.finite_steps == 6);
}

TEST_CASE("a step that the optimiser or the loss scale has no memory for is none") {
  const bool fits = GENERATE(true, false);
  const double slope = fits ? 0.25 : 4;  // times the scale of 2^16: 2^14, or 2^18, which half does not hold
  const auto loss = [&](const auto& model) { return sum(cast<float>(model.w)) * slope; };
  std::int64_t k = 0;
  for (bool failed = true; failed; ++k) {
    Slope model;
    Trainer trainer(model, {.steps = 1, .clip_norm = 0}, Sgd(model), [](std::int64_t) { return 0.5; });
    memory<Cpu>::fail_after(k);
    try {
      trainer.fit([&](const MicroStep&) { return loss(model); });
      failed = false;
    } catch (const MemoryError&) {
    }
    memory<Cpu>::fail_after(-1);
    INFO("allocation " << k);
    const TrainerState state = trainer.state();
    CHECK(state.next_step == (failed ? 0 : 1));
    CHECK(trainer.optimizer().steps() == state.next_step);
    CHECK(state.loss_scale.factor == (failed || fits ? 65536 : 32768));
    CHECK(state.loss_scale.finite_steps == (failed || !fits ? 0 : 1));
    CHECK(static_cast<float>(model.w.to_vector()[0]) == (failed || !fits ? 0.0f : -0.125f));
  }
  CHECK(k > 20);
}

TEST_CASE("gradients that no scale makes finite stop the run and are named") {
  Slope model;
  Trainer trainer(model, {.steps = 100});
  const auto loss = [&](const MicroStep&) {
    return sum(cast<float>(model.w)) * 1e30 * 1e30 - sum(cast<float>(model.w)) * 1e30 * 1e30;
  };
  CHECK_THROWS_AS(trainer.fit(loss), NonFiniteError);
  CHECK_THROWS_WITH(trainer.fit(loss), Contains("the gradient of w is not finite"));
  CHECK(model.w.to_vector()[0].bits == 0);
}

TEST_CASE("the gradient of a language model's last layer is summed over its rows in float") {
  const auto check = []<class T>(T, double tolerance) {
    constexpr std::int64_t rows = 9 * 512, C = 2;  // rows h of 32: in half their sum alone would be infinite
    auto x = full<T>({rows, C}, T(32.0f));
    auto weight = zeros<T>({3, C});
    require_gradient(weight);
    backward(linear_cross_entropy(x, weight, full<std::int32_t>({rows}, 1)));
    const auto g = gradient(weight).to_vector();  // (softmax - onehot) h of each row, all alike
    const double expected[] = {32.0 / 3, -64.0 / 3, 32.0 / 3};
    for (std::size_t i = 0; i < 6; ++i)
      CHECK(static_cast<double>(static_cast<float>(g[i])) == Approx(expected[i / 2]).epsilon(tolerance));
  };
  check(half(), 1e-3);
  check(bfloat16(), 8e-3);
}

TEST_CASE("a loss that is no number does not move the loss scale") {
  Slope model;
  Trainer trainer(model, {.steps = 300, .report_every = 300}, Sgd(model), [](std::int64_t) { return 0.5; });
  double offset = 0;
  const auto loss = [&](const MicroStep& at) {
    return sum(cast<float>(model.w)) * 0.25 + (at.step == 7 ? offset : 0);
  };
  offset = std::nan("");
  CHECK_THROWS_WITH(trainer.fit(loss), Contains("step 7: the loss is nan"));
  CHECK(trainer.state().next_step == 7);
  CHECK(trainer.state().loss_scale.factor == 65536);
  CHECK(trainer.state().loss_scale.finite_steps == 7);
  offset = 0;
  trainer.fit(loss);
  CHECK(trainer.state().loss_scale.finite_steps == 300);
}

TEST_CASE("a model in 16 bits learns as one in float does") {
  const TrainerOptions options = {.steps = 150, .batch = 8, .learning_rate = 1e-2, .warmup_steps = 10};
  const auto last = [&]<class T>(T) {
    Decoder<T> model(tiny);
    double loss = 0;
    Trainer(model, options).fit(data(), [&](const TrainingStep& step) { loss = 0.9 * loss + 0.1 * step.loss; });
    return loss;
  };
  const double wide = last(0.0f), first = std::log(7.0);
  CHECK(wide < 0.1 * first);
  CHECK(std::abs(last(bfloat16()) - wide) < 0.01 * (first - wide));
  CHECK(std::abs(last(half()) - wide) < 0.01 * (first - wide));
}

TEST_CASE("a run in half precision goes on bit for bit") {
  const TrainerOptions options = {.steps = 12, .batch = 2, .learning_rate = 1e-2};
  const auto train = [&](Decoder<half>& model, auto& trainer, std::int64_t until) {
    trainer.fit(data(), [&](const TrainingStep& step) { return step.step + 1 < until; });
    return bytes(model) + bytes(trainer.optimizer());
  };
  Decoder<half> whole(tiny), first(tiny);
  Trainer uninterrupted(whole, options), begun(first, options);
  const std::string expected = train(whole, uninterrupted, 12);
  train(first, begun, 5);
  Decoder<half> second(tiny);
  Trainer resumed(second, options);
  copy_state(first, second);
  copy_state(begun.optimizer(), resumed.optimizer());
  resumed.optimizer().set_steps(begun.optimizer().steps());
  resumed.restore(begun.state());
  CHECK(train(second, resumed, 12) == expected);
}
