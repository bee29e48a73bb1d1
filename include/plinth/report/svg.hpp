// SPDX-License-Identifier: MIT
// The few pieces of SVG that drawings are made of, and writing one.
#pragma once

#include <cmath>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include <plinth/report/escape.hpp>
#include <plinth/report/ticks.hpp>
#include <plinth/train/write_text.hpp>

namespace plinth::detail {

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

/// <text>, with further attributes; the content is escaped and cut as xml_line does.
inline std::string svg_text(double x, double y, std::string_view attributes, std::string_view content,
                            std::size_t longest = 100) {
  return join("<text x=\"", pixels(x), "\" y=\"", pixels(y), "\"", attributes.empty() ? "" : " ", attributes, ">",
              xml_line(content, longest), "</text>\n");
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

/// What stands along an axis: its label, and the power of ten that its ticks leave out.
inline std::string axis_label(const std::string& text, int exponent) {
  if (exponent == 0) return text;
  return text + (text.empty() ? "\u00D7" : " / ") + power_of_ten(exponent);
}

/// What stands beside a tick, with a minus sign in place of a hyphen.
inline std::string tick_label(const std::string& label) {
  return label.starts_with('-') ? "\u2212" + label.substr(1) : label;
}

/// The heading of a drawing, about as long as fits.
inline std::string svg_heading(double x, std::string_view title) {
  return svg_text(x, 30, "font-size=\"18\" font-weight=\"bold\" fill=\"#222\"", title, 60);
}

/// A whole drawing on a white ground, its size in pixels; the title is for those who cannot see it.
inline std::string svg_document(double width, double height, std::string_view title, std::string_view content) {
  return join(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"", pixels(width), "\" height=\"", pixels(height),
      "\" viewBox=\"0 0 ", pixels(width), " ", pixels(height), "\" role=\"img\" font-size=\"14\" fill=\"#333\" ",
      "font-family=\"'DejaVu Sans', Verdana, 'Segoe UI', Helvetica, Arial, sans-serif\">\n<title>",
      xml_line(title, 200), "</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n", content, "</svg>\n");
}

}  // namespace plinth::detail

namespace plinth {

/// Writes to_svg(drawing). Throws what that throws, and IoError naming the file.
template <class Drawing>
void write_svg(const std::filesystem::path& file, const Drawing& drawing) {
  write_text(file.string(), to_svg(drawing));
}

}  // namespace plinth
