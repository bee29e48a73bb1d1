// SPDX-License-Identifier: MIT
// Where train_gpt takes its text from, and how it splits it.
#include "../../examples/train_gpt/text_source.hpp"

#include <filesystem>
#include <string>

#include <plinth/train/write_text.hpp>

#include "catch.hpp"

using Catch::Matchers::Contains;
using plinth::ArgumentError;
using plinth::IoError;
using plinth::write_text;

namespace {

/// An empty folder, gone when the test is over.
struct Folder {
  Folder() { std::filesystem::create_directories(name); }
  ~Folder() { std::filesystem::remove_all(name); }
  const std::string name = "plinth_text_source_test";
};

}  // namespace

TEST_CASE("sources are files and folders, each folder sorted by path, without hidden files") {
  const Folder folder;
  CHECK_THROWS_WITH(read_sources({folder.name}), folder.name + ": the folder has no files to learn from");
  std::filesystem::create_directories(folder.name + "/inner");
  std::filesystem::create_directories(folder.name + "/.git");
  write_text(folder.name + "/.git/config", "secret");
  write_text(folder.name + "/.hidden", "secret");
  CHECK_THROWS_AS(read_sources({folder.name}), IoError);
  write_text(folder.name + "/z", "3");
  write_text(folder.name + "/inner/b", "2");
  write_text(folder.name + "/a", "1");
  CHECK(read_sources({folder.name}) == "123");
  CHECK(read_sources({folder.name + "/z", folder.name}) == "3123");
  CHECK(read_sources({folder.name + "/.hidden"}) == "secret");  // asked for by name
  CHECK_THROWS_WITH(read_sources({folder.name + "/none"}), Contains(folder.name + "/none: "));
}

TEST_CASE("the last tenth is held out and a part of it is measured") {
  std::string text;
  for (int i = 0; i < 3'000'007; ++i) text += static_cast<char>(i % 251);
  const SplitText split(text, 128);
  CHECK(split.size() == text.size());
  CHECK(split.training() == std::string_view(text).substr(0, 2'700'000));
  CHECK(split.held_out() == std::string_view(text).substr(2'700'000, 200'000));
}

TEST_CASE("a text without a window in both parts is refused") {
  const SplitText enough(std::string(120, 'x'), 10);
  CHECK(enough.held_out().size() == 12);
  CHECK(enough.training().size() == 108);
  CHECK_THROWS_AS(SplitText(std::string(119, 'x'), 10), ArgumentError);
  CHECK_THROWS_WITH(SplitText("", 10), Contains("the text has 0 bytes") && Contains("at least 120"));
}
