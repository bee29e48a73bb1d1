// SPDX-License-Identifier: MIT
// The command line of train_masked_lm.
#include "options.hpp"

#include <CLI/CLI.hpp>

std::optional<int> parse_options(int argc, char** argv, Options& options) {
  CLI::App app("Trains a small BERT to guess the bytes that were hidden from it in a text.", "train_masked_lm");
  app.footer(
      "Example: train_masked_lm --steps 5000 --data book.txt notes/\n"
      "Exit codes: 0 done, 1 failed, 2 wrong usage.");
  app.option_defaults()->always_capture_default();
  app.add_option("--steps", options.steps, "Optimiser steps")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1000000}));
  app.add_option("--data", options.data, "Files or folders to learn from; without it Eigen's C++ headers")
      ->type_name("FILE")
      ->default_str("");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return std::nullopt;
}
