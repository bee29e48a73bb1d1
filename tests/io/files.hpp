// SPDX-License-Identifier: MIT
// What tests of files need: a folder of their own, and whole files as strings.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include <plinth/io/file.hpp>

#include "catch.hpp"

namespace files {

/// Where a file that somebody has open cannot be replaced.
#ifdef _WIN32
inline constexpr bool on_windows = true;
#else
inline constexpr bool on_windows = false;
#endif

/// A new folder, gone with all that is in it when the test is over.
class Folder {
 public:
  Folder() {
    std::random_device random;
    do path_ = (std::filesystem::temp_directory_path() / ("plinth_" + std::to_string(random()))).string();
    while (!std::filesystem::create_directory(path_));
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

inline std::span<const std::byte> bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

/// As a writer of the library replaces a file.
inline void replace(const std::filesystem::path& file, const std::string& text) {
  plinth::detail::FileReplacement output(file);
  output.write(bytes(text));
  output.commit();
}

template <class F>
void refuses(F&& f, const std::string& text) {
  CHECK_THROWS_AS(f(), plinth::IoError);
  CHECK_THROWS_WITH(f(), Catch::Matchers::Contains(text));
}

/// While it lives, this thread's files can take `bytes` more, and then the disk is full.
class FullDisk {
 public:
  explicit FullDisk(std::size_t bytes) {
    left_ = bytes;
    plinth::detail::file_calls.write = [](plinth::detail::FileHandle file, const void* data, std::size_t size) {
      if (left_ == 0) return errno = ENOSPC, std::int64_t{-1};
      size = std::min(size, left_);
      left_ -= size;
      return plinth::detail::system::write(file, data, size);
    };
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  ~FullDisk() { plinth::detail::file_calls = {}; }

 private:
  static inline thread_local std::size_t left_ = 0;
};

}  // namespace files
