// SPDX-License-Identifier: MIT
// What gradient checkpointing costs and saves: forward and backward pass of a GPT with a checkpoint for every k blocks
// beside the same without any, in turn; medians. Bytes are the pool's peak above weights and gradients.
#include <cstdint>
#include <cstdio>
#include <vector>

#include <plinth/plinth.hpp>

#include "limit.hpp"

namespace {

using plinth::Cpu;

constexpr std::int64_t layers = 12;

struct Way {
  std::int64_t blocks_per_checkpoint;
  std::vector<double> seconds;
  std::size_t bytes = 0;
};

}  // namespace

int main() {
  plinth::Decoder<float> model({.vocabulary = 512, .context = 256, .hidden = 256, .layers = layers, .heads = 4});
  std::vector<std::int32_t> ids(4 * 256);
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i * 7919 % 512);
  const plinth::Tensor<std::int32_t> tokens({4, 256}, ids);
  const auto pass = [&] { backward(cross_entropy(model(tokens), tokens)); };
  pass();  // gradients and scratch memory are there from now on
  const std::size_t held = plinth::memory<Cpu>::use().current;

  std::vector<Way> ways = {{0, {}}, {1, {}}, {2, {}}, {3, {}}, {4, {}}, {6, {}}, {layers, {}}};
  for (int repetition = 0; repetition < 9; ++repetition)
    for (Way& way : ways) {
      model.stack.blocks_per_checkpoint = way.blocks_per_checkpoint;
      plinth::memory<Cpu>::reset_peak();
      const double start = benchmark::now();
      pass();
      way.seconds.push_back(benchmark::now() - start);
      way.bytes = plinth::memory<Cpu>::use().peak - held;
    }

  const double plain = benchmark::median(ways.front().seconds);
  std::printf("GPT of %d layers, hidden 256, batch 4 x 256, %d threads\n\n", static_cast<int>(layers),
              plinth::queue<Cpu>::current().threads());
  std::printf("| blocks to a checkpoint | ms | to none | MB beyond weights and gradients | to none |\n|---|---|---|---|---|\n");
  for (const Way& way : ways)
    std::printf("| %lld | %.0f | %.2f | %.1f | %.2f |\n", static_cast<long long>(way.blocks_per_checkpoint),
                1e3 * benchmark::median(way.seconds), benchmark::median(way.seconds) / plain, static_cast<double>(way.bytes) * 1e-6,
                static_cast<double>(way.bytes) / static_cast<double>(ways.front().bytes));
}
