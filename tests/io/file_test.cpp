// SPDX-License-Identifier: MIT
// Reading files, and replacing them in one step or not at all.
#include <plinth/io/file.hpp>

#include <atomic>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "io/files.hpp"
#include "io/recorded_calls.hpp"

using namespace plinth;
using Catch::Matchers::Contains;
using detail::FileReplacement;
using detail::InputFile;
using files::bytes;
using files::refuses;
using files::replace;
using Names = std::vector<std::string>;

namespace {

std::string read(const InputFile& file, std::uint64_t offset, std::size_t size) {
  std::string text(size, '?');
  file.read(offset, std::as_writable_bytes(std::span(text)));
  return text;
}

}  // namespace

TEST_CASE("a file is read at any offset") {
  const files::Folder folder;
  files::write(folder / "a", std::string("zero\0one", 8));
  const InputFile file(folder / "a");
  CHECK(file.size() == 8);
  CHECK(file.path() == folder / "a");
  CHECK(read(file, 0, 8) == std::string("zero\0one", 8));
  CHECK(read(file, 5, 3) == "one");
  CHECK(read(file, 8, 0).empty());
  refuses([&] { read(file, 5, 4); }, "ends at offset 8, 1 bytes too early");
  refuses([&] { read(file, 100, 1); }, "ends at offset 100");
  std::filesystem::resize_file(folder / "a", 2);  // by somebody else, while it is open
  refuses([&] { read(file, 0, 8); }, "a: ends at offset 2, 6 bytes too early");
}

TEST_CASE("a file that cannot be opened or read is named with the reason") {
  const files::Folder folder;
  refuses([&] { InputFile(folder / "missing"); }, "missing: cannot open: No such file or directory");
  refuses([&] { InputFile(folder / "no folder" / "a"); }, "cannot open: No such file");
  refuses([&] { InputFile(folder.path()); }, "is not a regular file");
  refuses([] { InputFile(""); }, "cannot open");
}

TEST_CASE("a replacement takes the name when it is complete") {
  const files::Folder folder;
  files::write(folder / "a", "old");
  {
    FileReplacement output(folder / "a");
    output.write(bytes("new "));
    output.write({});
    CHECK(files::content(folder / "a") == "old");
    output.write(bytes("content"));
    output.commit();
    CHECK(files::content(folder / "a") == "new content");
    CHECK(folder.names() == Names{"a"});
  }
  CHECK(folder.names() == Names{"a"});
  replace(folder / "b", "");
  CHECK(files::content(folder / "b").empty());
}

TEST_CASE("a replacement that is given up leaves nothing") {
  const files::Folder folder;
  files::write(folder / "a", "old");
  FileReplacement(folder / "a").write(bytes("new"));
  CHECK(files::content(folder / "a") == "old");
  CHECK(folder.names() == Names{"a"});
}

TEST_CASE("one writer at a time is let in") {
  const files::Folder folder;
  FileReplacement first(folder / "a");
  first.write(bytes("first"));
  refuses([&] { FileReplacement(folder / "a"); }, "a.tmp: cannot lock, somebody else is writing it");
  first.commit();
  CHECK(files::content(folder / "a") == "first");
}

TEST_CASE("writers that race for a name leave the whole content of one") {
  const files::Folder folder;
  std::atomic<int> failures = 0;
  const auto write_often = [&](char letter) {
    for (int successes = 0; successes < 100;) {
      try {
        replace(folder / "a", std::string(10000, letter));
        ++successes;
      } catch (const IoError& error) {  // only because the other one is writing
        const std::string what = error.what();
        const bool open = files::on_windows && what.find("a: cannot replace: Permission denied") != std::string::npos;
        failures += !open && what.find("lock, somebody else") == std::string::npos;
      }
    }
  };
  std::thread a(write_often, 'a'), b(write_often, 'b');
  a.join();
  b.join();
  const std::string found = files::content(folder / "a");
  CHECK(failures == 0);
  CHECK((found == std::string(10000, 'a') || found == std::string(10000, 'b')));
  CHECK(folder.names() == Names{"a"});
}

TEST_CASE("a file may have any name of Unicode") {
  const files::Folder folder;
  const auto name = std::filesystem::path(folder.path()) / std::filesystem::path(u8"\u00e4\u6587\U0001f600");
  replace(name, "text");
  CHECK(read(InputFile(name), 0, 4) == "text");
  std::filesystem::remove(name);
  refuses([&] { InputFile{name}; }, "\xc3\xa4\xe6\x96\x87\xf0\x9f\x98\x80: cannot open: No such file or directory");
}

TEST_CASE("only a regular file is replaced") {
  const files::Folder folder;
  std::filesystem::create_directory(folder / "directory");
  refuses([&] { FileReplacement(folder / "directory"); }, "directory: is not a regular file");
  refuses([&] { FileReplacement(folder / "no folder" / "a"); }, "a.tmp: cannot create: No such file or directory");
  CHECK(folder.names() == Names{"directory"});

  FileReplacement output(folder / "a");
  std::filesystem::create_directory(folder / "a");
  refuses([&] { output.commit(); }, "a: cannot replace: ");
}

TEST_CASE("whichever call of a replacement fails, the name has all of the old content or all of the new") {
  const std::string expected[] = {"create", "lock", "empty", "write", "flush", "rename", "close", "flush"};
  const files::Folder folder;
  const auto replaced_with = [&](const files::RecordedCalls::Fault& fault) {
    files::write(folder / "a", "old");
    const files::RecordedCalls recorded(fault);
    try {
      replace(folder / "a", "new");
    } catch (const IoError& error) {
      CHECK_THAT(error.what(), Contains(": cannot ") && Contains("Input/output error"));
    }
    return recorded.calls();
  };
  const auto calls = replaced_with([](std::size_t, const files::Call&) { return 0; });
  REQUIRE(calls.size() == std::size(expected));
  for (std::size_t k = 0; k < calls.size(); ++k) {
    INFO("call " << k << " fails: " << calls[k].name);
    CHECK(calls[k].name == expected[k]);
    replaced_with([&](std::size_t i, const files::Call&) { return i == k ? EIO : 0; });
    const bool named = k > 5 || calls[k].name == "lock";  // a disk that knows no locks goes without
    CHECK(files::content(folder / "a") == (named ? "new" : "old"));
    CHECK(folder.names() == Names{"a"});
  }
}
