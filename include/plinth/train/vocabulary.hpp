// SPDX-License-Identifier: MIT
// The two vocabularies that need no file: bytes, and the characters of a text.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <plinth/tensor/error.hpp>
#include <plinth/train/utf8.hpp>

namespace plinth {

/// Every byte is a token; any data can be encoded.
struct ByteVocabulary {
  /// V, the number of tokens.
  std::int64_t size() const { return 256; }
  /// One id per byte, its value.
  std::vector<std::int32_t> encode(std::string_view text) const {
    std::vector<std::int32_t> ids(text.size());
    std::transform(text.begin(), text.end(), ids.begin(), [](char c) { return static_cast<unsigned char>(c); });
    return ids;
  }
  /// Throws ArgumentError for an id outside [0, 256).
  std::string decode(std::span<const std::int32_t> ids) const {
    std::string text;
    for (const std::int32_t id : ids) {
      detail::require<ArgumentError>(id >= 0 && id < 256, "byte vocabulary: no token ", id);
      text += static_cast<char>(id);
    }
    return text;
  }
};

/// The distinct characters (Unicode code points) of a text, in ascending order.
class CharacterVocabulary {
 public:
  /// Throws ArgumentError when the text is empty, FormatError with the offset when it is not UTF-8.
  explicit CharacterVocabulary(std::string_view text) {
    detail::require<ArgumentError>(!text.empty(), "character vocabulary: the text is empty");
    for (std::size_t at = 0; at < text.size();) characters_.push_back(next(text, at));
    std::sort(characters_.begin(), characters_.end());
    characters_.erase(std::unique(characters_.begin(), characters_.end()), characters_.end());
  }

  /// V, the number of characters.
  std::int64_t size() const { return static_cast<std::int64_t>(characters_.size()); }

  /// One id per character. Throws ArgumentError for a character the vocabulary lacks, FormatError for bad UTF-8.
  std::vector<std::int32_t> encode(std::string_view text) const {
    std::vector<std::int32_t> ids;
    ids.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t begin = at;
      const std::string character = next(text, at);
      const auto found = std::lower_bound(characters_.begin(), characters_.end(), character);
      detail::require<ArgumentError>(found != characters_.end() && *found == character, "character vocabulary: '",
                                     character, "' at byte ", begin, " is not in the vocabulary");
      ids.push_back(static_cast<std::int32_t>(found - characters_.begin()));
    }
    return ids;
  }

  /// Throws ArgumentError for an id outside [0, size()).
  std::string decode(std::span<const std::int32_t> ids) const {
    std::string text;
    for (const std::int32_t id : ids) {
      detail::require<ArgumentError>(id >= 0 && id < size(), "character vocabulary: no token ", id);
      text += characters_[static_cast<std::size_t>(id)];
    }
    return text;
  }

 private:
  /// The character at `at`, which moves behind it.
  static std::string next(std::string_view text, std::size_t& at) {
    const std::size_t length = detail::utf8_length(text.substr(at));
    detail::require<FormatError>(length > 0, "character vocabulary: byte ", at, " is not valid UTF-8");
    at += length;
    return std::string(text.substr(at - length, length));
  }

  std::vector<std::string> characters_;
};

}  // namespace plinth
