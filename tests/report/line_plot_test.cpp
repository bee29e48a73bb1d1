// SPDX-License-Identifier: MIT
// Plots: well-formed, true to the data, small, and clear about what went wrong.
#include <plinth/report/line_plot.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <locale>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <plinth/train/read_text.hpp>

#include "catch.hpp"
#include "report/xml.hpp"

using namespace plinth;
using Catch::Matchers::Contains;

namespace {

const double not_a_number = std::nan("");

std::vector<std::string> texts(const std::string& svg) { return xml::texts(svg, "text"); }

bool has_text(const std::string& svg, const std::string& wanted) {
  const auto all = texts(svg);
  return std::find(all.begin(), all.end(), wanted) != all.end();
}

/// The points of a path's data, "M1 2L3 4", one list for each M.
std::vector<std::vector<detail::Point>> points(const std::string& data) {
  std::vector<std::vector<detail::Point>> runs;
  for (std::size_t at = 0; at < data.size();) {
    if (data[at++] == 'M') runs.emplace_back();
    std::size_t used = 0;
    const double x = std::stod(data.substr(at), &used);
    at += used;
    const double y = std::stod(data.substr(at), &used);
    at += used;
    runs.back().push_back({x, y});
  }
  return runs;
}

LinePlot plot_of(std::vector<double> x, std::vector<double> y) {
  return {.title = "t", .series = {{"s", std::move(x), std::move(y)}}};
}

double number(const xml::Element& element, const std::string& attribute) {
  return std::stod(element.attributes.at(attribute));
}

}  // namespace

TEST_CASE("a plot shows its texts and a curve for each series") {
  const std::string svg =
      to_svg({.title = "Training",
              .x_label = "step",
              .y_label = "loss",
              .series = {{"train", {0, 1, 2}, {3, 2, 1}}, {"test", {0, 2}, {2, 2}, true}, {"", {0, 2}, {1, 3}}}});
  for (const char* text : {"Training", "step", "loss", "train", "test", "0.0", "2.0", "3.0"})
    CHECK(has_text(svg, text));
  const auto paths = xml::elements(svg, "path");
  REQUIRE(paths.size() == 3);
  CHECK(paths[0].attributes.at("stroke") != paths[1].attributes.at("stroke"));
  CHECK_FALSE(paths[0].attributes.contains("stroke-dasharray"));
  CHECK(paths[1].attributes.contains("stroke-dasharray"));
  const auto ground = xml::elements(svg, "rect").at(0);  // for dark pages
  CHECK(ground.attributes.at("fill") == "#fff");
  CHECK(ground.attributes.at("width") == "100%");
}

TEST_CASE("points are drawn where the axes say") {
  const std::string svg = to_svg(plot_of({0, 5, 10}, {-1, 0.5, 2}));
  std::map<std::string, double> x_at, y_at;
  for (const auto& text : xml::elements(svg, "text")) {
    if (!text.attributes.contains("text-anchor")) continue;
    if (text.attributes.at("text-anchor") == "end") y_at[text.text] = number(text, "y") - 5;  // half a letter lower
    if (text.attributes.at("text-anchor") == "middle") x_at[text.text] = number(text, "x");
  }
  const auto curve = points(xml::elements(svg, "path").at(0).attributes.at("d")).at(0);
  REQUIRE(curve.size() == 3);
  CHECK(curve[0].x == Approx(x_at.at("0")).margin(0.11));
  CHECK(curve[2].x == Approx(x_at.at("10")).margin(0.11));
  CHECK(curve[0].y == Approx(y_at.at("\u22121.0")).margin(0.11));
  CHECK(curve[1].y == Approx(y_at.at("0.5")).margin(0.11));
  CHECK(curve[2].y == Approx(y_at.at("2.0")).margin(0.11));
  CHECK(curve[2].y < curve[0].y);
}

TEST_CASE("texts are escaped, and cut where they do not fit") {
  const std::string wild = "a<b> & \"c\"\t\x01\xFF \u00E9\xE2\x82",
                    shown = "a<b> & \"c\" \uFFFD\uFFFD \u00E9\uFFFD\uFFFD";
  const std::string svg = to_svg({.title = wild, .x_label = wild, .y_label = wild, .series = {{wild, {1, 2}, {1, 2}}}});
  const auto all = texts(svg);
  CHECK(std::count(all.begin(), all.end(), shown) == 4);
  CHECK(xml::elements(svg, "title").at(0).text == shown);
  std::string long_name;
  for (int i = 0; i < 500; ++i) long_name += "\u00E9";
  const std::string cut = to_svg({.series = {{long_name, {1, 2}, {1, 2}}}});
  CHECK(cut.size() < 5000);
  CHECK(cut.find("\u00E9\u2026<") != std::string::npos);
}

TEST_CASE("points that are no numbers leave gaps, lonely ones become dots") {
  const std::string svg =
      to_svg(plot_of({0, 1, 2, 3, 4, 5, 6, not_a_number, 8, 9}, {1, 2, not_a_number, 3, INFINITY, 4, 5, 6, 1e301, 7}));
  const auto runs = points(xml::elements(svg, "path").at(0).attributes.at("d"));
  REQUIRE(runs.size() == 2);
  CHECK(runs[0].size() == 2);
  CHECK(runs[1].size() == 2);
  CHECK(xml::elements(svg, "circle").size() == 2);
  CHECK(svg.find("nan") == std::string::npos);
  CHECK(svg.find("inf") == std::string::npos);
}

