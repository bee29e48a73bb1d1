// SPDX-License-Identifier: MIT
// nanoGPT's CPU recipe (4 layers, 4 heads, 128 channels, context 64, batch 12, 2000 steps) on the characters of a text.
// nanogpt_recipe.py is the same in PyTorch.
#include "nanogpt_recipe.hpp"

#include <CLI/CLI.hpp>

int main(int argc, char** argv) {
  CLI::App app("nanoGPT's CPU recipe; prints one line of JSON.\nExample: nanogpt_recipe --data input.txt --seed 1");
  benchmark::Recipe recipe = {.layers = 4,
                              .heads = 4,
                              .hidden = 128,
                              .context = 64,
                              .batch = 12,
                              .steps = 2000,
                              .evaluate_every = 0,
                              .dropout = 0};
  std::string data;
  std::uint64_t seed = 1;
  app.option_defaults()->always_capture_default();
  app.add_option("--data", data, "A text file")->required();
  app.add_option("--seed", seed, "Seed of weights and batches");
  app.add_option("--steps", recipe.steps, "Optimiser steps, at least 100")->check(CLI::Range(100, 1000000));
  CLI11_PARSE(app, argc, argv);
  try {
    const int threads = plinth::queue<plinth::Cpu>::current().threads();
    benchmark::train_recipe<float, plinth::Cpu>(recipe, data, seed, std::to_string(threads) + " CPU threads");
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "nanogpt_recipe: %s\n", error.what());
    return 1;
  }
}
