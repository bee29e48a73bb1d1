// SPDX-License-Identifier: MIT
// What gradient checkpointing costs and saves: forward and backward pass of a GPT with a checkpoint for every k blocks
// beside the same without any, in turn; medians. Memory is the pool's peak above weights and gradients.
#include <cstdint>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <plinth/plinth.hpp>

#include "rows.hpp"

namespace {

using plinth::Cpu;

constexpr std::int64_t layers = 12;

struct Way {
  std::int64_t blocks_per_checkpoint;
  std::vector<double> seconds = {};
  std::size_t bytes = 0;

  double milliseconds() const { return 1e3 * benchmark::median(seconds); }
  double megabytes() const { return 1e-6 * static_cast<double>(bytes); }
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("What gradient checkpointing costs and saves.\nExample: checkpointing");
  bool json = false;
  int samples = 9;
  app.option_defaults()->always_capture_default();
  app.add_flag("--json", json, "Print a JSON object for each row");
  app.add_option("--samples", samples, "Samples, of which the median counts")->check(CLI::Range(1, 1000));
  CLI11_PARSE(app, argc, argv);

  plinth::Decoder<float> model({.vocabulary = 512, .context = 256, .hidden = 256, .layers = layers, .heads = 4});
  std::vector<std::int32_t> ids(4 * 256);
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i * 7919 % 512);
  const plinth::Tensor<std::int32_t> tokens({4, 256}, ids);
  const auto pass = [&] { backward(cross_entropy(model(tokens), tokens)); };
  pass();  // gradients and scratch memory are there from now on
  const std::size_t held = plinth::memory<Cpu>::use().current;

  std::vector<Way> ways = {{0}, {1}, {2}, {3}, {4}, {6}};
  for (int sample = 0; sample < samples; ++sample)
    for (Way& way : ways) {
      model.stack.blocks_per_checkpoint = way.blocks_per_checkpoint;
      plinth::memory<Cpu>::reset_peak();
      const double start = benchmark::now();
      pass();
      way.seconds.push_back(benchmark::now() - start);
      way.bytes = plinth::memory<Cpu>::use().peak - held;
    }

  const benchmark::Table table(json);
  const int threads = benchmark::all_threads();
  const Way& none = ways.front();
  for (const Way& way : ways) {
    if (&way == &none) continue;
    const std::string name =
        "GPT 12 x 256 B4 T256 checkpoint " + std::to_string(static_cast<long long>(way.blocks_per_checkpoint));
    table.print({name, threads, "ms", {{"Plinth", way.milliseconds()}, {"no checkpoints", none.milliseconds()}}});
    table.print({name + " memory", threads, "MB", {{"Plinth", way.megabytes()}, {"no checkpoints", none.megabytes()}}});
  }
}
