// SPDX-License-Identifier: MIT
// The command line of translate_dates.
#include "options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>

namespace {

/// What the model can read: some ASCII characters, not too many.
std::string check_date(const std::string& text) {
  const bool ascii = std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (text.empty() || text.size() > Options::longest_date || !ascii)
    return "\"" + text + "\" is not a date of 1 to " + std::to_string(Options::longest_date) + " ASCII characters";
  return "";
}

}  // namespace

std::optional<int> parse_options(int argc, char** argv, Options& options) {
  CLI::App app("Trains a small encoder-decoder to turn dates as people write them into ISO dates.", "translate_dates");
  app.footer(
      "Example: translate_dates \"3rd of March, 1998\" \"mar 3 98\"\n"
      "Exit codes: 0 done, 1 failed, 2 wrong usage.");
  app.option_defaults()->always_capture_default();
  app.add_option("DATE", options.dates, "Dates to translate after training, from 1950 to 2049")
      ->default_str("")
      ->check(CLI::Validator(check_date, ""));
  app.add_option("--steps", options.steps, "Optimiser steps")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1000000}));
  app.add_option("--seed", options.seed, "Seed of weights, batches and held-out dates");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return std::nullopt;
}
