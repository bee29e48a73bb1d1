// SPDX-License-Identifier: MIT
// Bytes and characters as tokens: there and back, and every way a text can fail to be UTF-8 (RFC 3629).
#include <plinth/train/vocabulary.hpp>

#include <string>
#include <vector>

#include "catch.hpp"

using namespace plinth;
using Catch::Matchers::Contains;
using Ids = std::vector<std::int32_t>;

namespace {

bool is_utf8(const std::string& bytes) {
  try {
    const CharacterVocabulary vocabulary("ab" + bytes + "c");
    return true;
  } catch (const FormatError& error) {
    CHECK_THAT(error.what(), Contains("byte 2 is not valid UTF-8"));
    return false;
  }
}

}  // namespace

TEST_CASE("bytes are tokens") {
  const ByteVocabulary vocabulary;
  CHECK(vocabulary.size() == 256);
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  const Ids ids = vocabulary.encode(all);
  CHECK(ids.front() == 0);
  CHECK(ids.back() == 255);
  CHECK(vocabulary.decode(ids) == all);
  CHECK(vocabulary.encode("").empty());
  CHECK_THROWS_WITH(vocabulary.decode(Ids{256}), "byte vocabulary: no token 256");
  CHECK_THROWS_AS(vocabulary.decode(Ids{-1}), ArgumentError);
}

TEST_CASE("characters are tokens in ascending order") {
  const std::string text = "hello, w\xC3\xB6rld \xE2\x82\xAC \xF0\x9F\x98\x80\n";  // o umlaut, euro sign, a smile
  const CharacterVocabulary vocabulary(text);
  CHECK(vocabulary.size() == 13);
  const Ids ids = vocabulary.encode(text);
  CHECK(ids.size() == 17);
  CHECK(vocabulary.decode(ids) == text);
  CHECK(vocabulary.encode("\n ,") == Ids{0, 1, 2});
  CHECK(vocabulary.encode("\xC3\xB6\xE2\x82\xAC\xF0\x9F\x98\x80") == Ids{10, 11, 12});
  CHECK_THROWS_WITH(CharacterVocabulary(""), "character vocabulary: the text is empty");
  CHECK(CharacterVocabulary(std::string("a\0a", 3)).size() == 2);
}

TEST_CASE("a character or token that is not in the vocabulary is refused") {
  const CharacterVocabulary vocabulary("abc\xC3\xB6");
  CHECK_THROWS_WITH(vocabulary.encode("abx"), "character vocabulary: 'x' at byte 2 is not in the vocabulary");
  CHECK_THROWS_WITH(vocabulary.encode("\xC3\xB6\xC3\xA4"), Contains("'\xC3\xA4' at byte 2"));
  CHECK_THROWS_WITH(vocabulary.decode(Ids{0, 4}), "character vocabulary: no token 4");
  CHECK_THROWS_AS(vocabulary.decode(Ids{-1}), ArgumentError);
  CHECK_THROWS_AS(vocabulary.encode("a\xFF"), FormatError);
}

TEST_CASE("the first and last characters of every length are UTF-8") {
  for (const std::string character : {"\x01", "\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
                                      "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"})
    CHECK(is_utf8(character));
}

TEST_CASE("what RFC 3629 forbids is not UTF-8") {
  const char* kind;
  std::string bytes;
  std::tie(kind, bytes) = GENERATE(table<const char*, std::string>({
      {"a continuation alone", "\x80"},
      {"a continuation alone, the last", "\xBF"},
      {"two bytes cut short", "\xC3"},
      {"three bytes cut short", "\xE2\x82"},
      {"four bytes cut short", "\xF0\x9F\x98"},
      {"a letter in place of the second byte", "\xC3""a"},
      {"a letter in place of the fourth byte", "\xF0\x9F\x98""a"},
      {"a start in place of a continuation", "\xE2\xC3\xB6"},
      {"two bytes where one is enough", "\xC0\x80"},
      {"two bytes where one is enough, the last", "\xC1\xBF"},
      {"three bytes where two are enough", "\xE0\x9F\xBF"},
      {"four bytes where three are enough", "\xF0\x8F\xBF\xBF"},
      {"the first surrogate", "\xED\xA0\x80"},
      {"the last surrogate", "\xED\xBF\xBF"},
      {"beyond U+10FFFF", "\xF4\x90\x80\x80"},
      {"a start of four bytes beyond F4", "\xF5\x80\x80\x80"},
      {"a start of five bytes", "\xF8\x88\x80\x80\x80"},
      {"the byte FE", "\xFE"},
      {"the byte FF", "\xFF"},
  }));
  INFO(kind);
  CHECK_FALSE(is_utf8(bytes));
  CHECK_THROWS_AS(CharacterVocabulary(bytes), FormatError);  // at the very end of a text
}
