// SPDX-License-Identifier: MIT
// JSON from strangers: what is read, and what is refused without memory for it.
#include <plinth/io/json.hpp>

#include <string>

#include "catch.hpp"

using namespace plinth;
using Catch::Matchers::Contains;
using detail::parse_json;

namespace {

constexpr std::size_t longest = 1000;

std::string repeated(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

void refuses(const std::string& text, const std::string& what) {
  INFO(text.substr(0, 100));
  CHECK_THROWS_AS(parse_json(text, longest), FormatError);
  CHECK_THROWS_WITH(parse_json(text, longest), Contains(what));
}

}  // namespace

TEST_CASE("JSON values are read") {
  const auto json = parse_json(R"( {"a": [1, -2, 0.5, true, null], "b": {"a": "\u20ac"}} )", longest);
  CHECK(json["a"].size() == 5);
  CHECK(json["a"][0] == 1);
  CHECK(json["a"][2] == 0.5);
  CHECK(json["b"]["a"] == "\xe2\x82\xac");
  CHECK(parse_json("18446744073709551615", longest) == 18446744073709551615u);
}

TEST_CASE("JSON that is none is refused") {
  refuses("", "not valid JSON at byte 1");
  refuses("{", "not valid JSON at byte 2");
  refuses("{} x", "not valid JSON at byte 4");
  refuses("[1,]", "not valid JSON at byte 4");
  refuses("NaN", "not valid JSON");
  refuses("\xef\xbb\xbf", "not valid JSON");
  refuses("\"\xff\"", "not valid JSON");
  refuses(std::string("{}\0", 3), "contains a zero byte");
  refuses("1e999", "a number is too large");
}

TEST_CASE("JSON that is too long, too deep or has a key twice is refused") {
  refuses(std::string(longest + 1, ' '), "the text has 1001 bytes, more than 1000");
  CHECK(parse_json("1" + std::string(longest - 1, ' '), longest) == 1);
  CHECK_NOTHROW(parse_json(repeated("[", 64) + repeated("]", 64), longest));
  refuses(repeated("[", 65) + repeated("]", 65), "nested deeper than 64");
  refuses(repeated("{\"a\":", 65), "nested deeper than 64");
  CHECK_THROWS_WITH(parse_json(std::string(20'000'000, '['), 20'000'000), Contains("nested deeper than 64"));
  refuses(R"({"a":1,"a":1})", R"(the key "a" stands twice)");
  refuses(R"([{"b":{"a":1,"c":[{}],"a":1}}])", R"(the key "a" stands twice)");
  CHECK_NOTHROW(parse_json(R"([{"a":1},{"a":{"a":[{"a":1}]}}])", longest));
}