TEST_CASE("empty, single and constant series are drawn") {
  for (const LinePlot& plot : {LinePlot{}, plot_of({}, {}), plot_of({not_a_number}, {1})})
    CHECK(has_text(to_svg(plot), "no data"));
  const std::string single = to_svg(plot_of({3}, {7}));
  CHECK_FALSE(has_text(single, "no data"));
  const auto dot = xml::elements(single, "circle").at(0);
  CHECK(number(dot, "cx") > 100);
  CHECK(number(dot, "cx") < 700);
  for (const double value : {0.0, 5.0, -1e-200, 1e300, 0.1}) {
    const auto curve =
        points(xml::elements(to_svg(plot_of({0, 1}, {value, value})), "path").at(0).attributes.at("d")).at(0);
    CHECK(curve[0].y == curve[1].y);
    CHECK(curve[0].y > 60);
    CHECK(curve[0].y < 388);
  }
  CHECK_NOTHROW(xml::Reader(to_svg(plot_of({-1e300, 1e300}, {1e300, -1e300}))));
}

TEST_CASE("long series are thinned and keep their extremes") {
  std::vector<double> x, y;
  for (int i = 0; i < 100000; ++i) x.push_back(i), y.push_back(std::sin(i * 0.7));
  y[31234] = 9;
  y[71234] = -9;
  const std::string svg = to_svg(plot_of(x, y));
  CHECK(svg.size() < 60000);
  const auto curve = points(xml::elements(svg, "path").at(0).attributes.at("d")).at(0);
  const auto [high, low] = std::minmax_element(curve.begin(), curve.end(), [](auto a, auto b) { return a.y < b.y; });
  const double span = curve.back().x - curve.front().x;
  CHECK(high->x == Approx(curve.front().x + span * 0.31234).margin(0.2));
  CHECK(low->x == Approx(curve.front().x + span * 0.71234).margin(0.2));
  CHECK(std::is_sorted(curve.begin(), curve.end(), [](auto a, auto b) { return a.x < b.x; }));
  for (int i = 0; i < 300; ++i) y[static_cast<std::size_t>(i)] = i % 2;  // fewer than there are columns: all are kept
  x.resize(300), y.resize(300);
  CHECK(points(xml::elements(to_svg(plot_of(x, y)), "path").at(0).attributes.at("d")).at(0).size() == 300);
}

TEST_CASE("the legend stands above the axes however long it is") {
  for (int count : {1, 3, 12, 60}) {
    LinePlot plot;
    for (int i = 0; i < count; ++i) plot.series.push_back({"series number " + std::to_string(i), {0, 1}, {0, 1.0 * i}});
    const std::string svg = to_svg(plot);
    double lowest_name = 0, highest_point = 1e9;
    for (const auto& text : xml::elements(svg, "text"))
      if (text.text.starts_with("series number")) lowest_name = std::max(lowest_name, number(text, "y"));
    for (const auto& path : xml::elements(svg, "path"))
      highest_point = std::min(highest_point, points(path.attributes.at("d")).at(0).back().y);
    CHECK(lowest_name > 0);
    CHECK(lowest_name < highest_point - 5);
    CHECK(xml::elements(svg, "path").size() == static_cast<std::size_t>(count));
  }
}

TEST_CASE("numbers do not follow the locale") {
  struct Comma : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
  };
  const LinePlot plot = plot_of({0, 10000.5}, {0.25, 0.75});
  const std::string before = to_svg(plot);
  const std::locale old = std::locale::global(std::locale(std::locale::classic(), new Comma));
  const std::string after = to_svg(plot);
  std::locale::global(old);
  CHECK(after == before);
  CHECK(has_text(before, "10000"));
}

TEST_CASE("series with more x than y are refused by name") {
  CHECK_THROWS_AS(to_svg(plot_of({1, 2}, {1})), ArgumentError);
  CHECK_THROWS_WITH(to_svg(plot_of({1, 2}, {1})), "line plot: the series \"s\" has 2 x and 1 y");
}

TEST_CASE("a plot is written to a file or the file is named") {
  const auto plot = plot_of({1, 2}, {1, 2});
  const std::string file = "plinth_line_plot_test.svg";
  write_svg(file, plot_of({1, 2, 3, 4}, {1, 2, 3, 4}));
  write_svg(file, plot);
  CHECK(read_text(file) == to_svg(plot));
  std::filesystem::remove(file);
  CHECK_THROWS_AS(write_svg("no such folder/a.svg", plot), IoError);
  CHECK_THROWS_WITH(write_svg("no such folder/a.svg", plot), Contains("no such folder/a.svg: cannot be written: "));
  if (std::filesystem::exists("/dev/full")) CHECK_THROWS_WITH(write_svg("/dev/full", plot), Contains("No space left"));
}
