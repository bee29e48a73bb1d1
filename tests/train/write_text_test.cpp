// SPDX-License-Identifier: MIT
// A string as a file.
#include <plinth/train/write_text.hpp>

#include <cstdio>
#include <filesystem>
#include <string>

#include <plinth/train/read_text.hpp>

#include "catch.hpp"

using namespace plinth;
using Catch::Matchers::Contains;

TEST_CASE("a file receives the text byte for byte and nothing of the old one is left") {
  const std::string file = "plinth_write_text_test", bytes("a\r\n\0\xFF\x1A", 6);
  write_text(file, std::string(300000, 'x'));
  CHECK(read_text(file).size() == 300000);
  write_text(file, bytes);
  CHECK(read_text(file) == bytes);
  write_text(file, "");
  CHECK(read_text(file).empty());
  std::remove(file.c_str());
}

TEST_CASE("a file that cannot be written is named with the reason") {
  CHECK_THROWS_AS(write_text("no such folder/file", "x"), IoError);
  CHECK_THROWS_WITH(write_text("no such folder/file", "x"), Contains("no such folder/file: cannot be written: "));
  CHECK_THROWS_AS(write_text(".", "x"), IoError);
  if (std::filesystem::exists("/dev/full")) {
    CHECK_THROWS_WITH(write_text("/dev/full", "x"), Contains("/dev/full: cannot be written: No space left"));
    CHECK_THROWS_AS(write_text("/dev/full", std::string(1 << 20, 'x')), IoError);
  }
}
