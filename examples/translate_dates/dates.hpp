// SPDX-License-Identifier: MIT
// Days of a hundred years, and the many ways in which people write them.
#pragma once

#include <array>
#include <cctype>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <plinth/tensor/error.hpp>
#include <plinth/tensor/random.hpp>

using Day = std::chrono::sys_days;

/// How dates are written. With dots the day comes first, with slashes the month does, unless the year leads; a year of
/// two digits is one from 1950 to 2049. So every text means one day, whatever pattern it was written by.
inline constexpr std::array<std::string_view, 24> date_patterns = {
    "%e %B %Y", "%B %e, %Y", "%o of %B, %Y", "%B the %o, %Y", "%A, %e %B %Y",    "%A the %o of %B, %Y",
    "%e %b %Y", "%b %e %Y",  "%b %e %y",     "%e-%b-%y",      "%a %e %b %Y",     "%a, %b %e, %Y",
    "%d.%m.%Y", "%e.%n.%Y",  "%d.%m.%y",     "%e.%n.%y",      "%m/%d/%Y",        "%n/%e/%Y",
    "%n/%e/%y", "%Y/%m/%d",  "%Y%m%d",       "%Y %B %e",      "the %o of %B %Y", "%b %o, '%y"};

/// The day as the pattern says, in which stand for 1998-03-03:
///   %Y 1998   %y 98   %B March   %b Mar   %m 03   %n 3   %A Tuesday   %a Tue   %d 03   %e 3   %o 3rd
/// Throws ArgumentError for another letter behind a %.
inline std::string written(Day day, std::string_view pattern) {
  static constexpr const char* months[] = {"January", "February", "March",     "April",   "May",      "June",
                                           "July",    "August",   "September", "October", "November", "December"};
  static constexpr const char* weekdays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                             "Thursday", "Friday", "Saturday"};
  const std::chrono::year_month_day date = day;
  const int y = static_cast<int>(date.year());
  const unsigned m = static_cast<unsigned>(date.month()), d = static_cast<unsigned>(date.day());
  const std::string month = months[m - 1], weekday = weekdays[std::chrono::weekday(day).c_encoding()];
  const auto two_digits = [](unsigned number) {
    return std::string{static_cast<char>('0' + number / 10), static_cast<char>('0' + number % 10)};
  };
  const auto part = [&](char letter) -> std::string {
    switch (letter) {
      case 'Y':
        return std::to_string(y);
      case 'y':
        return two_digits(static_cast<unsigned>(y % 100));
      case 'B':
        return month;
      case 'b':
        return month.substr(0, 3);
      case 'm':
        return two_digits(m);
      case 'n':
        return std::to_string(m);
      case 'A':
        return weekday;
      case 'a':
        return weekday.substr(0, 3);
      case 'd':
        return two_digits(d);
      case 'e':
        return std::to_string(d);
      case 'o':
        return std::to_string(d) + (d / 10 == 1 || d % 10 > 3 ? "th" : std::array{"th", "st", "nd", "rd"}[d % 10]);
      default:
        plinth::detail::fail<plinth::ArgumentError>("date: the pattern has %", letter, ", which stands for nothing");
    }
  };
  std::string text;
  for (std::size_t i = 0; i < pattern.size(); ++i)
    if (pattern[i] == '%' && i + 1 < pattern.size())
      text += part(pattern[++i]);
    else
      text += pattern[i];
  return text;
}

/// The day in ISO 8601.
inline std::string iso(Day day) { return written(day, "%Y-%m-%d"); }

/// The day by one of the patterns, in capitals, small letters or as usual: a function of the random word.
inline std::string spelled(Day day, std::uint32_t word) {
  std::string text = written(day, date_patterns[word % date_patterns.size()]);
  const auto letters = word / date_patterns.size() % 4;
  for (char& letter : text) {
    const auto code = static_cast<unsigned char>(letter);
    letter = static_cast<char>(letters == 0 ? std::toupper(code) : letters == 1 ? std::tolower(code) : code);
  }
  return text;
}

/// The days to learn from, and those kept from the model to measure it.
struct SplitDays {
  std::vector<Day> training, held_out;
};

/// All days from 1950 to 2049, 1,000 of them, drawn by the seed, held out.
inline SplitDays split_days(std::uint64_t seed) {
  using namespace std::chrono;
  constexpr std::size_t held_out = 1000;
  std::vector<Day> days;
  for (Day day = year{1950} / January / 1; day < Day(year{2050} / January / 1); day += std::chrono::days(1))
    days.push_back(day);
  const plinth::RandomStream stream{seed, plinth::RandomPurpose::sample, plinth::random_site("days")};
  for (std::size_t i = 0; i < held_out; ++i) std::swap(days[i], days[i + stream.word(i, 0) % (days.size() - i)]);
  const auto border = days.begin() + held_out;
  return {{border, days.end()}, {days.begin(), border}};
}
