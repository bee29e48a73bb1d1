// SPDX-License-Identifier: MIT
// The command line of classify_text.
#include "options.hpp"

#include <CLI/CLI.hpp>

#include <plinth/tensor/error.hpp>

namespace {

/// What the model can read: words it has learned, not too many.
std::string check_sentence(const WordVocabulary& vocabulary, const std::string& sentence) {
  try {
    const std::size_t words = vocabulary.encode(sentence).size() - 1;
    if (words > 0 && words <= Options::longest_sentence) return "";
    return "\"" + sentence + "\" has " + std::to_string(words) + " words, must have 1 to " +
           std::to_string(Options::longest_sentence);
  } catch (const plinth::ArgumentError& error) {
    return error.what();
  }
}

}  // namespace

std::optional<int> parse_options(int argc, char** argv, const WordVocabulary& vocabulary, Options& options) {
  CLI::App app("Trains a small BERT to sort sentences of financial news into negative, neutral and positive.",
               "classify_text");
  app.footer(
      "Example: classify_text \"debts at orion did not fall\" \"acme said losses shrank\"\n"
      "Exit codes: 0 done, 1 failed, 2 wrong usage.");
  app.option_defaults()->always_capture_default();
  app.add_option("SENTENCE", options.sentences, "Sentences to sort after training; without any, five of our own")
      ->default_str("")
      ->check(CLI::Validator([&](const std::string& text) { return check_sentence(vocabulary, text); }, ""));
  app.add_option("--steps", options.steps, "Optimiser steps")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1000000}));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return std::nullopt;
}
