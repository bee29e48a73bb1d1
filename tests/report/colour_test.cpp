// SPDX-License-Identifier: MIT
// The colour scale: even to the eye by another measure than the one it is built on, and true to Oklab.
// The colours of Oklab were printed by golden/oklab_golden.py.
#include <plinth/report/colour.hpp>

#include <cmath>
#include <string>

#include "catch.hpp"

using plinth::detail::oklab_colour;
using plinth::detail::sequential_colour;

namespace {

/// CIE 1976 lightness of "#rrggbb", from 0 to 100 (IEC 61966-2-1, CIE 15).
double lightness(const std::string& colour) {
  const auto light = [&](std::size_t at) {
    const double channel = std::stoi(colour.substr(at, 2), nullptr, 16) / 255.0;
    return channel <= 0.04045 ? channel / 12.92 : std::pow((channel + 0.055) / 1.055, 2.4);
  };
  const double luminance = 0.2126 * light(1) + 0.7152 * light(3) + 0.0722 * light(5);
  return luminance > 0.008856 ? 116 * std::cbrt(luminance) - 16 : 903.3 * luminance;
}

}  // namespace

TEST_CASE("a larger value is darker, by about as much everywhere") {
  constexpr int steps = 32;
  CHECK(lightness(sequential_colour(0)) > 95);
  CHECK(lightness(sequential_colour(1)) < 20);
  const double mean = (lightness(sequential_colour(0)) - lightness(sequential_colour(1))) / steps;
  for (int i = 0; i < steps; ++i) {
    const double step =
        lightness(sequential_colour(double(i) / steps)) - lightness(sequential_colour(double(i + 1) / steps));
    INFO("step " << i);
    CHECK(step == Approx(mean).epsilon(0.25));
  }
}

TEST_CASE("shares outside the scale take its ends") {
  CHECK(sequential_colour(-1) == sequential_colour(0));
  CHECK(sequential_colour(2) == sequential_colour(1));
}

TEST_CASE("colours of Oklab") {
  CHECK(oklab_colour(0.985, -0.012, 0.035) == "#fcfde0");
  CHECK(oklab_colour(0.6, 0.1, -0.05) == "#a8669c");
  CHECK(oklab_colour(0.275, -0.01, -0.105) == "#0c225a");
  CHECK(oklab_colour(0.5, 0, 0) == "#636363");
  CHECK(oklab_colour(0, 0, 0) == "#000000");
  CHECK(oklab_colour(1, 0, 0) == "#ffffff");
  CHECK(oklab_colour(0.7, 0.15, 0.1) == "#fa6c4d");
  CHECK(sequential_colour(0) == "#fcfde0");
  CHECK(sequential_colour(1) == "#0c225a");
}
