// SPDX-License-Identifier: MIT
// Decoders, Trainer and generation run unchanged on a second backend, with the same numbers, and a training step that
// logs nothing does not wait for the device.
#include "kernels/plain_backend.hpp"

#include <vector>

#include "kernels/models_on_devices.hpp"

using namespace models_on_devices;

namespace {

/// How often f waits for the device.
template <class F>
std::int64_t synchronisations(const F& f) {
  const std::int64_t before = Plain::synchronisations;
  f();
  return Plain::synchronisations - before;
}

}  // namespace

TEST_CASE("a GPT-2-shaped decoder gives the same numbers on both backends") {
  compare<float, Cpu>(gpt, 1e-5);
  compare<double, Cpu>(gpt, 1e-13);
}

TEST_CASE("a Llama-shaped decoder gives the same numbers on both backends") {
  compare<float, Cpu>(llama, 1e-5);
  compare<double, Cpu>(llama, 1e-13);
}

TEST_CASE("a decoder with ALiBi and Swish gives the same numbers on both backends") {
  compare<float, Cpu>(other, 1e-5);
  compare<double, Cpu>(other, 1e-13);
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
