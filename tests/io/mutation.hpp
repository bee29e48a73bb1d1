// SPDX-License-Identifier: MIT
// Random changes of files that hold JSON.
#pragma once

#include <algorithm>
#include <cstddef>
#include <random>
#include <string>
#include <utility>

namespace files {

/// The file with one to three changes in its first `reach` bytes: a bit turned, a byte replaced by one that means
/// something in JSON, a digit by another, two places swapped, a piece copied to another place or cut out.
inline std::string mutated(std::string file, std::size_t reach, std::mt19937& random) {
  const auto below = [&](std::size_t limit) { return random() % limit; };
  const std::string telling = "{}[]\",:0123456789-.eE+\\u \nnullF3246ab\x7f\xff";
  for (std::size_t changes = 1 + below(3); changes > 0; --changes) {
    const std::size_t limit = std::min(reach, file.size()), at = below(limit), from = below(limit), size = 1 + below(30);
    switch (below(6)) {
      case 0: file[at] = static_cast<char>(file[at] ^ (1 << below(8))); break;
      case 1: file[at] = telling[below(telling.size())]; break;
      case 2: std::swap(file[at], file[from]); break;
      case 3: file.insert(at, file.substr(from, size)); break;
      case 4: file.erase(at, size); break;
      default:
        if (const auto i = file.find_first_of("0123456789", at); i < limit) file[i] = "0123456789"[below(10)];
    }
  }
  return file;
}

}  // namespace files
