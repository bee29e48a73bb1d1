// SPDX-License-Identifier: MIT
// The dates that translate_dates learns from.
#include "../../examples/translate_dates/dates.hpp"

#include <set>
#include <string>
#include <unordered_map>

#include "catch.hpp"

namespace {

Day day(int y, unsigned m, unsigned d) {
  return std::chrono::year_month_day{std::chrono::year(y), std::chrono::month(m), std::chrono::day(d)};
}

}  // namespace

TEST_CASE("a date is written as its pattern says") {
  // Weekdays by Python 3.11: datetime.date(1998, 3, 3).strftime("%A") and so on.
  CHECK(written(day(1998, 3, 3), "%Y|%y|%B|%b|%m|%n|%A|%a|%d|%e|%o") == "1998|98|March|Mar|03|3|Tuesday|Tue|03|3|3rd");
  CHECK(written(day(2049, 12, 31), "%A, %e %B %Y") == "Friday, 31 December 2049");
  CHECK(written(day(2000, 2, 29), "%a %y") == "Tue 00");
  CHECK(iso(day(2004, 11, 9)) == "2004-11-09");
  std::string ordinals;
  for (const unsigned d : {1u, 2u, 3u, 4u, 10u, 11u, 12u, 13u, 19u, 20u, 21u, 22u, 23u, 24u, 30u, 31u})
    ordinals += written(day(1999, 1, d), "%o ");
  CHECK(ordinals == "1st 2nd 3rd 4th 10th 11th 12th 13th 19th 20th 21st 22nd 23rd 24th 30th 31st ");
  CHECK_THROWS_AS(written(day(1999, 1, 1), "%q"), plinth::ArgumentError);
}

TEST_CASE("days of a hundred years are split by the day, in a way of their own for each seed") {
  const SplitDays split = split_days(1);
  const std::set<Day> training(split.training.begin(), split.training.end());
  const std::set<Day> held_out(split.held_out.begin(), split.held_out.end());
  CHECK(held_out.size() == 1000);
  CHECK(training.size() == 36525 - 1000);  // 25 of the years are leap years
  std::set<Day> all = training;
  all.insert(held_out.begin(), held_out.end());
  CHECK(all.size() == 36525);
  CHECK(*all.begin() == day(1950, 1, 1));
  CHECK(*all.rbegin() == day(2049, 12, 31));
  CHECK(split_days(1).held_out == split.held_out);
  CHECK(split_days(2).held_out != split.held_out);
}

TEST_CASE("no text is the date of two days") {
  const SplitDays split = split_days(1);
  std::unordered_map<std::string, Day> meaning;
  std::string ambiguous;
  for (const auto* days : {&split.training, &split.held_out})
    for (const Day one : *days)
      for (const auto pattern : date_patterns)
        if (const auto text = written(one, pattern); meaning.emplace(text, one).first->second != one) ambiguous = text;
  CHECK(ambiguous == "");
}

TEST_CASE("spellings use every pattern, in capitals and small letters too, and a word always gives the same one") {
  std::set<std::string> texts;
  for (std::uint32_t word = 0; word < 4 * date_patterns.size(); ++word) {
    texts.insert(spelled(day(1998, 3, 3), word));
    CHECK(spelled(day(1998, 3, 3), word) == spelled(day(1998, 3, 3), word));
  }
  for (const auto pattern : date_patterns) CHECK(texts.count(written(day(1998, 3, 3), pattern)) == 1);
  CHECK(texts.count("MAR 3 98") == 1);
  CHECK(texts.count("the 3rd of march 1998") == 1);
}
