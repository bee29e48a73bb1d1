// SPDX-License-Identifier: MIT
// nanoGPT's CPU recipe (4 layers, 4 heads, 128 channels, context 64, batch 12, 2000 steps) on the characters of a text:
// seconds of the training loop and the loss on the whole last tenth. nanogpt_recipe.py is the same in PyTorch.
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <plinth/plinth.hpp>

int main(int argc, char** argv) {
  CLI::App app("nanoGPT's CPU recipe; prints one line of JSON.\nExample: nanogpt_recipe --data input.txt --seed 1");
  std::string data;
  std::uint64_t seed = 1;
  std::int64_t steps = 2000;
  app.option_defaults()->always_capture_default();
  app.add_option("--data", data, "A text file")->required();
  app.add_option("--seed", seed, "Seed of weights and batches");
  app.add_option("--steps", steps, "Optimiser steps, at least 100")->check(CLI::Range(100, 1000000));
  CLI11_PARSE(app, argc, argv);
  try {
    const std::string text = plinth::read_text(data);
    const plinth::CharacterVocabulary vocabulary(text);
    const auto tokens = vocabulary.encode(text);
    const auto split = tokens.begin() + static_cast<std::ptrdiff_t>(tokens.size() * 9 / 10);
    const plinth::TokenWindows train({tokens.begin(), split});
    const std::vector<std::int32_t> held_out(split, tokens.end());

    plinth::Decoder<float> model({.vocabulary = vocabulary.size(), .context = 64, .hidden = 128, .layers = 4, .heads = 4,
                                  .activation = plinth::ActivationKind::gelu, .bias = false, .seed = seed});
    plinth::Trainer trainer(model, {.steps = steps, .batch = 12, .learning_rate = 1e-3, .final_learning_rate = 1e-4,
                                    .warmup_steps = 100, .seed = seed});
    const auto start = std::chrono::steady_clock::now();
    trainer.fit(train);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::printf("{\"seed\": %llu, \"steps\": %lld, \"threads\": %d, \"seconds\": %.2f, \"validation_loss\": %.4f}\n",
                static_cast<unsigned long long>(seed), static_cast<long long>(steps),
                plinth::queue<plinth::Cpu>::current().threads(), seconds, plinth::mean_loss(model, held_out, 64));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "nanogpt_recipe: %s\n", error.what());
    return 1;
  }
}
