// SPDX-License-Identifier: MIT
// One training step of GPT-2 (124M parameters): forward, backward, clipping and AdamW. Seconds beside those that the
// processor's limit allows at 6 operations per parameter and token, and the most memory that the process had.
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <plinth/plinth.hpp>

#include "rows.hpp"

namespace {

/// Tokens as good as any others: the speed of a step does not depend on them.
plinth::Tensor<std::int32_t> some_tokens(std::int64_t batch, std::int64_t context, std::int64_t vocabulary) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(batch * context));
  for (std::size_t i = 0; i < ids.size(); ++i)
    ids[i] = static_cast<std::int32_t>(static_cast<std::int64_t>(i) * 7919 % vocabulary);
  return {{batch, context}, ids};
}

double peak_resident_megabytes() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  return static_cast<double>(use.ru_maxrss) * 1024e-6;
}

struct Options {
  bool json = false;
  std::string type = "float";
  std::int64_t batch = 4, context = 256, steps = 5, blocks_per_checkpoint = 0;
  int threads = benchmark::all_threads();
};

template <class T>
benchmark::Result measure(const Options& options) {
  constexpr std::int64_t vocabulary = 50257;
  plinth::Decoder<T> model({.vocabulary = vocabulary, .context = 1024, .hidden = 768, .layers = 12, .heads = 12});
  model.stack.blocks_per_checkpoint = options.blocks_per_checkpoint;
  plinth::Trainer trainer(model, {.steps = options.steps + 1, .batch = options.batch, .context = options.context});
  const auto tokens = some_tokens(options.batch, options.context, vocabulary);
  const double flops = 6.0 * static_cast<double>(plinth::parameter_count(model) * options.batch * options.context);

  std::vector<double> seconds, shares;
  double before = benchmark::peak<T>(options.threads), start = benchmark::now();
  trainer.fit([&](const plinth::MicroStep&) { return model.loss(tokens, tokens); },
              [&](const plinth::TrainingStep& report) {
                const double taken = benchmark::now() - start, after = benchmark::peak<T>(options.threads);
                if (report.step > 0) {  // the first one gets the memory
                  seconds.push_back(taken);
                  shares.push_back(2 * flops / taken / (before + after));
                }
                before = after;
                start = benchmark::now();
              });
  return {"Plinth", benchmark::median(seconds), benchmark::median(shares)};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("A training step of GPT-2 124M.\nExample: training_step --batch 4 --context 256");
  Options options;
  app.option_defaults()->always_capture_default();
  app.add_flag("--json", options.json, "Print a JSON object for each row");
  app.add_option("--type", options.type, "Element type of weights and activations")
      ->check(CLI::IsMember({"float", "bfloat16"}));
  app.add_option("--batch", options.batch, "Rows of a batch")->check(CLI::Range(1, 1024));
  app.add_option("--context", options.context, "Tokens of a row")->check(CLI::Range(2, 1024));
  app.add_option("--steps", options.steps, "Steps measured, after one that is not")->check(CLI::Range(1, 1000));
  app.add_option("--checkpoint", options.blocks_per_checkpoint, "Blocks to a gradient checkpoint; 0: none")
      ->check(CLI::Range(0, 12));
  app.add_option("--threads", options.threads, "Threads")->check(CLI::Range(1, options.threads));
  CLI11_PARSE(app, argc, argv);
  benchmark::use_threads(options.threads);

  std::string name = "GPT-2 124M step " + options.type + " B" + std::to_string(options.batch) + " T" + std::to_string(options.context);
  if (options.blocks_per_checkpoint) name += " checkpoint " + std::to_string(options.blocks_per_checkpoint);
  const benchmark::Table table(options.json);
  const auto result = options.type == "float" ? measure<float>(options) : measure<plinth::bfloat16>(options);
  table.print({name, options.threads, "s", {result}});
  table.print({name + " memory", options.threads, "MB", {{"Plinth", peak_resident_megabytes()}}});
}
