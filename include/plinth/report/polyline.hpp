// SPDX-License-Identifier: MIT
// Points of a curve on the canvas: gaps found, crowds thinned, written as a path.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <plinth/report/svg.hpp>

namespace plinth::detail {

struct Point {
  double x = 0, y = 0;
};

/// The runs of consecutive points that can be drawn; what lies between two runs is a gap.
inline std::vector<std::vector<Point>> drawable_runs(std::span<const double> x, std::span<const double> y) {
  std::vector<std::vector<Point>> runs;
  bool inside = false;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool was_inside = std::exchange(inside, drawable(x[i]) && drawable(y[i]));
    if (inside && !was_inside) runs.emplace_back();
    if (inside) runs.back().push_back({x[i], y[i]});
  }
  return runs;
}

/// The same picture from fewer points (in pixels): of consecutive points in one column of pixels the first, the last,
/// the lowest and the highest are kept, in their order.  Jugel et al. 2014 (doi:10.14778/2732951.2732953), "M4".
inline std::vector<Point> thinned(std::span<const Point> points) {
  std::vector<Point> kept;
  for (std::size_t begin = 0, end = 0; begin < points.size(); begin = end) {
    while (end < points.size() && std::floor(points[end].x) == std::floor(points[begin].x)) ++end;
    const auto column = points.subspan(begin, end - begin);
    const auto [low, high] = std::ranges::minmax_element(column, {}, &Point::y);
    std::size_t chosen[] = {0, static_cast<std::size_t>(low - column.begin()),
                            static_cast<std::size_t>(high - column.begin()), column.size() - 1};
    std::ranges::sort(chosen);
    for (std::size_t i = 0; i < 4; ++i)
      if (i == 0 || chosen[i] != chosen[i - 1]) kept.push_back(column[chosen[i]]);
  }
  return kept;
}

/// Path commands through the points: "M0 1L2 3".
inline std::string path_data(std::span<const Point> points) {
  std::string data;
  for (const Point& point : points) {
    data += data.empty() ? 'M' : 'L';
    data += pixels(point.x) + ' ' + pixels(point.y);
  }
  return data;
}

}  // namespace plinth::detail
