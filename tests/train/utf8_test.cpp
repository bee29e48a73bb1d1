// SPDX-License-Identifier: MIT
// UTF-8: every code point has one form, and what is none of these forms is no character.
#include <plinth/train/utf8.hpp>

#include <cstdint>
#include <map>
#include <string>

#include "catch.hpp"

using plinth::detail::utf8_length;

namespace {

/// A code point's only form.  RFC 3629, section 3.
std::string form_of(std::uint32_t code) {
  const auto byte = [](std::uint32_t bits) { return static_cast<char>(bits); };
  const auto rest = [&](int shift) { return byte(0x80 | (code >> shift & 0x3F)); };
  if (code < 0x80) return {byte(code)};
  if (code < 0x800) return {byte(0xC0 | code >> 6), rest(0)};
  if (code < 0x10000) return {byte(0xE0 | code >> 12), rest(6), rest(0)};
  return {byte(0xF0 | code >> 18), rest(12), rest(6), rest(0)};
}

}  // namespace

TEST_CASE("the forms of all code points are UTF-8 and no others are") {
  std::map<std::string, std::uint64_t> valid;  // how many forms begin with these two bytes
  std::uint64_t wrong = 0;
  for (std::uint32_t code = 0; code <= 0x10FFFF; ++code) {
    if (code >= 0xD800 && code < 0xE000) continue;
    const std::string form = form_of(code);
    wrong += utf8_length(form) != form.size() || utf8_length(form + '\x80') != form.size();
    wrong += form.size() > 1 && utf8_length(form.substr(0, form.size() - 1)) != 0;
    if (form.size() > 2) ++valid[form.substr(0, 2)];
  }
  CHECK(wrong == 0);
  for (int first = 0x80; first < 0x100; ++first) {
    for (int second = 0; second < 0x100; ++second) {
      const std::string begin = {static_cast<char>(first), static_cast<char>(second)};
      const bool longer = valid.contains(begin), two = first >= 0xC2 && first < 0xE0 && (second & 0xC0) == 0x80;
      const std::size_t length = utf8_length(begin + "\x80\x80");
      wrong += length != (two ? 2u : !longer ? 0u : first < 0xF0 ? 3u : 4u);
    }
  }
  CHECK(wrong == 0);
  CHECK(utf8_length("") == 0);
  CHECK(utf8_length("\xE2\x82(") == 0);
  CHECK(utf8_length("\xF0\x9F\x98(") == 0);
}
