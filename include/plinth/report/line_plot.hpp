// SPDX-License-Identifier: MIT
// Curves over a common axis, drawn as SVG.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <plinth/report/colour.hpp>
#include <plinth/report/polyline.hpp>
#include <plinth/report/svg.hpp>
#include <plinth/report/ticks.hpp>

namespace plinth {

/// One curve. NaN, infinities and numbers beyond 1e300 leave a gap; a point without neighbours becomes a dot.
struct LineSeries {
  std::string name;       ///< for the legend; empty: not in it
  std::vector<double> x,  ///< of each point
      y;                  ///< of each point, as many
  bool dashed = false;    ///< how the line is drawn
};

/// What to_svg draws. Text is UTF-8.
struct LinePlot {
  std::string title = {},               ///< the heading
      x_label = {},                     ///< below the axis
      y_label = {};                     ///< left of the axis
  std::vector<LineSeries> series = {};  ///< in the order of the legend
};

namespace detail {

/// Draws one plot. The legend stands above the axes, where it can cover no curve.
class LinePlotDrawing {
 public:
  explicit LinePlotDrawing(const LinePlot& plot) : plot_(plot) {
    for (const LineSeries& one : plot.series) {
      require<ArgumentError>(one.x.size() == one.y.size(), "line plot: the series \"", one.name, "\" has ",
                             one.x.size(), " x and ", one.y.size(), " y");
      runs_.push_back(drawable_runs(one.x, one.y));
    }
    find_ranges();
    place_legend();
    left_ = 24.0 + (plot.y_label.empty() ? 0 : 26) + tick_label_width();
  }

  std::string svg() const {
    std::string text = svg_heading(left_, plot_.title) + legend() + grid_and_labels();
    if (empty_)
      text += svg_text((left_ + right) / 2, (top_ + bottom_) / 2, "text-anchor=\"middle\" fill=\"#777\"", "no data");
    for (std::size_t i = 0; i < runs_.size(); ++i) text += curve(i);
    return svg_document(width, bottom_ + 62, plot_.title, text);
  }

 private:
  struct LegendEntry {
    std::size_t series;
    double x, y;
  };

  static constexpr double width = 800, right = width - 28, panel_height = 312;
  static constexpr double digit_width = 9, letter_width = 7.6, key_width = 30, row_height = 22;
  static constexpr std::size_t longest_name = 80;  // letters, about one row

  /// Both axes hold all points; the y axis and a little more, so that no curve touches the frame.
  void find_ranges() {
    constexpr double none = 1e301;
    AxisRange x{none, -none}, y{none, -none};
    for (const auto& runs : runs_)
      for (const auto& run : runs)
        for (const Point& point : run) {
          x = {std::min(x.low, point.x), std::max(x.high, point.x)};
          y = {std::min(y.low, point.y), std::max(y.high, point.y)};
        }
    empty_ = x.low > x.high;
    if (empty_) return;
    x_range_ = widened(x);
    y_range_ = widened(y);
    const double margin = 0.05 * (y_range_.high - y_range_.low);
    y_range_ = {std::max(y_range_.low - margin, -1e300), std::min(y_range_.high + margin, 1e300)};
    x_ticks_ = ticks(x_range_, 9);
    y_ticks_ = ticks(y_range_, 8);
  }

  double tick_label_width() const {
    std::size_t longest = 0;
    for (const auto& label : y_ticks_.labels) longest = std::max(longest, label.size());
    return digit_width * static_cast<double>(longest);
  }

  /// Rows of entries from left to right; the axes begin below them.
  void place_legend() {
    double x = 0, y = 56;
    for (std::size_t i = 0; i < plot_.series.size(); ++i) {
      if (plot_.series[i].name.empty()) continue;
      const auto letters = static_cast<double>(std::min(letters_wide(plot_.series[i].name), longest_name));
      const double wide = key_width + letter_width * letters + 22;
      if (x > 0 && x + wide > right - 80) x = 0, y += row_height;
      legend_.push_back({i, x, y});
      x += wide;
    }
    top_ = legend_.empty() ? 50 : y + 20;
    bottom_ = top_ + panel_height;
  }

