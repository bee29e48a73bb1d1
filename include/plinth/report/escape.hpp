// SPDX-License-Identifier: MIT
// Any text, hostile ones too, as the content of XML and HTML.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include <plinth/train/utf8.hpp>

namespace plinth::detail {

/// The length of the UTF-8 character that text begins with; 0 when there is none or no XML document may contain it: a
/// control character but tab and line breaks, U+FFFE and U+FFFF (XML 1.0, section 2.2).
inline std::size_t xml_character(std::string_view text) {
  const std::size_t length = utf8_length(text);
  const std::string_view character = text.substr(0, length);
  const bool blank = character == "\t" || character == "\n" || character == "\r";
  const bool control = length == 1 && static_cast<unsigned char>(text[0]) < 0x20 && !blank;
  return control || character == "\xEF\xBF\xBE" || character == "\xEF\xBF\xBF" ? 0 : length;
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
