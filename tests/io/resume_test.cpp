// SPDX-License-Identifier: MIT
// A run that is stopped at any step and goes on from its checkpoint is, bit for bit, the run that never stopped.
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <plinth/io/checkpoint.hpp>
#include <plinth/io/sha256.hpp>
#include <plinth/models/decoder.hpp>
#include <plinth/models/encoder.hpp>
#include <plinth/models/encoder_decoder.hpp>
#include <plinth/train/early_stopping.hpp>

#include "catch.hpp"
#include "io/files.hpp"
#include "kernels/numbers.hpp"
#include "threads.hpp"

using namespace plinth;
using Catch::Matchers::Contains;

namespace {

constexpr std::int64_t run_steps = 8;
const TrainerOptions run_options = {
    .steps = run_steps, .batch = 2, .accumulation = 2, .learning_rate = 1e-2, .warmup_steps = 3, .seed = 5};

TransformerConfig with_dropout(TransformerConfig config) {
  config.dropout = 0.2;
  return config;
}
const TransformerConfig gpt2 = with_dropout({.vocabulary = 30, .context = 12, .hidden = 16, .layers = 2, .heads = 2});
const TransformerConfig llama = with_dropout(llama_shape(
    {.vocabulary = 30, .context = 12, .hidden = 16, .layers = 2, .heads = 4, .key_heads = 2, .feed_forward = 24}));

TokenWindows tokens() { return TokenWindows(numbers::below(30, 500, 1)); }

/// A run so far: every loss and gradient norm.
using History = std::vector<double>;

struct GptRun {
  Decoder<float> model;
  Trainer<Decoder<float>> trainer;

  explicit GptRun(const TransformerConfig& config) : model(config), trainer(model, run_options) {}
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
  run.trainer.fit(tokens(), [&](const TrainingStep& report) {
    history.insert(history.end(), {report.loss, report.gradient_norm});
    return report.step + 1 < stop;
  });
  save_checkpoint(folder.path(), run.model, run.trainer.optimizer(), run.trainer.state(), settings_of(run_options));
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
                              .load(run.model, run.trainer.optimizer(), settings_of(run_options)));
    run_until(stop, run, history, folder);
    if (stop == run_steps) return run.digest(history);
  }
  return "";
}

}  // namespace

TEST_CASE("a run with dropout and accumulation resumed at any step equals the uninterrupted one") {
  for (const TransformerConfig& config : {gpt2, llama}) {
    const std::string whole = digest_stopped_at(config, {run_steps});
    for (std::int64_t stop = 1; stop < run_steps; ++stop) {
      INFO("stopped after step " << stop);
      CHECK(digest_stopped_at(config, {stop, run_steps}) == whole);
    }
    CHECK(digest_stopped_at(config, {1, 2, 3, 4, 5, 6, 7, run_steps}) == whole);
    CHECK(digest_stopped_at(config, {3, 5, run_steps}, 1) == whole);  // gradient checkpoints change no bit
  }
}

TEST_CASE("a run resumed with other threads equals the uninterrupted one") {
  const std::string whole = digest_stopped_at(gpt2, {run_steps});
  for (const int count : {1, 3}) {
    const Threads some(count);
    CHECK(digest_stopped_at(gpt2, {3, run_steps}) == whole);
  }
}

TEST_CASE("a resumed run differs when anything of its state is lost") {
  const std::string whole = digest_stopped_at(gpt2, {run_steps});
  const auto digest_without = [](auto lose) {
    const files::Folder folder;
    History history;
    GptRun first(gpt2), second(gpt2);
    run_until(4, first, history, folder);
    const auto state = latest_checkpoint(folder.path())
                           .checkpoint->load(second.model, second.trainer.optimizer(), settings_of(run_options));
    second.trainer.restore(state);
    lose(second);
    run_until(run_steps, second, history, folder);
    return second.digest(history);
  };
  CHECK(digest_without([](GptRun&) {}) == whole);
  CHECK(digest_without([](GptRun& run) { run.trainer.optimizer().set_steps(0); }) != whole);
  CHECK(digest_without([](GptRun& run) { run.trainer.restore({3, run_options.seed}); }) != whole);
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
  auto other = run_options;
  other.seed = 6;
  Trainer of_other_seed(run.model, other);
  CHECK_THROWS_WITH(of_other_seed.restore(found.checkpoint->state()), "trainer: the run had seed 5, not 6");
  other = run_options;
  other.steps = 9;
  CHECK_THROWS_WITH(found.checkpoint->load(run.model, run.trainer.optimizer(), settings_of(other)),
                    Contains(R"("steps" is 8 in the checkpoint but 9 here)"));
  const auto refuses = [&](auto& model, auto& optimizer, const std::string& what) {
    CHECK_THROWS_WITH(found.checkpoint->load(model, optimizer, settings_of(run_options)), Contains(what));
  };
  auto config = run.model.config;
  config.heads = 4, config.key_heads = 4, config.head_size = 4;
  Decoder<float> more_heads(config);
  refuses(more_heads, run.trainer.optimizer(), R"("model.head_size" is 8 in the checkpoint but 4 here)");
  config = run.model.config;
  config.activation = ActivationKind::relu;
  Decoder<float> other_activation(config);
  refuses(other_activation, run.trainer.optimizer(),
          R"("model.activation" is "gelu_tanh" in the checkpoint but "relu" here)");
  Adam adam(run.model, run_options.adamw);
  refuses(run.model, adam, R"("optimizer.kind" is "adamw" in the checkpoint but "adam" here)");
  AdamW faster(run.model, {.beta1 = 0.5});
  refuses(run.model, faster, R"("optimizer.beta1" is 0.9 in the checkpoint but 0.5 here)");
}

