// SPDX-License-Identifier: MIT
// The text to train on: files and folders given by the user, or the C++ headers of Eigen; and how it is split.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <plinth/tensor/error.hpp>
#include <plinth/train/read_text.hpp>

/// Where packages put Eigen's headers.
inline std::vector<std::string> default_sources() {
  for (const char* folder : {"/usr/include/eigen3", "/usr/local/include/eigen3", "/opt/homebrew/include/eigen3"})
    if (std::filesystem::is_directory(folder)) return {folder};
  throw plinth::IoError("no text to train on: Eigen's headers are not installed; give files with --data FILE...");
}

/// Every file below a folder, sorted by path, without hidden ones (.git and the like). Throws IoError when there is
/// none.
inline std::vector<std::string> files_below(const std::string& folder) {
  std::vector<std::string> files;
  auto entry = std::filesystem::recursive_directory_iterator(folder);
  for (const auto end = std::filesystem::recursive_directory_iterator(); entry != end; ++entry) {
    if (entry->path().filename().string().starts_with('.'))
      entry.disable_recursion_pending();
    else if (entry->is_regular_file())
      files.push_back(entry->path().string());
  }
  plinth::detail::require<plinth::IoError>(!files.empty(), folder, ": the folder has no files to learn from");
  std::sort(files.begin(), files.end());
  return files;
}

/// The contents of files, and of every file below a folder, one after the other. Throws IoError naming what cannot be
/// read.
inline std::string read_sources(const std::vector<std::string>& sources) {
  std::string text;
  for (const std::string& source : sources) {
    const bool folder = std::filesystem::is_directory(source);
    for (const std::string& file : folder ? files_below(source) : std::vector{source}) text += plinth::read_text(file);
  }
  return text;
}

/// A text in two parts: what is learned from, and what is kept from the model to measure it.
class SplitText {
 public:
  /// The last tenth is held out, of which the first 200,000 bytes at most are measured. Throws ArgumentError when a
  /// part is too short for windows of `context` bytes.
  SplitText(std::string text, std::int64_t context) : text_(std::move(text)), learned_(text_.size() / 10 * 9) {
    const auto needed = static_cast<std::size_t>(context) + 2;
    plinth::detail::require<plinth::ArgumentError>(text_.size() >= 10 * needed, "the text has ", text_.size(),
                                                   " bytes, too few for a context of ", context, ": give at least ",
                                                   10 * needed, " bytes with --data, or a smaller --context");
    plinth::detail::require<plinth::ArgumentError>(text_.size() >> 32 == 0, "the text has ", text_.size(),
                                                   " bytes: give less than 4 GiB with --data");
  }

  std::size_t size() const { return text_.size(); }
  std::string_view training() const { return std::string_view(text_).substr(0, learned_); }
  std::string_view held_out() const { return std::string_view(text_).substr(learned_, 200'000); }

 private:
  std::string text_;
  std::size_t learned_;
};
