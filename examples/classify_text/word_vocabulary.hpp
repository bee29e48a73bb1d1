// SPDX-License-Identifier: MIT
// Words as tokens.
#pragma once

#include <cstdint>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <plinth/tensor/error.hpp>

/// The distinct words of a text, split at white space. Token 0 stands in front of every sentence: what a classifier
/// reads, BERT's [CLS].
class WordVocabulary {
 public:
  std::int64_t size() const { return static_cast<std::int64_t>(ids_.size()) + 1; }

  /// Makes the words of a text known.
  void add(const std::string& text) {
    std::istringstream words(text);
    for (std::string word; words >> word;) ids_.emplace(word, static_cast<std::int32_t>(size()));
  }

  /// Token 0 and one token per word. Throws ArgumentError for a word that is not known.
  std::vector<std::int32_t> encode(const std::string& text) const {
    std::vector<std::int32_t> ids = {0};
    std::istringstream words(text);
    for (std::string word; words >> word;) {
      const auto found = ids_.find(word);
      plinth::detail::require<plinth::ArgumentError>(found != ids_.end(), "\"", text, "\": the word \"", word,
                                                     "\" is in no sentence that the model learns from");
      ids.push_back(found->second);
    }
    return ids;
  }

 private:
  std::map<std::string, std::int32_t> ids_;
};
