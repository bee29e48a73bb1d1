// SPDX-License-Identifier: MIT
// Text in XML and HTML: whatever it holds, it stays text.
#include <plinth/report/escape.hpp>

#include <stdexcept>
#include <string>

#include "catch.hpp"
#include "report/xml.hpp"

using plinth::detail::xml_character;
using plinth::detail::xml_line;
using plinth::detail::xml_text;

TEST_CASE("the reader of the tests refuses what is not well-formed") {
  for (const char* bad : {"", "<a>", "<a></b>", "<a/><b/>", "<a b=\"1\" b=\"2\"/>", "<a>&x;</a>", "<a>&</a>",
                          "<a b=\"<\"/>", "<a>\x01</a>", "<a b=1/>", "</a>"})
    CHECK_THROWS_AS(xml::Reader(bad), std::runtime_error);
  CHECK(xml::elements("<a><b c=\"&lt;\">&amp;</b></a>\n", "b")[0].text == "&");
}

TEST_CASE("characters that XML cannot hold are told from those it can") {
  for (const char* good : {"a", "\t", "\u00E9", "\u20AC", "\uFFFD", "\U0001F600", "\U0010FFFF"})
    CHECK(xml_character(good) == std::string(good).size());
  for (const char* bad :
       {"\x01", "\x1F", "\x80", "\xC0\x80", "\xC3", "\xC3(", "\xE0\x80\x80", "\xED\xA0\x80", "\xEF\xBF\xBE",
        "\xEF\xBF\xBF", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xF0\x9F\x98"})
    CHECK(xml_character(bad) == 0);
}

TEST_CASE("any bytes become content that reads as the same text") {
  const std::string wild = "<script>alert(\"1\" && 2)</script>\n\tb\r\n";
  CHECK(xml::Reader("<a>" + xml_text(wild) + "</a>").elements.at(0).text == wild);
  CHECK(xml::Reader("<a b=\"" + xml_text(wild) + "\"/>").elements.at(0).attributes.at("b") == wild);
  CHECK(xml_text(std::string("a\0b\x1B[2J", 7)) == "a\uFFFDb\uFFFD[2J");
  for (int first = 0; first < 256; ++first)
    for (int second = 0; second < 256; ++second) {
      const std::string bytes = {static_cast<char>(first), static_cast<char>(second), '<'};
      const std::string shown = xml::Reader("<a>" + xml_text(bytes) + "</a>").elements.at(0).text;
      CHECK((shown.ends_with('<') && shown.size() >= 2));
    }
}

TEST_CASE("a line has no breaks, and is cut between characters") {
  CHECK(xml_line("a\nb\tc\rd", 10) == "a b c d");
  CHECK(xml_line("\u00E9\u00E9\u00E9", 3) == "\u00E9\u00E9\u00E9");
  CHECK(xml_line("\u00E9\u00E9\u00E9\u00E9", 3) == "\u00E9\u00E9\u2026");
  CHECK(xml_line("<<<<", 2) == "&lt;\u2026");
  CHECK(xml_line("", 2).empty());
}
