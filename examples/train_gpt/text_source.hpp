// SPDX-License-Identifier: MIT
// The text to train on: files and folders given by the user, or the C++ headers of Eigen.
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <plinth/tensor/error.hpp>
#include <plinth/train/read_text.hpp>

/// Where packages put Eigen's headers.
inline std::vector<std::string> default_sources() {
  for (const char* folder : {"/usr/include/eigen3/Eigen", "/usr/local/include/eigen3/Eigen", "/opt/homebrew/include/eigen3/Eigen"})
    if (std::filesystem::is_directory(folder)) return {folder};
  throw plinth::IoError("no text to train on: Eigen's headers are not installed; give files with --data FILE...");
}

/// The contents of files, and of every file below a folder, one after the other, each folder's sorted by path.
inline std::string read_sources(const std::vector<std::string>& sources) {
  std::string text;
  for (const std::string& source : sources) {
    std::vector<std::string> files;
    if (std::filesystem::is_directory(source)) {
      for (const auto& entry : std::filesystem::recursive_directory_iterator(source))
        if (entry.is_regular_file()) files.push_back(entry.path().string());
      std::sort(files.begin(), files.end());
    } else {
      files.push_back(source);
    }
    for (const std::string& file : files) text += plinth::read_text(file);
  }
  return text;
}
