// SPDX-License-Identifier: MIT
// The README's support matrix: ops by devices, and in each cell the element types in which every check passed. A test
// knows of one device and one type, and keeps the rest.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace op_table {

/// "group: op, op": what the row of these ops is called.
template <class Specs>
std::string row_label(const std::string& group, const Specs& specs) {
  std::string label;
  std::string_view before;
  for (const auto& spec : specs) {
    if (spec.name != before) label += (label.empty() ? group + ": " : ", ") + spec.name;
    before = spec.name;
  }
  return label;
}

class SupportMatrix {
 public:
  static constexpr const char *begin = "<!-- support matrix: begin -->\n", *end = "<!-- support matrix: end -->\n";
  static constexpr const char *places[] = {"CPU", "CUDA, emulated", "CUDA, on a GPU"}, *unknown = "never run";
  static constexpr std::string_view types[] = {"float64", "float32", "float16", "bfloat16"};

  /// Reads the lines between the marks of a README. Throws where there are none.
  explicit SupportMatrix(const std::string& readme) {
    const auto first = readme.find(begin), last = readme.find(end);
    if (first == std::string::npos || last == std::string::npos || last < first)
      throw std::runtime_error("README.md has no support matrix");
    before_ = readme.substr(0, first);
    behind_ = readme.substr(last);
    std::istringstream lines(readme.substr(first, last - first));
    for (std::string line; std::getline(lines, line);) {
      const auto cells = cells_of(line);
      for (std::size_t i = 1; i < cells.size() && i <= std::size(places); ++i)
        rows_[group_of(cells[0])].cells[places[i - 1]] = cells[i];
      if (!cells.empty()) rows_[group_of(cells[0])].ops = ops_of(cells[0]);
    }
  }

  /// The README after tests of an element type: for each row's label, whether all of its ops passed. What else is known
  /// of its group stays, unless an op is new: of that one no other device and type says anything.
  std::string with(std::string_view place, std::string_view type, const std::map<std::string, bool>& passed) const {
    std::string text = before_ + begin + "| ops |", line = "|---|";
    for (const char* const other : places) text += std::string(" ") + other + " |", line += "---|";
    text += "\n" + line + "\n";
    for (const auto& [label, good] : passed) {
      text += "| " + label + " |";
      for (const char* const other : places) {
        const auto cell = known(label, other);
        text += " " + (other == place ? changed(cell, type, good) : cell) + " |";
      }
      text += "\n";
    }
    return text + behind_;
  }

  /// Whether a place's column has nothing yet.
  bool empty(std::string_view place) const {
    for (const auto& [group, row] : rows_)
      for (const auto& [other, cell] : row.cells)
        if (other == place && cell != other && cell != unknown && cell != "---") return false;
    return true;
  }

 private:
  static std::string group_of(const std::string& label) { return label.substr(0, label.find(':')); }
  static std::set<std::string> ops_of(const std::string& label) {
    std::set<std::string> ops;
    for (auto at = label.find(": "); at != std::string::npos; at = label.find(", ", at)) {
      at += 2;
      ops.insert(label.substr(at, label.find(", ", at) - at));
    }
    return ops;
  }
  /// What stands between the bars of a line.
  static std::vector<std::string> cells_of(const std::string& line) {
    std::vector<std::string> cells;
    std::istringstream parts(line);
    for (std::string part; std::getline(parts, part, '|');) {
      const auto first = part.find_first_not_of(' '), last = part.find_last_not_of(' ');
      if (first != std::string::npos) cells.push_back(part.substr(first, last - first + 1));
    }
    return cells;
  }
  /// The types of a cell, with or without this one.
  static std::string changed(const std::string& cell, std::string_view type, bool with) {
    std::string text;
    for (const std::string_view other : types)
      if (other == type ? with
                        : cell.find(std::string(" ").append(other)) != std::string::npos || cell.starts_with(other))
        text.append(text.empty() ? "" : " ").append(other);
    return text.empty() ? unknown : text;
  }
  std::string known(const std::string& label, const std::string& place) const {
    const auto row = rows_.find(group_of(label));
    if (row == rows_.end() || !row->second.cells.contains(place)) return unknown;
    return std::ranges::includes(row->second.ops, ops_of(label)) ? row->second.cells.at(place) : unknown;
  }

  struct Row {
    std::set<std::string> ops;
    std::map<std::string, std::string> cells;  // by place
  };

  std::string before_, behind_;
  std::map<std::string, Row> rows_;  // by group
};

}  // namespace op_table
