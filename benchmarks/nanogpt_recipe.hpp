// SPDX-License-Identifier: MIT
// nanoGPT's training of a model of characters (config/train_shakespeare_char.py), on any device.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include <plinth/plinth.hpp>

namespace benchmark {

/// What differs between nanoGPT's recipes.
struct Recipe {
  std::int64_t layers, heads, hidden, context, batch, steps;
  std::int64_t evaluate_every;  ///< steps; 0: only after the last, as is always done
  double dropout;               ///< of attention probabilities too
};

/// Trains on the characters of a text's first nine tenths and prints one line of JSON: the seconds of all steps,
/// without the evaluations, and the lowest of these, each the mean loss in nats of the whole last tenth.
template <class T, class D>
void train_recipe(const Recipe& recipe, const std::string& file, std::uint64_t seed, const std::string& device) {
  using Clock = std::chrono::steady_clock;
  const std::string text = plinth::read_text(file);
  const plinth::CharacterVocabulary vocabulary(text);
  const auto tokens = vocabulary.encode(text);
  const auto split = tokens.begin() + static_cast<std::ptrdiff_t>(tokens.size() * 9 / 10);
  const plinth::TokenWindows windows({tokens.begin(), split});
  const std::vector<std::int32_t> held_out(split, tokens.end());

  plinth::Decoder<T, D> model({.vocabulary = vocabulary.size(),
                               .context = recipe.context,
                               .hidden = recipe.hidden,
                               .layers = recipe.layers,
                               .heads = recipe.heads,
                               .activation = plinth::ActivationKind::gelu,
                               .bias = false,
                               .dropout = recipe.dropout,
                               .attention_dropout = recipe.dropout,
                               .seed = seed});
  plinth::Trainer trainer(model, {.steps = recipe.steps,
                                  .batch = recipe.batch,
                                  .learning_rate = 1e-3,
                                  .final_learning_rate = 1e-4,
                                  .warmup_steps = 100,
                                  .seed = seed,
                                  .report_every = recipe.evaluate_every ? recipe.evaluate_every : recipe.steps});
  double seconds = 0, best = std::numeric_limits<double>::infinity();
  auto start = Clock::now();
  trainer.fit(windows, [&](const plinth::TrainingStep&) {
    seconds += std::chrono::duration<double>(Clock::now() - start).count();
    best = std::min(best, plinth::mean_loss(model, held_out, recipe.context));
    start = Clock::now();
  });
  std::printf("{\"seed\": %llu, \"steps\": %lld, \"device\": \"%s\", \"seconds\": %.2f, \"validation_loss\": %.4f}\n",
              static_cast<unsigned long long>(seed), static_cast<long long>(recipe.steps), device.c_str(), seconds,
              best);
}

}  // namespace benchmark
