// SPDX-License-Identifier: MIT
// What classify_text can be told, and how it is told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "word_vocabulary.hpp"

struct Options {
  static constexpr std::size_t longest_sentence = 31;  // words

  std::int64_t steps = 1200;
  std::vector<std::string> sentences = {"profits at acme rose", "debts at acme rose", "debts at acme did not rise",
                                        "acme did not say whether debts rose",
                                        "sales at acme slid although analysts had expected them to surge"};
};

/// Reads the command line into the options; sentences must be of words that the vocabulary knows. Returns nothing to go
/// on, else the exit code: 0 after --help, 2 after a message about wrong usage.
std::optional<int> parse_options(int argc, char** argv, const WordVocabulary& vocabulary, Options& options);
