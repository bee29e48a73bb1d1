// SPDX-License-Identifier: MIT
// A run that is stopped at any step and goes on from its checkpoint is, bit for bit, the run that never stopped.
#include <cstdint>
#include <string>
#include <vector>

#include <plinth/io/checkpoint.hpp>
#include <plinth/io/sha256.hpp>
#include <plinth/models/decoder.hpp>

#include "catch.hpp"
#include "io/files.hpp"
#include "kernels/numbers.hpp"
#include "threads.hpp"

using namespace plinth;
using Catch::Matchers::Contains;

namespace {

constexpr std::int64_t steps = 8;
const TrainerOptions options = {
    .steps = steps, .batch = 2, .accumulation = 2, .learning_rate = 1e-2, .warmup_steps = 3, .seed = 5};

TransformerConfig with_dropout(TransformerConfig config) {
  config.dropout = 0.2;
  return config;
}
const TransformerConfig gpt2 = with_dropout({.vocabulary = 30, .context = 12, .hidden = 16, .layers = 2, .heads = 2});
const TransformerConfig llama = with_dropout(llama_shape(
    {.vocabulary = 30, .context = 12, .hidden = 16, .layers = 2, .heads = 4, .key_heads = 2, .feed_forward = 24}));

TokenWindows data() { return TokenWindows(numbers::below(30, 500, 1)); }

/// A run so far: every loss and gradient norm.
using History = std::vector<double>;

struct GptRun {
  Decoder<float> model;
  Trainer<Decoder<float>> trainer;

  explicit GptRun(const TransformerConfig& config) : model(config), trainer(model, options) {}
  /// Of all parameters, all optimiser state and the history.
  std::string digest(const History& history) {
    Sha256 hash;
    const auto add = [&](const std::string&, const Tensor<float>& x) { hash.add(x.to_vector()); };
    for_each_parameter(model, add);
    for_each_parameter(trainer.optimizer(), add);
    hash.add(history);
    return hash.digest() + ' ' + std::to_string(trainer.optimizer().steps());
  }
};

/// Runs until step `stop` and saves there. The trainer stops by what its observer returns, as after Ctrl-C.
void run_until(std::int64_t stop, GptRun& run, History& history, const files::Folder& folder) {
  run.trainer.fit(data(), [&](const TrainingStep& report) {
    history.insert(history.end(), {report.loss, report.gradient_norm});
    return report.step + 1 < stop;
  });
  save_checkpoint(folder.path(), run.model, run.trainer.optimizer(), run.trainer.state(), settings_of(options));
}

/// The digest of a run that stops at each of `stops` and goes on in a new model, trainer and optimiser.
std::string digest_stopped_at(const TransformerConfig& config, const std::vector<std::int64_t>& stops,
                              std::int64_t blocks_per_checkpoint = 0) {
  const files::Folder folder;
  History history;
  auto other_weights = config;
  other_weights.seed = 99;
  for (const std::int64_t stop : stops) {
    GptRun run(other_weights);
    run.model.stack.blocks_per_checkpoint = blocks_per_checkpoint;
    if (stop == stops.front())
      copy_state(Decoder<float>(config), run.model);
    else
      run.trainer.restore(latest_checkpoint(folder.path())
                              .checkpoint.value()
                              .load(run.model, run.trainer.optimizer(), settings_of(options)));
    run_until(stop, run, history, folder);
    if (stop == steps) return run.digest(history);
  }
  return "";
}

}  // namespace

TEST_CASE("a run with dropout and accumulation resumed at any step equals the uninterrupted one") {
  for (const TransformerConfig& config : {gpt2, llama}) {
    const std::string whole = digest_stopped_at(config, {steps});
    for (std::int64_t stop = 1; stop < steps; ++stop) {
      INFO("stopped after step " << stop);
      CHECK(digest_stopped_at(config, {stop, steps}) == whole);
    }
    CHECK(digest_stopped_at(config, {1, 2, 3, 4, 5, 6, 7, steps}) == whole);
    CHECK(digest_stopped_at(config, {3, 5, steps}, 1) == whole);  // gradient checkpoints change no bit
  }
}

TEST_CASE("a run resumed with other threads equals the uninterrupted one") {
  const std::string whole = digest_stopped_at(gpt2, {steps});
  for (const int count : {1, 3}) {
    const Threads some(count);
    CHECK(digest_stopped_at(gpt2, {3, steps}) == whole);
  }
}

TEST_CASE("a resumed run differs when anything of its state is lost") {
  const std::string whole = digest_stopped_at(gpt2, {steps});
  const auto digest_without = [](auto lose) {
    const files::Folder folder;
    History history;
    GptRun first(gpt2), second(gpt2);
    run_until(4, first, history, folder);
    const auto state = latest_checkpoint(folder.path())
                           .checkpoint->load(second.model, second.trainer.optimizer(), settings_of(options));
    second.trainer.restore(state);
    lose(second);
    run_until(steps, second, history, folder);
    return second.digest(history);
  };
  CHECK(digest_without([](GptRun&) {}) == whole);
  CHECK(digest_without([](GptRun& run) { run.trainer.optimizer().set_steps(0); }) != whole);
  CHECK(digest_without([](GptRun& run) { run.trainer.restore({3, options.seed}); }) != whole);
  CHECK(digest_without([](GptRun& run) {
          for_each_parameter(run.trainer.optimizer(), [](const std::string& name, Tensor<float>& x) {
            if (name == "blocks.0.attention.query.weight.second") x.mutable_data()[0] += 1e-3f;
          });
        }) != whole);
}

TEST_CASE("a run of another seed or length is not resumed") {
  const files::Folder folder;
  History history;
  GptRun run(gpt2);
  run_until(4, run, history, folder);
  const auto found = latest_checkpoint(folder.path());
  REQUIRE(found.checkpoint);
  auto other = options;
  other.seed = 6;
  Trainer of_other_seed(run.model, other);
  CHECK_THROWS_WITH(of_other_seed.restore(found.checkpoint->state()), "trainer: the run had seed 5, not 6");
  other = options;
  other.steps = 9;
  CHECK_THROWS_WITH(found.checkpoint->load(run.model, run.trainer.optimizer(), settings_of(other)),
                    Contains(R"("steps" is 8 in the checkpoint but 9 here)"));
  Decoder<float> wider({.vocabulary = 30, .context = 12, .hidden = 32, .layers = 2, .heads = 2});
  CHECK_THROWS_WITH(found.checkpoint->load(wider, run.trainer.optimizer(), settings_of(options)),
                    Contains("token_embedding.weight: the file has shape (30, 16), the model (30, 32)"));
}
