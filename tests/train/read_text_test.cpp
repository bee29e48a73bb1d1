// SPDX-License-Identifier: MIT
// A file as a string.
#include <plinth/train/read_text.hpp>

#include <cstdio>
#include <string>

#include "catch.hpp"

using namespace plinth;
using Catch::Matchers::Contains;

namespace {

/// A file with a content, gone when the test is over.
class File {
 public:
  explicit File(const std::string& content) : name("plinth_read_text_" + std::to_string(content.size())) {
    std::FILE* const file = std::fopen(name.c_str(), "wb");
    REQUIRE(file);
    const std::size_t written = std::fwrite(content.data(), 1, content.size(), file);
    std::fclose(file);
    REQUIRE(written == content.size());
  }
  ~File() { std::remove(name.c_str()); }

  const std::string name;
};

}  // namespace

TEST_CASE("a file is read byte for byte") {
  const std::string bytes("a\r\n\0\xFF\x1A", 6);
  CHECK(read_text(File(bytes).name) == bytes);
  CHECK(read_text(File("").name).empty());
  std::string large;
  for (int i = 0; i < 200001; ++i) large += static_cast<char>(i * 7);
  CHECK(read_text(File(large).name) == large);
}

TEST_CASE("a file that cannot be read is named with the reason") {
  CHECK_THROWS_AS(read_text("no such file"), IoError);
  CHECK_THROWS_WITH(read_text("no such file"), Contains("no such file: "));
  CHECK_THROWS_AS(read_text("."), IoError);
  CHECK_THROWS_AS(read_text(""), IoError);
}
