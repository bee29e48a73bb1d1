// SPDX-License-Identifier: MIT
// A run on one page: an HTML file that needs no other file, no network and no script.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <plinth/report/escape.hpp>
#include <plinth/report/heat_map.hpp>
#include <plinth/report/line_plot.hpp>
#include <plinth/report/ticks.hpp>
#include <plinth/train/write_text.hpp>

namespace plinth {

/// Rows of numbers; NaN and infinities are shown as such.
struct LogTable {
  std::vector<std::string> columns = {};       ///< their headings
  std::vector<std::vector<double>> rows = {};  ///< each with a number for every column
};

/// What to_html shows, in this order; what is empty is left out. Text is UTF-8.
struct RunReport {
  std::string title;                                                    ///< must not be empty
  std::vector<std::pair<std::string, std::string>> configuration = {};  ///< what was chosen, and how
  std::vector<std::variant<LinePlot, HeatMap>> figures = {};            ///< one below the other
  LogTable log = {};                                                    ///< such as the loss of every hundredth step
  std::vector<std::pair<std::string, std::string>> samples = {};        ///< a heading, and a text of many lines
};

namespace detail {

/// Readable on screens of any width, in light and dark and on paper. Figures keep the white ground they are drawn for.
inline constexpr std::string_view report_style = R"(
:root { color-scheme: light dark; --ink: #222; --ground: #fff; --line: #d5d5d5; --shade: #f5f5f5; }
@media (prefers-color-scheme: dark) { :root { --ink: #ddd; --ground: #181818; --line: #444; --shade: #242424; } }
body { max-width: 52rem; margin: 2rem auto; padding: 0 1rem; color: var(--ink); background: var(--ground);
  font: 1rem/1.5 'DejaVu Sans', Verdana, 'Segoe UI', Helvetica, Arial, sans-serif; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; } h3 { font-size: 1rem; }
figure, .wide { margin: 1rem 0; overflow-x: auto; }
svg { max-width: 100%; height: auto; border-radius: 6px; }
table { border-collapse: collapse; font-size: 0.9rem; }
th, td { padding: 0.25rem 0.9rem 0.25rem 0; border-bottom: 1px solid var(--line); text-align: left;
  overflow-wrap: anywhere; vertical-align: top; }
th { font-weight: 600; }
.log th, .log td { text-align: right; font-variant-numeric: tabular-nums; }
pre { padding: 0.8rem 1rem; border-radius: 6px; background: var(--shade); white-space: pre-wrap;
  overflow-wrap: anywhere; font-size: 0.85rem; }
)";

inline std::string html_element(std::string_view name, std::string_view text) {
  return join("<", name, ">", xml_text(text), "</", name, ">");
}

inline std::string configuration_section(const RunReport& report) {
  if (report.configuration.empty()) return "";
  std::string html = "<h2>Configuration</h2>\n<div class=\"wide\"><table>\n";
  for (const auto& [name, value] : report.configuration)
    html += "<tr>" + html_element("th", name) + html_element("td", value) + "</tr>\n";
  return html + "</table></div>\n";
}

inline std::string figures_section(const RunReport& report) {
  std::string html = report.figures.empty() ? "" : "<h2>Figures</h2>\n";
  for (const auto& figure : report.figures)
    html += "<figure>\n" + std::visit([](const auto& drawing) { return to_svg(drawing); }, figure) + "</figure>\n";
  return html;
}

inline std::string log_section(const LogTable& log) {
  if (log.rows.empty()) return "";
  std::string html = "<h2>Log</h2>\n<div class=\"wide\"><table class=\"log\">\n<tr>";
  for (const std::string& column : log.columns) html += html_element("th", column);
  html += "</tr>\n";
  for (std::size_t i = 0; i < log.rows.size(); ++i) {
    require<ArgumentError>(log.rows[i].size() == log.columns.size(), "run report: row ", i, " of the log has ",
                           log.rows[i].size(), " numbers for ", log.columns.size(), " columns");
    html += "<tr>";
    for (const double value : log.rows[i]) html += html_element("td", tick_label(significant(value, 6)));
    html += "</tr>\n";
  }
  return html + "</table></div>\n";
}

inline std::string samples_section(const RunReport& report) {
  std::string html = report.samples.empty() ? "" : "<h2>Samples</h2>\n";
  for (const auto& [heading, text] : report.samples)  // a reader of HTML drops a line break that follows <pre>
    html += html_element("h3", heading) + "\n<pre>\n" + xml_text(text) + "</pre>\n";
  return html;
}

}  // namespace detail

/// The report as an HTML document, which is XML too. Whatever the texts contain is shown, never obeyed; scripts and
/// outside references are forbidden besides. Throws ArgumentError for an empty title, for a row of the log with another
/// number of cells than there are columns, and what to_svg throws for a figure.
inline std::string to_html(const RunReport& report) {
  detail::require<ArgumentError>(!report.title.empty(), "run report: the title is empty");
  return detail::join("<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n",
                      "<meta charset=\"utf-8\"/>\n<meta http-equiv=\"Content-Security-Policy\" ",
                      "content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n",
                      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n",
                      detail::html_element("title", report.title), "\n<style>", detail::report_style,
                      "</style>\n</head>\n<body>\n", detail::html_element("h1", report.title), "\n",
                      detail::configuration_section(report), detail::figures_section(report),
                      detail::log_section(report.log), detail::samples_section(report), "</body>\n</html>\n");
}

/// Writes to_html(report). Throws what that throws, and IoError naming the file.
inline void write_html(const std::filesystem::path& file, const RunReport& report) {
  write_text(file.string(), to_html(report));
}

}  // namespace plinth
