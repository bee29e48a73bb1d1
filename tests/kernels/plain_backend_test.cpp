// SPDX-License-Identifier: MIT
// Decoders, Trainer and generation run unchanged on a second backend, with the same numbers, and a training step that
// logs nothing does not wait for the device.
#include "kernels/plain_backend.hpp"

#include <cmath>
#include <string>
#include <vector>

#include <plinth/generate/generate.hpp>
#include <plinth/models/decoder.hpp>
#include <plinth/train/trainer.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"

using namespace plinth;

namespace {

const TransformerConfig gpt = {.vocabulary = 13, .context = 10, .hidden = 12, .layers = 2, .heads = 3, .dropout = 0.1};
const TransformerConfig llama = llama_shape({.vocabulary = 13, .context = 10, .hidden = 16, .layers = 2, .heads = 4,
                                         .key_heads = 2, .feed_forward = 24, .dropout = 0.1});
/// Neither of them: ALiBi and a gate whose beta is learned.
const TransformerConfig other = {.vocabulary = 13, .context = 10, .hidden = 12, .layers = 2, .heads = 3,
                             .activation = ActivationKind::swish, .gated = true, .position = PositionKind::alibi};

/// A decoder on D whose weights, biases and gains too, are random numbers of a deviation at which all parts matter.
template <class T, class D>
Decoder<T, D> decoder(const TransformerConfig& config) {
  Decoder<T, D> model(config);
  std::uint32_t site = 0;
  for_each_parameter(model, [&](const std::string&, Tensor<T, D>& x) {
    const auto values = numbers::normal<T>(x.count(), ++site, 0.3, x.rank() == 1 ? 0.5 : 0);
    memory<D>::copy_from_host(x.mutable_data(), values.data(), values.size() * sizeof(T));
  });
  return model;
}

/// Logits and loss of one batch, then the gradients of all parameters; each as one list of numbers.
template <class T, class D>
std::vector<std::vector<T>> forward_and_backward(const TransformerConfig& config) {
  const auto model = decoder<T, D>(config);
  const Tensor<std::int32_t, D> tokens({3, 9}, numbers::below(13, 27, 1)), targets({3, 9}, numbers::below(13, 27, 2));
  const TrainingScope<D> training(5, 7);
  const auto logits = model(tokens);
  const auto loss = cross_entropy(logits, targets);
  backward(loss);
  std::vector<std::vector<T>> all = {logits.to_vector(), loss.to_vector()};
  for_each_parameter(model, [&](const std::string&, const Tensor<T, D>& x) { all.push_back(gradient(x).to_vector()); });
  return all;
}

template <class T>
double norm(const std::vector<T>& x) {
  return numbers::distance(x, std::vector<T>(x.size()));
}

/// Each list within the tolerance, relative to its norm; the gradients of key biases, 0 but for rounding, by all gradients.
template <class T>
void compare(const TransformerConfig& config, double tolerance) {
  const auto on_cpu = forward_and_backward<T, Cpu>(config), on_plain = forward_and_backward<T, Plain>(config);
  REQUIRE(on_cpu.size() == on_plain.size());
  double gradients = 0;
  for (std::size_t i = 2; i < on_plain.size(); ++i) gradients = std::hypot(gradients, norm(on_plain[i]));
  CHECK(gradients > 0.1);
  for (std::size_t i = 0; i < on_cpu.size(); ++i) {
    INFO("part " << i << ": logits, loss, gradients in the order of visit");
    const double size = norm(on_plain[i]);
    CHECK(numbers::distance(on_cpu[i], on_plain[i]) < (size > 1e-5 * gradients ? tolerance : 1e-6 * gradients / size));
  }
}

TokenWindows data() { return TokenWindows(numbers::below(13, 400, 3)); }

const TrainerOptions options = {.steps = 5, .batch = 3, .accumulation = 2, .learning_rate = 1e-2, .seed = 4};

/// What a training run logs, the weights behind it, and what the trained model writes.
template <class D>
std::vector<double> train_and_generate(const TransformerConfig& config) {
  auto model = decoder<double, D>(config);
  std::vector<double> all;
  Trainer(model, options).fit(data(), [&](const TrainingStep& report) {
    all.push_back(report.loss);
    all.push_back(report.gradient_norm);
  });
  for_each_parameter(model, [&](const std::string&, const Tensor<double, D>& x) {
    const auto values = x.to_vector();
    all.insert(all.end(), values.begin(), values.end());
  });
  for (const std::int32_t token : generate(model, {1, 2, 3}, {.length = 20, .sampling = {.temperature = 0.8}})) all.push_back(token);
  return all;
}

/// How often f waits for the device.
template <class F>
std::int64_t synchronisations(const F& f) {
  const std::int64_t before = Plain::synchronisations;
  f();
  return Plain::synchronisations - before;
}

}  // namespace

TEST_CASE("a GPT-2-shaped decoder gives the same numbers on both backends") {
  compare<float>(gpt, 1e-5);
  compare<double>(gpt, 1e-13);
}

TEST_CASE("a Llama-shaped decoder gives the same numbers on both backends") {
  compare<float>(llama, 1e-5);
  compare<double>(llama, 1e-13);
}

TEST_CASE("a decoder with ALiBi and Swish gives the same numbers on both backends") {
  compare<float>(other, 1e-5);
  compare<double>(other, 1e-13);
}

TEST_CASE("Trainer and generate run on both backends") {
  for (const TransformerConfig& config : {gpt, llama, other}) {
    const auto on_cpu = train_and_generate<Cpu>(config), on_plain = train_and_generate<Plain>(config);
    REQUIRE(on_cpu.size() > 23);
    CHECK(numbers::distance(on_cpu, on_plain) < 1e-9);
    CHECK(std::vector<double>(on_cpu.end() - 23, on_cpu.end()) == std::vector<double>(on_plain.end() - 23, on_plain.end()));
  }
}

TEST_CASE("training waits for the device where it reports, and nowhere else") {
  for (const TransformerConfig& config : {gpt, llama, other}) {
    Decoder<float, Plain> model(config);
    const auto before = model.stack.blocks[1].feed_forward.down.weight.to_vector();
    const auto reports = [&](std::int64_t every) {
      auto some = options;
      some.report_every = every;
      return synchronisations([&] { Trainer(model, some).fit(data()); });
    };
    CHECK(reports(1000) == 1);  // after the last step
    CHECK(reports(2) == 3);
    CHECK(reports(1) == options.steps);
    CHECK(model.stack.blocks[1].feed_forward.down.weight.to_vector() != before);  // it did train
  }
}

TEST_CASE("what waits for the device is counted") {
  Decoder<float, Plain> model(gpt);
  CHECK(synchronisations([&] {
          Trainer(model, options).fit(data(), [&](const TrainingStep&) { model.input.token_embedding.weight.to_vector(); });
        }) == 2 * options.steps);
  CHECK(synchronisations([] { queue<Plain>::current().synchronize(); }) == 1);
  CHECK(synchronisations([] { Tensor<float, Plain>({2}, {1, 2}); }) == 0);
  CHECK(synchronisations([&] { generate(model, {1}, {.length = 7}); }) == 7);  // once for each token
}
