// SPDX-License-Identifier: MIT
// check FOLDER: reads FOLDER, the repository's include/plinth, and prints file:line for whatever breaks a rule of the
// house. Exit code 0: nothing does; 1: something does; 2: usage.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "rules.hpp"

namespace fs = std::filesystem;

namespace {

std::vector<architecture::File> read(const fs::path& root) {
  std::vector<architecture::File> files;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    architecture::File file{entry.path().lexically_relative(root).generic_string(), {}};
    std::ifstream stream(entry.path());
    for (std::string line; std::getline(stream, line);) file.lines.push_back(line);
    files.push_back(std::move(file));
  }
  std::ranges::sort(files, {}, &architecture::File::path);
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 || !fs::is_directory(argv[1])) {
    std::cerr << "usage: check FOLDER, where FOLDER is the repository's include/plinth\n";
    return 2;
  }
  const fs::path root = argv[1];
  const auto files = read(root);
  const auto violations = architecture::check(files);
  for (const auto& [path, line, what] : violations)
    std::cout << (root / path).generic_string() << ':' << line << ": " << what << '\n';
  std::cout << files.size() << " files, " << violations.size() << " violations\n";
  return violations.empty() ? 0 : 1;
}
