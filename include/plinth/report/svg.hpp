// SPDX-License-Identifier: MIT
// The few pieces of SVG that plots are made of.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <plinth/report/ticks.hpp>

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

/// One character as it stands in XML: markup escaped, what xml_character refuses (then empty) as U+FFFD.
inline std::string_view xml_escaped(std::string_view character) {
  if (character.empty()) return "\uFFFD";
  if (character == "&") return "&amp;";
  if (character == "<") return "&lt;";
  if (character == ">") return "&gt;";
  if (character == "\"") return "&quot;";
  return character == "\t" || character == "\n" || character == "\r" ? " " : character;
}

/// The text as it stands in XML. Of more than `longest` characters the last ones become an ellipsis.
inline std::string xml_text(std::string_view text, std::size_t longest) {
  std::string result;
  std::size_t last_begin = 0;  // where the last character of the result begins
  for (std::size_t count = 0; !text.empty(); ++count) {
    if (count == longest) return result.substr(0, last_begin) + "\u2026";
    last_begin = result.size();
    const std::size_t length = xml_character(text);
    result += xml_escaped(text.substr(0, length));
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return result;
}

/// How wide a UTF-8 text is drawn, in letters: those of Chinese, Japanese and Korean count twice.
inline std::size_t letters_wide(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    count += (byte & 0xC0) == 0x80 ? 0 : byte > 0xE2 ? 2 : 1;
  }
  return count;
}

/// A coordinate in pixels, to a tenth.
inline std::string pixels(double value) {
  const std::string text = fixed(value, 1);
  return text.ends_with(".0") ? text.substr(0, text.size() - 2) : text;
}

/// <text>, with further attributes; the content is escaped and cut as xml_text does.
inline std::string svg_text(double x, double y, std::string_view attributes, std::string_view content,
                            std::size_t longest = 100) {
  return join("<text x=\"", pixels(x), "\" y=\"", pixels(y), "\"", attributes.empty() ? "" : " ", attributes, ">",
              xml_text(content, longest), "</text>\n");
}

/// <line>, with further attributes.
inline std::string svg_line(double x1, double y1, double x2, double y2, std::string_view attributes) {
  return join("<line x1=\"", pixels(x1), "\" y1=\"", pixels(y1), "\" x2=\"", pixels(x2), "\" y2=\"", pixels(y2), "\" ",
              attributes, "/>\n");
}

/// Ten to a power, in superscript digits.
inline std::string power_of_ten(int exponent) {
  constexpr const char* digits[] = {"\u2070", "\u00B9", "\u00B2", "\u00B3", "\u2074",
                                    "\u2075", "\u2076", "\u2077", "\u2078", "\u2079"};
  std::string text = exponent < 0 ? "10\u207B" : "10";
  for (const char digit : fixed(std::abs(exponent), 0)) text += digits[digit - '0'];
  return text;
}

}  // namespace plinth::detail
