// SPDX-License-Identifier: MIT
// Where an axis has its ticks, and what stands beside them.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <plinth/tensor/error.hpp>

namespace plinth {

/// The ends of an axis, low < high.
struct AxisRange {
  double low = 0,  ///< the left or lower end
      high = 1;    ///< the right or upper end
};

/// Values from low to high at multiples of 1, 2 or 5 times a power of ten. Each label is the value divided by
/// 10^exponent; the exponent is 0 unless plain labels would be long.
struct Ticks {
  std::vector<double> values;       ///< ascending
  std::vector<std::string> labels;  ///< one for each value
  int exponent = 0;                 ///< of the power of ten that labels leave out
};

namespace detail {

/// What can be drawn: NaN, infinities and numbers so large that differences overflow cannot.
inline bool drawable(double value) { return std::abs(value) <= 1e300; }

/// The number with so many digits after the point, whatever the locale; never "-0".
inline std::string fixed(double value, int digits) {
  char text[512];
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, digits).ptr;
  std::string result(text, end);
  return result.find_first_not_of("-0.") == std::string::npos && result[0] == '-' ? result.substr(1) : result;
}

/// The number to so many significant digits, as short as they can be written, whatever the locale; "nan" and "inf".
inline std::string significant(double value, int digits) {
  if (std::isnan(value)) return "nan";  // whatever its sign
  char text[64];
  return {text, std::to_chars(text, text + sizeof text, value, std::chars_format::general, digits).ptr};
}

/// m 10^power, the nearest double to it: a quotient of whole numbers where the power is negative.
inline double scaled(double m, int power) { return power < 0 ? m / std::pow(10.0, -power) : m * std::pow(10.0, power); }

}  // namespace detail

/// The range with both ends moved outwards where it is too narrow to count in: a constant stands in its middle.
inline AxisRange widened(AxisRange range) {
  const double size = std::max(std::abs(range.low), std::abs(range.high));
  if (range.high - range.low > std::max(size * 1e-10, 1e-280)) return range;
  const double margin = size < 1e-280 ? 1 : size * 0.1;
  return {range.low - margin, range.high + margin};
}

/// The ticks of an axis: as many as possible, at most `most`, at least one where most >= 5.
/// Throws ArgumentError unless low < high, both within 1e300 of 0, and most > 0.
inline Ticks ticks(AxisRange range, int most) {
  detail::require<ArgumentError>(range.low < range.high && range.low >= -1e300 && range.high <= 1e300 && most > 0,
                                 "ticks: at most ", most, " from ", range.low, " to ", range.high);
  range = widened(range);
  constexpr double slack = 1e-9;  // of a step: ends that are multiples themselves count in spite of rounding
  int power = static_cast<int>(std::floor(std::log10((range.high - range.low) / most))) - 1;
  double first = 0, last = 0;
  int multiple = 1;
  for (;; multiple = multiple == 1 ? 2 : multiple == 2 ? 5 : (++power, 1)) {
    const double step = detail::scaled(multiple, power);
    first = std::ceil(range.low / step - slack), last = std::floor(range.high / step + slack);
    if (last - first < most) break;
  }
  Ticks result;
  const double size = std::max(std::abs(first), std::abs(last)) * multiple;  // of the largest tick, in 10^power
  const int magnitude = size > 0 ? static_cast<int>(std::floor(std::log10(size) + slack)) + power : power;
  if (magnitude >= 6 || magnitude <= -5) result.exponent = magnitude;
  for (double i = first; i <= last; ++i) {
    result.values.push_back(detail::scaled(i * multiple, power));
    result.labels.push_back(
        detail::fixed(detail::scaled(i * multiple, power - result.exponent), std::max(0, result.exponent - power)));
  }
  return result;
}

}  // namespace plinth
