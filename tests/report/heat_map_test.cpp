// SPDX-License-Identifier: MIT
// Heat maps: every cell stands where its labels say, in the colour of its value, and nothing in a text is obeyed.
#include <plinth/report/heat_map.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <plinth/train/read_text.hpp>

#include "catch.hpp"
#include "report/xml.hpp"

using namespace plinth;
using Catch::Matchers::Contains;

namespace {

/// Two panels of two rows and three columns, the values 0 to 11.
HeatMap small() {
  return {.title = "Layer 1",
          .x_label = "key",
          .y_label = "query",
          .rows = {"the", "cat"},
          .columns = {"a", "bb", "ccc"},
          .panels = {{"head 1", {0, 1, 2, 3, 4, 5}}, {"head 2", {6, 7, 8, 9, 10, 11}}}};
}

struct Cell {
  double x, y;
  std::string fill;
};

/// The cells by what they tell, "the, bb: 1".
std::map<std::string, Cell> cells(const std::string& svg) {
  std::map<std::string, Cell> result;
  const auto elements = xml::Reader(svg).elements;
  for (std::size_t i = 1; i < elements.size(); ++i)
    if (elements[i].name == "title" && elements[i - 1].name == "rect") {
      const auto& at = elements[i - 1].attributes;
      result[elements[i].text] = {std::stod(at.at("x")), std::stod(at.at("y")), at.at("fill")};
    }
  return result;
}

/// Where the middle of the text with this content is, by its attributes.
xml::Element text(const std::string& svg, const std::string& content) {
  for (const auto& element : xml::elements(svg, "text"))
    if (element.text == content) return element;
  FAIL("no text " << content);
  return {};
}

}  // namespace

TEST_CASE("every cell of a heat map is there, beside its labels") {
  const std::string svg = to_svg(small());
  const auto all = cells(svg);
  REQUIRE(all.size() == 12);
  CHECK(all.at("the, a: 0").x < all.at("the, bb: 1").x);
  CHECK(all.at("the, a: 0").y == all.at("the, ccc: 2").y);
  CHECK(all.at("the, a: 0").y < all.at("cat, a: 3").y);
  CHECK(all.at("the, a: 6").x > all.at("the, ccc: 2").x);
  CHECK(all.at("the, a: 6").y == all.at("the, a: 0").y);
  const double row = std::stod(text(svg, "cat").attributes.at("y")),
               column = std::stod(text(svg, "bb").attributes.at("x"));
  CHECK(row > all.at("cat, bb: 4").y);
  CHECK(row < all.at("cat, bb: 4").y + 28);
  CHECK(column > all.at("cat, bb: 4").x);
  CHECK(column < all.at("cat, bb: 4").x + 28);
  for (const char* content : {"Layer 1", "key", "query", "head 1", "head 2", "0", "10"})
    CHECK_NOTHROW(text(svg, content));
}

TEST_CASE("the colours of all panels are those of one scale") {
  const auto all = cells(to_svg(small()));
  std::set<std::string> colours;
  for (const auto& [told, cell] : all) {
    const double value = std::stod(told.substr(told.find(':') + 1));
    CHECK(cell.fill == detail::sequential_colour(value / 11));
    colours.insert(cell.fill);
  }
  CHECK(colours.size() == 12);
}

TEST_CASE("panels stand in rows of panels_across") {
  HeatMap map = small();
  map.panels.assign(5, map.panels[0]);
  for (std::size_t i = 0; i < 5; ++i) map.panels[i].name = "head " + std::to_string(i + 1);
  map.panels_across = 2;
  const std::string svg = to_svg(map);
  const auto place = [&](const char* name, const char* axis) { return std::stod(text(svg, name).attributes.at(axis)); };
  CHECK(place("head 1", "x") == place("head 5", "x"));
  CHECK(place("head 1", "y") == place("head 2", "y"));
  CHECK(place("head 2", "x") > place("head 1", "x"));
  CHECK(place("head 3", "y") > place("head 1", "y"));
  const auto labels = xml::texts(svg, "text");
  CHECK(std::count(labels.begin(), labels.end(), "cat") == 3);  // at the left of each row
  CHECK(std::count(labels.begin(), labels.end(), "bb") == 2);   // below each column
}

TEST_CASE("a heat map of one cell, of one value and of many cells") {
  const std::string one = to_svg(HeatMap{.rows = {"r"}, .columns = {"c"}, .panels = {{"", {0.25}}}});
  CHECK(cells(one).size() == 1);
  CHECK(cells(one).at("r, c: 0.25").fill == detail::sequential_colour(0.5));  // a constant stands in the middle
  HeatMap wide{.title = "wide", .rows = {"r"}, .columns = {}, .panels = {{"p", {}}}};
  for (int i = 0; i < 300; ++i)
    wide.columns.push_back(std::to_string(i)), wide.panels[0].values.push_back(-1e300 * i / 300);
  CHECK(cells(to_svg(wide)).size() == 300);
  const auto canvas = xml::Reader(to_svg(wide)).elements.at(0);
  double right = 0;
  for (const auto& [told, cell] : cells(to_svg(wide))) right = std::max(right, cell.x);
  CHECK(std::stod(canvas.attributes.at("width")) > right);
}

TEST_CASE("labels of a heat map are escaped and cut") {
  HeatMap map = small();
  map.title = map.x_label = map.y_label = map.rows[0] = map.columns[1] = map.panels[0].name = "<script>&\"\x01\xFF";
  map.rows[1] = std::string(500, 'w');
  const std::string svg = to_svg(map);
  CHECK(svg.find("<script") == std::string::npos);
  CHECK(svg.find(std::string(20, 'w')) == std::string::npos);
  const auto labels = xml::texts(svg, "text");
  CHECK(std::count(labels.begin(), labels.end(), "<script>&\"\uFFFD\uFFFD") == 7);  // the column twice, once a panel
  CHECK(cells(svg).contains("<script>&\"\uFFFD\uFFFD, <script>&\"\uFFFD\uFFFD: 1"));
}

TEST_CASE("what a heat map cannot show is refused by name") {
  const auto refused = [](auto&& change, const std::string& message) {
    HeatMap map = small();
    change(map);
    CHECK_THROWS_AS(to_svg(map), ArgumentError);
    CHECK_THROWS_WITH(to_svg(map), Contains(message));
  };
  refused([](HeatMap& map) { map.rows.clear(); }, "heat map \"Layer 1\": 0 rows, 3 columns, 2 panels");
  refused([](HeatMap& map) { map.columns.clear(); }, "0 columns");
  refused([](HeatMap& map) { map.panels.clear(); }, "0 panels");
  refused([](HeatMap& map) { map.panels_across = 0; }, "0 of them across");
  refused([](HeatMap& map) { map.panels[1].values.pop_back(); }, "the panel \"head 2\" has 5 values for 2 x 3 cells");
  for (const double bad : {std::nan(""), double(INFINITY), -double(INFINITY), 1e301})
    refused([&](HeatMap& map) { map.panels[1].values[4] = bad; }, "in row 1, column 1");
  refused([](HeatMap& map) { map.rows.resize(1000), map.columns.resize(1000); }, "are more than 262144: show a part");
}

TEST_CASE("a heat map is written to a file") {
  const std::string file = "plinth_heat_map_test.svg";
  write_svg(file, small());
  CHECK(read_text(file) == to_svg(small()));
  std::filesystem::remove(file);
}
