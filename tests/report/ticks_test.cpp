// SPDX-License-Identifier: MIT
// Ticks: known axes, and what must hold for every range.
#include <plinth/report/ticks.hpp>

#include <cmath>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "catch.hpp"

using namespace plinth;

TEST_CASE("ticks stand at multiples of 1, 2 and 5") {
  CHECK(ticks({0, 1200}, 9).labels == std::vector<std::string>{"0", "200", "400", "600", "800", "1000", "1200"});
  CHECK(ticks({0, 1}, 6).labels == std::vector<std::string>{"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"});
  CHECK(ticks({-0.3, 0.3}, 8).labels == std::vector<std::string>{"-0.3", "-0.2", "-0.1", "0.0", "0.1", "0.2", "0.3"});
  CHECK(ticks({1.9, 8.1}, 8).values == std::vector<double>{2, 3, 4, 5, 6, 7, 8});
  CHECK(ticks({2.31, 2.34}, 8).labels ==
        std::vector<std::string>{"2.310", "2.315", "2.320", "2.325", "2.330", "2.335", "2.340"});
}

TEST_CASE("labels of large and of small numbers share a power of ten") {
  const Ticks large = ticks({0, 5e6}, 9), small = ticks({0, 8e-7}, 5), plain = ticks({0, 500000}, 9);
  CHECK(large.exponent == 6);
  CHECK(large.labels == std::vector<std::string>{"0", "1", "2", "3", "4", "5"});
  CHECK(large.values.back() == 5e6);
  CHECK(small.exponent == -7);
  CHECK(small.labels == std::vector<std::string>{"0", "2", "4", "6", "8"});
  CHECK(plain.exponent == 0);
  CHECK(plain.labels.back() == "500000");
}

TEST_CASE("ticks of any range are in it, evenly spaced, told apart and true to their labels") {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> unit(-1, 1);
  for (int round = 0; round < 20000; ++round) {
    const double size = std::pow(10.0, 200 * unit(random)), middle = round % 2 ? unit(random) * size : 0;
    const double half = std::pow(10.0, -5 * std::abs(unit(random))) * size;
    const AxisRange range{middle - half, middle + half};
    const int most = 5 + round % 8;
    const Ticks t = ticks(range, most);
    INFO(range.low << " to " << range.high << ", at most " << most);
    REQUIRE(t.values.size() >= 2);
    REQUIRE(t.values.size() <= static_cast<std::size_t>(most));
    REQUIRE(t.labels.size() == t.values.size());
    const double step = t.values[1] - t.values[0],
                 mantissa = step / std::pow(10.0, std::floor(std::log10(step * 1.001)));
    REQUIRE((std::abs(mantissa - 1) < 1e-6 || std::abs(mantissa - 2) < 1e-6 || std::abs(mantissa - 5) < 1e-6));
    REQUIRE(t.values.front() - step < range.low + 1e-6 * step);  // no tick is missing
    REQUIRE(t.values.back() + step > range.high - 1e-6 * step);
    for (std::size_t i = 0; i < t.values.size(); ++i) {
      REQUIRE(t.values[i] >= range.low - 1e-6 * step);
      REQUIRE(t.values[i] <= range.high + 1e-6 * step);
      REQUIRE(t.values[i] == Approx(t.values[0] + static_cast<double>(i) * step).margin(1e-6 * step));
      REQUIRE(std::stod(t.labels[i]) * std::pow(10.0, t.exponent) ==
              Approx(t.values[i]).epsilon(1e-9).margin(1e-6 * step));
    }
    REQUIRE(std::set<std::string>(t.labels.begin(), t.labels.end()).size() == t.labels.size());
  }
}

TEST_CASE("a range without width is widened around its value") {
  for (const double value : {0.0, 3.0, -7e9, 1e-30, 1e299}) {
    const AxisRange range = widened({value, value});
    CHECK(range.low < value);
    CHECK(value < range.high);
    CHECK(ticks(range, 8).values.size() >= 2);
  }
  CHECK(widened({1, 2}).low == 1);
  CHECK(ticks({1, std::nextafter(1.0, 2.0)}, 8).values.size() >= 2);
}

TEST_CASE("ticks refuse what is no range") {
  CHECK_THROWS_AS(ticks({1, 1}, 5), ArgumentError);
  CHECK_THROWS_AS(ticks({2, 1}, 5), ArgumentError);
  CHECK_THROWS_AS(ticks({std::nan(""), 1}, 5), ArgumentError);
  CHECK_THROWS_AS(ticks({0, INFINITY}, 5), ArgumentError);
  CHECK_THROWS_AS(ticks({0, 1}, 0), ArgumentError);
}
