// SPDX-License-Identifier: MIT
// Decoders, Trainer and generation run unchanged on CUDA, with the numbers of plain loops.
#include <plinth/kernels/cuda.cuh>

#include <algorithm>
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
    bool operator==(const Seen& that) const { return numbers == that.numbers; }
  };
  const auto train = [](const TransformerConfig& config, std::int64_t micro_steps, bool recorded) {
    auto model = decoder<double, Cuda>(with_one_layer(config));
    model.stack.blocks_per_checkpoint = 1;
    Seen seen;
    const auto left = data().batch<Cuda>(1, config.context, 9, 0, 0);
    Trainer trainer(model, {.steps = 8, .batch = 1, .accumulation = micro_steps, .learning_rate = 1e-2, .seed = 4});
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
            const auto batch = data().batch<Cuda>(1, config.context, at.seed, at.step, at.micro_step);
            return model.loss(batch.inputs, batch.targets);
          },
          observe);
    for_each_parameter(model, [&](const std::string&, const Tensor<double, Cuda>& x) {
      for (const double value : x.to_vector()) seen.numbers.push_back(value);
    });
    return seen;
  };
  const auto before = memory<Cuda>::use().current;
  for (const TransformerConfig& config : {llama, other}) {
    const auto recorded = train(config, 2, true), by_hand = train(config, 2, false);
    CHECK(recorded == by_hand);
    for (std::size_t step = 0; step < 8; ++step) {  // every change asks for a step that is not recorded
      INFO("step " << step);
      const std::size_t of_a_graph = step % 3 == 0 ? 0 : 4096;
      CHECK(recorded.memory_in_use[step] >= by_hand.memory_in_use[step] + of_a_graph);
      CHECK(recorded.memory_in_use[step] < by_hand.memory_in_use[step] + of_a_graph * 100 + 4096);
    }
    if (config.position == PositionKind::alibi) continue;
    CHECK(train(config, 3, true).memory_in_use[1] < recorded.memory_in_use[1] + 1024);  // micro-steps share it
  }
  CHECK(memory<Cuda>::use().current == before);
}

/// The simplest language model, in half precision: the logits of a token are its row of a table.
struct Bigrams {
  using element = plinth::half;
  using device = Cuda;
  TransformerConfig config = {.vocabulary = 13, .context = 2};
  Embedding<plinth::half, Cuda> table{13, 13};
  Tensor<float, Cuda> loss(const Tensor<std::int32_t, Cuda>& tokens, const Tensor<std::int32_t, Cuda>& targets) const {
    return cross_entropy(table(tokens), targets) * 8.0;
  }
  static void visit(auto& self, auto&& f) { f("table", self.table); }
};

TEST_CASE("cuda: replayed steps of half precision read the loss scale of now", "[cuda]") {
  const auto train = [](bool recorded) {
    Bigrams model;
    Trainer trainer(model, {.steps = 6, .batch = 1, .learning_rate = 0.1});
    std::vector<double> seen;
    std::size_t most = 0;
    const auto observe = [&](const TrainingStep& step) {
      seen.insert(seen.end(), {step.loss, step.gradient_norm, trainer.state().loss_scale.factor});
      most = std::max(most, memory<Cuda>::use().current);
    };
    const auto loss = [&](const MicroStep& at) {
      const auto batch = data().batch<Cuda>(1, 2, at.seed, at.step, at.micro_step);
      return model.loss(batch.inputs, batch.targets);
    };
    if (recorded)
      trainer.fit(data(), observe);
    else
      trainer.fit(loss, observe);
    CHECK(trainer.state().loss_scale.factor < 65536 / 2);  // two steps or more were left out
    return std::pair(seen, most);
  };
  const auto recorded = train(true), by_hand = train(false);
  CHECK(recorded.first == by_hand.first);
  CHECK(recorded.second > by_hand.second);  // there was a graph
}

TEST_CASE("cuda: steps of decoding that are replayed from a graph are those that are queued one by one", "[cuda]") {
  const NoGradient no_gradient;
  TransformerConfig t5 = gpt;
  t5.position = PositionKind::relative;
  for (const TransformerConfig& config : {gpt, llama, other, t5}) {
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

TEST_CASE("cuda: a graph of a step of decoding is made for texts that are long enough", "[cuda]") {
  TransformerConfig config = with_one_layer(gpt);
  config.context = 32;
  const auto model = decoder<double, Cuda>(config);
  std::vector<std::size_t> in_use;
  const auto write = [&](std::int64_t length) {
    in_use.clear();
    const auto note = [&](std::int32_t) { in_use.push_back(memory<Cuda>::use().current); };
    return generate(model, {1, 2}, {.length = length, .on_token = note});
  };
  const auto longer = write(16);
  CHECK(in_use[2] > in_use[1] + 4096);  // of the prompt and the first step; then it is recorded
  const auto shorter = write(15);
  CHECK(in_use[2] == in_use[1]);
  CHECK(std::equal(shorter.begin(), shorter.end(), longer.begin()));
}
