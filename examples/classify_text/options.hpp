// SPDX-License-Identifier: MIT
// The command line of classify_text.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <system_error>
#include <vector>

#include <plinth/tensor/error.hpp>

#include "word_vocabulary.hpp"

constexpr std::size_t longest = 31;  // words of a sentence

/// The command line: classify_text [--steps N] [SENTENCE...]
struct Options {
  std::int64_t steps = 1200;
  std::vector<std::string> sentences = {"profits at acme rose", "debts at acme rose", "debts at acme did not rise",
                                        "acme did not say whether debts rose",
                                        "sales at acme slid although analysts had expected them to surge"};
};

/// Throws ArgumentError for what cannot be understood.
inline Options parse_options(std::vector<std::string> arguments, const WordVocabulary& vocabulary) {
  Options options;
  if (!arguments.empty() && arguments[0] == "--steps") {
    const std::string value = arguments.size() > 1 ? arguments[1] : "";
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), options.steps);
    plinth::detail::require<plinth::ArgumentError>(
        error == std::errc() && end == value.data() + value.size() && options.steps > 0 && options.steps <= 1000000,
        "--steps needs a number from 1 to 1000000, not \"", value, '"');
    arguments.erase(arguments.begin(), arguments.begin() + 2);
  }
  if (!arguments.empty()) options.sentences = arguments;
  for (const std::string& sentence : options.sentences) {
    const std::size_t words = vocabulary.encode(sentence).size() - 1;
    plinth::detail::require<plinth::ArgumentError>(words > 0 && words <= longest, "\"", sentence, "\" has ", words,
                                                   " words, must have 1 to ", longest);
  }
  return options;
}
