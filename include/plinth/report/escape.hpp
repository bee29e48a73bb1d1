// SPDX-License-Identifier: MIT
// Any text, hostile ones too, as the content of XML and HTML.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace plinth::detail {

/// The length of the character (RFC 3629) that text begins with; 0 when it is not valid UTF-8 or no XML document may
/// contain it (XML 1.0, section 2.2).
inline std::size_t xml_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
  const std::uint32_t first = byte(0);
  if (first < 0x80) return first >= 0x20 || first == '\t' || first == '\n' || first == '\r' ? 1 : 0;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  std::uint32_t code = first & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3F);
  }
  const std::uint32_t least = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000;
  const bool surrogate = code >= 0xD800 && code < 0xE000;
  return code >= least && code <= 0x10FFFF && !surrogate && code != 0xFFFE && code != 0xFFFF ? length : 0;
}

/// Takes the first character off a text; empty when xml_character refuses it, which takes one byte off.
inline std::string_view take_character(std::string_view& text) {
  const std::size_t length = xml_character(text);
  const std::string_view character = text.substr(0, length);
  text.remove_prefix(std::max<std::size_t>(length, 1));
  return character;
}

/// One character as it stands in XML and HTML, between tags or in double quotes: markup escaped, what was refused as
/// U+FFFD.
inline std::string_view xml_escaped(std::string_view character) {
  if (character.empty()) return "\uFFFD";
  if (character == "&") return "&amp;";
  if (character == "<") return "&lt;";
  if (character == ">") return "&gt;";
  if (character == "\"") return "&quot;";
  return character;
}

/// The text as it stands in XML and HTML, with its line breaks.
inline std::string xml_text(std::string_view text) {
  std::string result;
  while (!text.empty()) result += xml_escaped(take_character(text));
  return result;
}

/// The same on one line. Of more than `longest` characters the last ones become an ellipsis.
inline std::string xml_line(std::string_view text, std::size_t longest) {
  std::string result;
  std::size_t last_begin = 0;  // where the last character of the result begins
  for (std::size_t count = 0; !text.empty(); ++count) {
    if (count == longest) return result.substr(0, last_begin) + "\u2026";
    last_begin = result.size();
    const std::string_view character = take_character(text);
    result += character == "\t" || character == "\n" || character == "\r" ? " " : xml_escaped(character);
  }
  return result;
}

}  // namespace plinth::detail