  std::string colour(std::size_t series) const { return std::string(series_colours[series % series_colours.size()]); }

  /// How the line of a series is drawn; when the colours are used up they come again in dashes.
  std::string stroke(std::size_t series) const {
    const std::size_t round = series / series_colours.size();
    std::string style = "stroke=\"" + colour(series) + "\" stroke-width=\"2\"";
    if (round > 0) return style + " stroke-dasharray=\"" + pixels(static_cast<double>(2 * round)) + " 4\"";
    return plot_.series[series].dashed ? style + " stroke-dasharray=\"7 4\"" : style;
  }

  std::string legend() const {
    std::string text;
    for (const LegendEntry& entry : legend_) {
      const double x = left_ + entry.x;
      text += svg_line(x, entry.y - 5, x + key_width - 8, entry.y - 5, stroke(entry.series));
      text += svg_text(x + key_width, entry.y, "", plot_.series[entry.series].name, longest_name);
    }
    return text;
  }

  std::string grid_and_labels() const {
    std::string text;
    for (std::size_t i = 0; i < y_ticks_.values.size(); ++i) {
      const double y = y_of(y_ticks_.values[i]);
      text += svg_line(left_, y, right, y, "stroke=\"#e4e4e4\"");
      text += svg_text(left_ - 9, y + 5, "text-anchor=\"end\"", tick_label(y_ticks_.labels[i]));
    }
    for (std::size_t i = 0; i < x_ticks_.values.size(); ++i) {
      const double x = x_of(x_ticks_.values[i]);
      text += svg_line(x, top_, x, bottom_, "stroke=\"#e4e4e4\"");
      text += svg_text(x, bottom_ + 21, "text-anchor=\"middle\"", tick_label(x_ticks_.labels[i]));
    }
    text += svg_line(left_, top_, left_, bottom_, "stroke=\"#888\"");
    text += svg_line(left_, bottom_, right, bottom_, "stroke=\"#888\"");
    text +=
        svg_text((left_ + right) / 2, bottom_ + 46, "text-anchor=\"middle\"", axis_label(plot_.x_label, x_ticks_.exponent));
    const std::string turned =
        join("text-anchor=\"middle\" transform=\"rotate(-90 24 ", pixels((top_ + bottom_) / 2), ")\"");
    return text + svg_text(24, (top_ + bottom_) / 2, turned, axis_label(plot_.y_label, y_ticks_.exponent));
  }

  std::string curve(std::size_t series) const {
    std::string path, dots;
    for (const auto& run : runs_[series]) {
      std::vector<Point> points;
      for (const Point& point : run) points.push_back({x_of(point.x), y_of(point.y)});
      if (points.size() == 1)
        dots += join("<circle cx=\"", pixels(points[0].x), "\" cy=\"", pixels(points[0].y), "\" r=\"3.5\" fill=\"",
                     colour(series), "\"/>\n");
      else
        path += path_data(thinned(points));
    }
    if (path.empty()) return dots;
    return dots + join("<path d=\"", path, "\" fill=\"none\" ", stroke(series), " stroke-linejoin=\"round\"/>\n");
  }

  double x_of(double value) const {
    return left_ + (right - left_) * ((value - x_range_.low) / (x_range_.high - x_range_.low));
  }
  double y_of(double value) const {
    return bottom_ - (bottom_ - top_) * ((value - y_range_.low) / (y_range_.high - y_range_.low));
  }

  const LinePlot& plot_;
  std::vector<std::vector<std::vector<Point>>> runs_;  // of each series
  std::vector<LegendEntry> legend_;
  AxisRange x_range_, y_range_;
  Ticks x_ticks_, y_ticks_;
  double left_ = 0, top_ = 0, bottom_ = 0;
  bool empty_ = true;
};

}  // namespace detail

/// The plot as an SVG document on a white ground, 800 pixels wide: the same plot gives the same bytes.
/// Throws ArgumentError when a series has more x than y, or fewer.
inline std::string to_svg(const LinePlot& plot) { return detail::LinePlotDrawing(plot).svg(); }

}  // namespace plinth
