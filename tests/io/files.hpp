// SPDX-License-Identifier: MIT
// What tests of files need: a folder of their own, whole files as strings, and a disk that is full.
#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

#include "catch.hpp"

namespace files {

/// A new folder, gone with all that is in it when the test is over.
class Folder {
 public:
  Folder() : path_((std::filesystem::temp_directory_path() / "plinth_XXXXXX").string()) {
    REQUIRE(::mkdtemp(path_.data()) != nullptr);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::filesystem::path operator/(const std::string& name) const { return std::filesystem::path(path_) / name; }
  const std::string& path() const { return path_; }
  /// Names of all that is in it, sorted.
  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) result.push_back(entry.path().filename().string());
    std::sort(result.begin(), result.end());
    return result;
  }

 private:
  std::string path_;
};

inline std::string content(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  REQUIRE(stream);
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

inline void write(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream stream(file, std::ios::binary);
  stream << bytes << std::flush;
  REQUIRE(stream);
}

/// While it lives, a limit of this process is lower.
class Limit {
 public:
  Limit(int resource, ::rlim_t value) : resource_(resource) {
    REQUIRE(::getrlimit(resource_, &old_) == 0);
    const ::rlimit lower{value, old_.rlim_max};
    REQUIRE(::setrlimit(resource_, &lower) == 0);
  }
  Limit(const Limit&) = delete;
  Limit& operator=(const Limit&) = delete;
  ~Limit() { ::setrlimit(resource_, &old_); }

 private:
  int resource_;
  ::rlimit old_;
};

/// While it lives, no file can grow beyond `bytes`, as on a full disk.
class FullDisk {
 public:
  explicit FullDisk(::rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)), limit_(RLIMIT_FSIZE, bytes) {}
  ~FullDisk() { std::signal(SIGXFSZ, handler_); }

 private:
  void (*handler_)(int);
  Limit limit_;
};

}  // namespace files
