// SPDX-License-Identifier: MIT
// Matrices as coloured cells on one scale, drawn as SVG: what the heads of an attention layer look at.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include <plinth/report/colour.hpp>
#include <plinth/report/svg.hpp>
#include <plinth/report/ticks.hpp>

namespace plinth {

/// One matrix, row after row.
struct HeatMapPanel {
  std::string name;            ///< stands above it
  std::vector<double> values;  ///< (rows, columns), each finite
};

/// What to_svg draws: panels with the same rows and columns, such as the heads of a layer. Text is UTF-8.
struct HeatMap {
  std::string title = {},                 ///< the heading
      x_label = {},                       ///< below the columns
      y_label = {};                       ///< left of the rows
  std::vector<std::string> rows = {},     ///< their labels, from the top
      columns = {};                       ///< their labels, from the left
  std::vector<HeatMapPanel> panels = {};  ///< in the order of reading
  std::size_t panels_across = 4;          ///< in one line
};

namespace detail {

/// Draws one heat map. The cells are whole pixels, so that no seam shows between them.
class HeatMapDrawing {
 public:
  explicit HeatMapDrawing(const HeatMap& map) : map_(map) {
    check();
    for (const HeatMapPanel& panel : map.panels)
      for (const double value : panel.values) range_ = {std::min(range_.low, value), std::max(range_.high, value)};
    range_ = widened(range_);
    ticks_ = ticks(range_, 6);
    place();
  }

  std::string svg() const {
    std::string text = svg_heading(left_, map_.title);
    for (std::size_t i = 0; i < map_.panels.size(); ++i) text += panel(i);
    text += svg_text((left_ + right_) / 2, bottom_ + column_labels_ + 24, "text-anchor=\"middle\"", map_.x_label);
    const double middle = (top + bottom_) / 2;
    text += svg_text(24, middle, join("text-anchor=\"middle\" transform=\"rotate(-90 24 ", pixels(middle), ")\""),
                     map_.y_label);
    text += colour_bar();
    const double width = right_ + bar_gap + bar_width + 14 + letter_width * static_cast<double>(longest(ticks_.labels));
    return svg_document(std::max(width + 24, 400.0), bottom_ + column_labels_ + 40, map_.title, text);
  }

 private:
  static constexpr double top = 70, panel_gap = 18, name_height = 20, bar_gap = 26, bar_width = 14;
  static constexpr double label_size = 11, letter_width = 8;
  static constexpr std::size_t longest_label = 16, most_cells = std::size_t{1} << 18;

  void check() const {
    const std::size_t rows = map_.rows.size(), columns = map_.columns.size(), panels = map_.panels.size();
    const std::string name = join("heat map \"", map_.title, "\": ");
    require<ArgumentError>(rows > 0 && columns > 0 && panels > 0 && map_.panels_across > 0, name, rows, " rows, ",
                           columns, " columns, ", panels, " panels, ", map_.panels_across,
                           " of them across: each must be at least 1");
    require<ArgumentError>(
        rows <= most_cells && columns <= most_cells && panels <= most_cells && rows * columns <= most_cells / panels,
        name, panels, " panels of ", rows, " x ", columns, " cells are more than ", most_cells,
        ": show a part of them");
    for (const HeatMapPanel& panel : map_.panels) {
      require<ArgumentError>(panel.values.size() == rows * columns, name, "the panel \"", panel.name, "\" has ",
                             panel.values.size(), " values for ", rows, " x ", columns, " cells");
      for (std::size_t i = 0; i < rows * columns; ++i)
        require<ArgumentError>(drawable(panel.values[i]), name, "the panel \"", panel.name, "\" has ", panel.values[i],
                               " in row ", i / columns, ", column ", i % columns);
    }
  }

  /// Cells as large as 800 pixels allow, but not so small that their labels cannot be read.
  void place() {
    const std::size_t across = std::min(map_.panels_across, map_.panels.size());
    const auto columns = static_cast<double>(map_.columns.size());
    left_ = 32 + (map_.y_label.empty() ? 0 : 16) + letter_width * static_cast<double>(longest(map_.rows));
    const double room = 800 - 90 - left_ - panel_gap * static_cast<double>(across - 1);
    cell_ = std::clamp(std::floor(room / (columns * static_cast<double>(across))), label_size + 1, 28.0);
    panel_width_ = cell_ * columns;
    panel_height_ = cell_ * static_cast<double>(map_.rows.size());
    right_ = left_ + (panel_width_ + panel_gap) * static_cast<double>(across) - panel_gap;
    down_ = (map_.panels.size() + across - 1) / across;
    bottom_ = top + (panel_height_ + panel_gap + name_height) * static_cast<double>(down_) - panel_gap - name_height;
    upright_ = longest(map_.columns) <= 1;
    column_labels_ = 8 + (upright_ ? label_size : letter_width * static_cast<double>(longest(map_.columns)));
  }

