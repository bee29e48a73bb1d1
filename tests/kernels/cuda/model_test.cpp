// SPDX-License-Identifier: MIT
// Decoders, Trainer and generation run unchanged on CUDA, with the numbers of plain loops.
#include <plinth/kernels/cuda.cuh>

#include <optional>

#include "kernels/models_on_devices.hpp"

using namespace models_on_devices;

namespace {

TransformerConfig with_one_layer(TransformerConfig config) {
  config.layers = 1;
  return config;
}

}  // namespace

TEST_CASE("cuda: decoders give the numbers of plain loops", "[cuda]") {
  for (const TransformerConfig& config : {gpt, llama, other}) {
    compare<double, Cuda>(config, 1e-13);
  }
}

TEST_CASE("cuda: Trainer and generate give the numbers of plain loops", "[cuda]") {
  for (const TransformerConfig& config : {gpt, llama, other}) {
    const auto on_cuda = train_and_generate<Cuda>(config), on_plain = train_and_generate<Plain>(config);
    REQUIRE(on_cuda.size() > 23);
    CHECK(numbers::distance(on_cuda, on_plain) < 1e-9);
    CHECK(std::vector<double>(on_cuda.end() - 23, on_cuda.end()) == std::vector<double>(on_plain.end() - 23, on_plain.end()));
  }
}

TEST_CASE("cuda: steps that are replayed from a graph are those whose kernels are queued one by one", "[cuda]") {
  struct Seen {
    std::vector<double> numbers;
    std::vector<std::size_t> memory_in_use;
    bool operator==(const Seen& other) const { return numbers == other.numbers; }
  };
  const auto train = [](bool recorded) {
    auto model = decoder<double, Cuda>(with_one_layer(llama));
    model.stack.blocks_per_checkpoint = 1;
    Seen seen;
    const auto left = data().batch<Cuda>(1, llama.context, 9, 0, 0);
    Trainer trainer(model, {.steps = 8, .batch = 1, .accumulation = 2, .learning_rate = 1e-2, .seed = 4});
    const auto observe = [&](const TrainingStep& report) {
      seen.numbers.insert(seen.numbers.end(), {report.loss, report.gradient_norm});
      seen.memory_in_use.push_back(memory<Cuda>::use().current);
      if (report.step == 0) backward(model.loss(left.inputs, left.targets));  // whose gradients are nobody's business
      if (report.step == 2) set_trainable(model.stack.blocks[0].attention, false);
      if (report.step == 5) model.stack.blocks[0].attention.dropout.probability = 0.3;
    };
    if (recorded)
      trainer.fit(data(), observe);
    else
      trainer.fit(
          [&](const MicroStep& at) {
            const auto batch = data().batch<Cuda>(1, llama.context, at.seed, at.step, at.micro_step);
            return model.loss(batch.inputs, batch.targets);
          },
          observe);
    for_each_parameter(model, [&](const std::string&, const Tensor<double, Cuda>& x) {
      for (const double value : x.to_vector()) seen.numbers.push_back(value);
    });
    return seen;
  };
  const auto before = memory<Cuda>::use().current;
  const auto recorded = train(true), by_hand = train(false);
  CHECK(recorded == by_hand);
  for (std::size_t step = 0; step < 8; ++step) {  // every change asks for a step that is not recorded
    INFO("step " << step);
    const std::size_t of_a_graph = step % 3 == 0 ? 0 : 4096;
    CHECK(recorded.memory_in_use[step] >= by_hand.memory_in_use[step] + of_a_graph);
    CHECK(recorded.memory_in_use[step] < by_hand.memory_in_use[step] + of_a_graph * 100 + 4096);
  }
  CHECK(memory<Cuda>::use().current == before);
}

TEST_CASE("cuda: steps of decoding that are replayed from a graph are those that are queued one by one", "[cuda]") {
  const NoGradient no_gradient;
  for (const TransformerConfig& config : {gpt, llama}) {
    const auto model = decoder<double, Cuda>(with_one_layer(config));
    const auto decode = [&](bool whole, bool recorded) {
      KeyValueCache<double, Cuda> cache(2, 9);
      model(Tensor<std::int32_t, Cuda>({2, 3}, {1, 2, 3, 4, 5, 6}), {}, &cache);
      cache.truncate({3, 2});
      cache.show_whole(whole);
      Tensor<std::int32_t, Cuda> tokens({2, 1});
      Tensor<double, Cuda> logits;
      std::optional<graph<Cuda>> step;
      std::vector<double> all;
      for (std::int32_t i = 0; i < 4; ++i) {
        const std::int32_t next[] = {i, 12 - i};
        memory<Cuda>::copy_from_host(tokens.mutable_data(), next, sizeof next);
        const auto queue_all = [&] { logits = model(tokens, {}, &cache); };
        cache.prepare(1);
        if (!recorded) queue_all();
        if (recorded && step) cache.advance(1);
        if (recorded && !step) step.emplace(queue_all);
        if (recorded) step->replay();
        for (const double value : logits.to_vector()) all.push_back(value);
      }
      CHECK(cache.lengths() == std::vector<std::int64_t>{7, 6});
      return all;
    };
    const auto by_hand = decode(true, false);
    CHECK(decode(true, true) == by_hand);
    CHECK(numbers::distance(decode(false, false), by_hand) < 1e-13);
  }
}
