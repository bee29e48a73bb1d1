// SPDX-License-Identifier: MIT
// The colours of plots: of things that differ in kind, and of values that differ in size.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>

namespace plinth::detail {

/// Okabe & Ito's colours ("Color Universal Design", 2008), told apart by colour-blind readers; yellow, too faint on
/// white, is left out.
inline constexpr std::array<std::string_view, 7> series_colours = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                                                   "#E69F00", "#56B4E9", "#000000"};

/// A channel of linear light as the two hexadecimal digits of sRGB (IEC 61966-2-1).
inline std::string srgb_digits(double light) {
  const double channel = light <= 0.0031308 ? 12.92 * light : 1.055 * std::pow(light, 1 / 2.4) - 0.055;
  const auto byte = static_cast<std::size_t>(std::lround(255 * std::clamp(channel, 0.0, 1.0)));
  constexpr std::string_view digits = "0123456789abcdef";
  return {digits[byte / 16], digits[byte % 16]};
}

/// A colour of the Oklab space as "#rrggbb".  Ottosson 2020, "A perceptual color space for image processing".
inline std::string oklab_colour(double lightness, double a, double b) {
  const auto cube = [](double x) { return x * x * x; };
  const double l = cube(lightness + 0.3963377774 * a + 0.2158037573 * b);
  const double m = cube(lightness - 0.1055613458 * a - 0.0638541728 * b);
  const double s = cube(lightness - 0.0894841775 * a - 1.2914855480 * b);
  return '#' + srgb_digits(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s) +
         srgb_digits(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s) +
         srgb_digits(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s);
}

/// The colour of a share in [0, 1]: from pale yellow by way of green to dark blue. The lightness falls evenly, so that
/// equal differences look equal, also to colour-blind readers and in grey; the hue follows a parabola through Oklab,
/// along which equal steps differ in length by 6 % at most.
inline std::string sequential_colour(double share) {
  const double t = std::clamp(share, 0.0, 1.0), u = 1 - t;
  const auto between = [&](double start, double control, double end) {
    return u * u * start + 2 * u * t * control + t * t * end;
  };
  return oklab_colour(between(0.985, 0.63, 0.275), between(-0.012, -0.12, -0.01), between(0.035, -0.06, -0.105));
}

}  // namespace plinth::detail
