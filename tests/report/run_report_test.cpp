// SPDX-License-Identifier: MIT
// The report of a run: one well-formed page that refers to nothing, runs nothing and shows any text as it is.
#include <plinth/report/run_report.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include <plinth/train/read_text.hpp>

#include "catch.hpp"
#include "report/xml.hpp"

using namespace plinth;
using Catch::Matchers::Contains;

namespace {

RunReport full_report() {
  return {.title = "A run",
          .configuration = {{"hidden", "96"}, {"seed", "1"}},
          .figures = {LinePlot{.title = "Loss", .series = {{"s", {1, 2}, {2, 1}}}},
                      HeatMap{.title = "Heads", .rows = {"r"}, .columns = {"c"}, .panels = {{"h", {1}}}}},
          .log = {{"step", "loss"}, {{1, 2.5}, {2, std::nan("")}, {1234567, -1e-7}}},
          .samples = {{"greedy", "  two\n\nlines\n"}, {"", "\nfirst line empty"}}};
}

/// The page as XML, without the line that only HTML has.
std::string as_xml(const std::string& html) {
  const std::string doctype = "<!DOCTYPE html>\n";
  REQUIRE(html.starts_with(doctype));
  return html.substr(doctype.size());
}

}  // namespace

TEST_CASE("a report holds all that it was given") {
  const std::string page = as_xml(to_html(full_report()));
  CHECK(xml::texts(page, "h1") == std::vector<std::string>{"A run"});
  CHECK(xml::texts(page, "title").at(0) == "A run");
  CHECK(xml::texts(page, "h2") == std::vector<std::string>{"Configuration", "Figures", "Log", "Samples"});
  CHECK(xml::texts(page, "th") == std::vector<std::string>{"hidden", "seed", "step", "loss"});
  CHECK(xml::texts(page, "td") ==
        std::vector<std::string>{"96", "1", "1", "2.5", "2", "nan", "1.23457e+06", "\u22121e-07"});
  CHECK(xml::elements(page, "svg").size() == 2);
  CHECK(xml::elements(page, "circle").empty());
  CHECK(xml::texts(page, "pre") == std::vector<std::string>{"\n  two\n\nlines\n", "\n\nfirst line empty"});
}

TEST_CASE("what a report was not given is left out") {
  const std::string page = as_xml(to_html({.title = "t"}));
  for (const char* name : {"h2", "table", "figure", "pre"}) CHECK(xml::elements(page, name).empty());
}

TEST_CASE("a report runs nothing and refers to nothing") {
  const std::string html = to_html(full_report());
  const std::vector<std::string> allowed = {"html", "head", "meta",  "title", "style", "body", "h1",     "h2",
                                            "h3",   "div",  "table", "tr",    "th",    "td",   "figure", "pre",
                                            "svg",  "g",    "rect",  "line",  "text",  "path"};
  for (const auto& element : xml::Reader(as_xml(html)).elements) {
    INFO(element.name);
    CHECK(std::find(allowed.begin(), allowed.end(), element.name) != allowed.end());
    for (const auto& [name, value] : element.attributes) {
      CHECK_FALSE(name.starts_with("on"));
      for (const char* reference : {"href", "src", "srcset", "style", "xlink:href", "action"}) CHECK(name != reference);
    }
  }
  for (const char* reference : {"url(", "@import", "javascript:"}) CHECK(html.find(reference) == std::string::npos);
  const auto policy = xml::elements(as_xml(html), "meta").at(1).attributes;
  CHECK(policy.at("http-equiv") == "Content-Security-Policy");
  CHECK(policy.at("content") == "default-src 'none'; style-src 'unsafe-inline'");
}

TEST_CASE("hostile texts in a report stay texts") {
  const std::string wild =
      "</pre></title></style><script>alert('1')</script><img src=\"x\" onerror=\"y\"/>&amp;\x1B\xC3(";
  const std::string shown = wild.substr(0, wild.size() - 3) + "\uFFFD\uFFFD(";
  const std::string html =
      to_html({.title = wild,
               .configuration = {{wild, wild}},
               .figures = {LinePlot{.title = wild, .series = {{wild, {1, 2}, {2, 1}}}},
                           HeatMap{.title = wild, .rows = {wild}, .columns = {wild}, .panels = {{wild, {1}}}}},
               .log = {{wild}, {{1}}},
               .samples = {{wild, wild}}});
  for (const char* tag : {"<script", "<img"}) CHECK(html.find(tag) == std::string::npos);
  const std::string page = as_xml(html);
  CHECK(xml::elements(page, "style").size() == 1);
  CHECK(xml::texts(page, "h1").at(0) == shown);
  CHECK(xml::texts(page, "title").at(0) == shown);
  CHECK(xml::texts(page, "th") == std::vector<std::string>{shown, shown});
  CHECK(xml::texts(page, "td").at(0) == shown);
  CHECK(xml::texts(page, "h3").at(0) == shown);
  CHECK(xml::texts(page, "pre").at(0) == "\n" + shown);
}

TEST_CASE("a report without a title or with an uneven log is refused") {
  CHECK_THROWS_AS(to_html({.title = ""}), ArgumentError);
  CHECK_THROWS_WITH(to_html({.title = ""}), "run report: the title is empty");
  const RunReport uneven = {.title = "t", .log = {{"a", "b"}, {{1, 2}, {3}}}};
  CHECK_THROWS_AS(to_html(uneven), ArgumentError);
  CHECK_THROWS_WITH(to_html(uneven), "run report: row 1 of the log has 1 numbers for 2 columns");
}

TEST_CASE("a report is written to a file or the file is named") {
  const std::string file = "plinth_run_report_test.html";
  write_html(file, full_report());
  CHECK(read_text(file) == to_html(full_report()));
  std::filesystem::remove(file);
  CHECK_THROWS_WITH(write_html("no such folder/a.html", full_report()),
                    Contains("no such folder/a.html: cannot be written"));
}