  static std::size_t longest(const std::vector<std::string>& labels) {
    std::size_t result = 0;
    for (const std::string& label : labels) result = std::max(result, std::min(letters_wide(label), longest_label));
    return result;
  }

  std::string colour(double value) const {
    return sequential_colour((value - range_.low) / (range_.high - range_.low));
  }

  std::string panel(std::size_t index) const {
    const std::size_t across = std::min(map_.panels_across, map_.panels.size());
    const double x = left_ + (panel_width_ + panel_gap) * static_cast<double>(index % across);
    const double y = top + (panel_height_ + panel_gap + name_height) * static_cast<double>(index / across);
    std::string text = svg_text(x, y - 8, "", map_.panels[index].name, static_cast<std::size_t>(panel_width_ / 8) + 2);
    text += "<g shape-rendering=\"crispEdges\">\n" + cells(map_.panels[index], x, y) + "</g>\n";
    if (index % across == 0) text += row_labels(y);
    if (index + across >= map_.panels.size()) text += column_labels(x, y + panel_height_);
    return text;
  }

  /// Each cell tells its value to whoever points at it.
  std::string cells(const HeatMapPanel& panel, double x, double y) const {
    std::string text;
    const std::size_t columns = map_.columns.size();
    const std::string size = join("\" width=\"", pixels(cell_), "\" height=\"", pixels(cell_), "\" fill=\"");
    for (std::size_t i = 0; i < panel.values.size(); ++i) {
      const std::size_t row = i / columns, column = i % columns;
      text += "<rect x=\"" + pixels(x + cell_ * static_cast<double>(column)) + "\" y=\"" +
              pixels(y + cell_ * static_cast<double>(row)) + size + colour(panel.values[i]) + "\"><title>" +
              xml_line(map_.rows[row], longest_label) + ", " + xml_line(map_.columns[column], longest_label) + ": " +
              significant(panel.values[i], 4) + "</title></rect>\n";
    }
    return text;
  }

  std::string row_labels(double y) const {
    std::string text;
    for (std::size_t i = 0; i < map_.rows.size(); ++i)
      text += svg_text(left_ - 7, y + cell_ * (static_cast<double>(i) + 0.5) + 4,
                       "text-anchor=\"end\" font-size=\"11\"", map_.rows[i], longest_label);
    return text;
  }

  std::string column_labels(double x, double y) const {
    std::string text;
    for (std::size_t i = 0; i < map_.columns.size(); ++i) {
      const double middle = x + cell_ * (static_cast<double>(i) + 0.5);
      text += upright_ ? svg_text(middle, y + label_size + 5, "text-anchor=\"middle\" font-size=\"11\"",
                                  map_.columns[i], longest_label)
                       : svg_text(middle + 4, y + 7,
                                  join("text-anchor=\"end\" font-size=\"11\" transform=\"rotate(-90 ",
                                       pixels(middle + 4), " ", pixels(y + 7), ")\""),
                                  map_.columns[i], longest_label);
    }
    return text;
  }

  std::string colour_bar() const {
    constexpr int steps = 64;
    const double x = right_ + bar_gap, height = std::clamp(bottom_ - top, 96.0, 256.0), step = height / steps;
    std::string text = "<g>\n";
    for (int i = 0; i < steps; ++i)  // each reaches under the next, so that no seam shows
      text += join("<rect x=\"", pixels(x), "\" y=\"", pixels(top + step * i), "\" width=\"", pixels(bar_width),
                   "\" height=\"", pixels(height - step * i), "\" fill=\"", sequential_colour(1 - (i + 0.5) / steps),
                   "\"/>\n");
    text += "</g>\n";
    for (std::size_t i = 0; i < ticks_.values.size(); ++i) {
      const double y = top + height * (range_.high - ticks_.values[i]) / (range_.high - range_.low);
      text += svg_line(x + bar_width, y, x + bar_width + 4, y, "stroke=\"#888\"");
      text += svg_text(x + bar_width + 8, y + 4, "font-size=\"11\"", tick_label(ticks_.labels[i]));
    }
    return text +
           (ticks_.exponent == 0 ? "" : svg_text(x, top - 8, "font-size=\"11\"", axis_label("", ticks_.exponent)));
  }

  const HeatMap& map_;
  AxisRange range_{1e301, -1e301};
  Ticks ticks_;
  std::size_t down_ = 1;  // panels below each other
  double left_ = 0, right_ = 0, bottom_ = 0, cell_ = 0, panel_width_ = 0, panel_height_ = 0, column_labels_ = 0;
  bool upright_ = false;
};

}  // namespace detail

/// The map as an SVG document on a white ground: the same map gives the same bytes. The colours reach from the smallest
/// to the largest value of all panels. Throws ArgumentError when there is nothing to draw, when a panel has not a value
/// for each cell or one that is not finite or beyond 1e300, and for more than 2^18 cells.
inline std::string to_svg(const HeatMap& map) { return detail::HeatMapDrawing(map).svg(); }

}  // namespace plinth