TEST_CASE("models that stand on an encoder, and those of two stacks, are told apart by their shapes too") {
  const auto config = bert_shape({.vocabulary = 30, .context = 12, .hidden = 16, .layers = 2, .heads = 2});
  auto other = config;
  other.heads = 4;
  const auto refuses = [](const auto& model, auto& different) {
    const files::Folder folder;
    save_checkpoint(folder.path(), model, AdamW(different), {1, 5}, settings_of(run_options));
    AdamW optimizer(different);
    CHECK_THROWS_WITH(latest_checkpoint(folder.path()).checkpoint->load(different, optimizer, settings_of(run_options)),
                      Contains(R"("model.head_size" is 8 in the checkpoint but 4 here)"));
  };
  SequenceClassifier<float> classifier(other, 3);
  refuses(SequenceClassifier<float>(config, 3), classifier);
  EncoderDecoder<float> translator(other);
  refuses(EncoderDecoder<float>(config), translator);
}

TEST_CASE("another schedule is told by its settings") {
  const files::Folder folder;
  GptRun run(gpt2);
  const auto with = [](const auto& schedule) {
    auto all = settings_of(run_options);
    all.update(settings_of(schedule));
    return all;
  };
  const StableSchedule stable{1e-2, 0, 3, 4, run_steps};
  save_checkpoint(folder.path(), run.model, run.trainer.optimizer(), {1, 5}, with(stable));
  const auto refuses = [&](const nlohmann::json& given, const std::string& what) {
    CHECK_THROWS_WITH(latest_checkpoint(folder.path()).checkpoint->load(run.model, run.trainer.optimizer(), given),
                      Contains(what));
  };
  refuses(with(StableSchedule{1e-2, 0, 3, 5, run_steps}), R"("decay_steps" is 4 in the checkpoint but 5 here)");
  refuses(with(ConstantSchedule{1e-2, 3}), R"("decay_steps" is 4 in the checkpoint but not set here)");
  refuses(with(InverseSquareRootSchedule{1e-2, 3}), "in the checkpoint but not set here");
  refuses(settings_of(run_options), "in the checkpoint but not set here");
  auto own = settings_of(run_options);
  own["model.heads"] = 2;
  refuses(own, R"("model.heads" is the name of a setting that is added)");
}

TEST_CASE("a model with a number that is none is not saved") {
  const files::Folder folder;
  History history;
  GptRun run(gpt2);
  run_until(2, run, history, folder);
  run.model.stack.blocks[1].attention.query.weight.mutable_data()[3] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_AS(save_checkpoint(folder.path(), run.model, run.trainer.optimizer(), {3, 5}, settings_of(run_options)),
                  NonFiniteError);
  CHECK_THROWS_WITH(
      save_checkpoint(folder.path(), run.model, run.trainer.optimizer(), {3, 5}, settings_of(run_options)),
      Contains("blocks.1.attention.query.weight is not finite"));
  CHECK(latest_checkpoint(folder.path()).checkpoint->state().next_step == 2);
}

TEST_CASE("early stopping goes on where it was, by a checkpoint's notes") {
  const files::Folder folder;
  GptRun run(gpt2);
  EarlyStopping stopping{.patience = 3};
  for (const double measure : {2.0, 1.5, 1.75}) stopping.improved(measure);
  for (const EarlyStopping& saved : {EarlyStopping{}, stopping}) {
    const std::int64_t step = saved.measures_since_best;
    save_checkpoint(folder.path() + "/", run.model, run.trainer.optimizer(), {step, 5}, settings_of(run_options), 3,
                    {{"best", saved.best}, {"measures_since_best", saved.measures_since_best}});
    const auto found = latest_checkpoint(folder.path());
    CHECK(found.checkpoint->notes()["best"].get<double>() == saved.best);
    CHECK(found.checkpoint->notes()["measures_since_best"].get<std::int64_t>() == step);
  }
}
