// SPDX-License-Identifier: MIT
// What training in bfloat16 costs in loss: GPT-2 (124M parameters) from the same weights on the same batches in both
// element types, and the loss on the last tenth of the tokens before and after.
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <plinth/plinth.hpp>

#include "rows.hpp"

namespace {

struct Options {
  bool json = false;
  std::string tokens;
  std::int64_t steps = 200, batch = 4, context = 64;
};

/// Tokens of two bytes each, the low one first, as nanoGPT's prepare.py writes them. Throws IoError.
std::vector<std::int32_t> read_tokens(const std::string& file, std::int64_t vocabulary) {
  const std::string bytes = plinth::read_text(file);
  if (bytes.size() % 2 != 0) throw plinth::IoError(file + ": an odd number of bytes; two a token are expected");
  std::vector<std::int32_t> tokens(bytes.size() / 2);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = static_cast<unsigned char>(bytes[2 * i]) + 256 * static_cast<unsigned char>(bytes[2 * i + 1]);
    if (tokens[i] >= vocabulary)
      throw plinth::IoError(file + ": token " + std::to_string(tokens[i]) + " is none of GPT-2's " +
                            std::to_string(vocabulary) + "; two bytes a token are expected");
  }
  return tokens;
}

/// The loss on held-out tokens after training; or of the first weights.
template <class T>
double loss_after(bool training, const Options& options) {
  constexpr std::int64_t vocabulary = 50257;
  const auto tokens = read_tokens(options.tokens, vocabulary);
  const auto split = tokens.begin() + static_cast<std::ptrdiff_t>(tokens.size() * 9 / 10);
  const plinth::TokenWindows data({tokens.begin(), split});
  const std::vector<std::int32_t> held_out(split, tokens.end());

  plinth::Decoder<T> model({.vocabulary = vocabulary, .context = 1024, .hidden = 768, .layers = 12, .heads = 12});
  plinth::Trainer trainer(model, {.steps = options.steps,
                                  .batch = options.batch,
                                  .context = options.context,
                                  .learning_rate = 6e-4,
                                  .final_learning_rate = 6e-5,
                                  .warmup_steps = options.steps / 10});
  if (training) trainer.fit(data);
  return plinth::mean_loss(model, held_out, options.context);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("The loss of GPT-2 124M trained in bfloat16 and in float.\nExample: bfloat16_loss --tokens train.bin");
  Options options;
  app.option_defaults()->always_capture_default();
  app.add_flag("--json", options.json, "Print a JSON object for each row");
  app.add_option("--tokens", options.tokens, "GPT-2's tokens, two bytes each, as nanoGPT prepares them")->required();
  app.add_option("--steps", options.steps, "Optimiser steps")->check(CLI::Range(10, 1000000));
  app.add_option("--batch", options.batch, "Rows of a batch")->check(CLI::Range(1, 1024));
  app.add_option("--context", options.context, "Tokens of a row")->check(CLI::Range(2, 1024));
  CLI11_PARSE(app, argc, argv);
  try {
    const double before = loss_after<float>(false, options), in_float = loss_after<float>(true, options);
    const double in_bfloat16 = loss_after<plinth::bfloat16>(true, options);
    const benchmark::Table table(options.json);
    const std::string name = "GPT-2 124M loss after " + std::to_string(options.steps) + " steps B" +
                             std::to_string(options.batch) + " T" + std::to_string(options.context);
    table.print({name,
                 benchmark::all_threads(),
                 "nats",
                 {{"Plinth", in_bfloat16}, {"in float", in_float}, {"before", before}}});
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bfloat16_loss: %s\n", error.what());
    return 1;
  }
}
