// SPDX-License-Identifier: MIT
// Safetensors files with random changes: each is read or refused by a typed error, and nothing else happens.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include <plinth/io/safetensors_file.hpp>

#include "catch.hpp"
#include "io/files.hpp"

using namespace plinth;

namespace {

/// The first 8 bytes: how long the header is.
std::uint64_t header_length(const std::string& file) {
  std::uint64_t length;
  std::memcpy(&length, file.data(), sizeof length);
  return length;
}

/// The file with one to three changes in its first `reach` bytes: a bit turned, a byte replaced by one that means
/// something in JSON, a digit by another, two places swapped, a piece copied to another place or cut out.
std::string mutated(std::string file, std::size_t reach, std::mt19937& random) {
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

/// Reads all that the file has. Whether it was refused before a tensor was read.
bool refused(const std::filesystem::path& path) {
  try {
    const SafetensorsFile file(path);
    for (const std::string& name : file.names()) {
      try {
        const std::vector<double> values = file.read<double>(name);
        std::int64_t count = 1;
        for (const std::int64_t size : file.shape(name)) count *= size;
        CHECK(static_cast<std::int64_t>(values.size()) == count);
      } catch (const FormatError&) {  // no value of double
      } catch (const ShapeError&) {  // no shape of a Tensor
      }
    }
    return false;
  } catch (const FormatError& error) {
    CHECK(std::string(error.what()).find("header: ") != std::string::npos);
    return true;
  }
}

/// How many of the mutated files are refused.
int refused_of(int count, const std::string& file, bool length_too, std::uint32_t seed) {
  const files::Folder folder;
  std::mt19937 random(seed);
  int refusals = 0;
  for (int i = 0; i < count; ++i) {
    std::string changed = mutated(file, 8 + header_length(file), random);
    if (!length_too) {  // the header is as long as it says, so that more than its length is looked at
      const std::uint64_t length = header_length(file) + changed.size() - file.size();
      std::memcpy(changed.data(), &length, sizeof length);
    }
    std::filesystem::remove(folder / "file");  // some file systems wait for the disk when a file is overwritten
    files::write(folder / "file", changed);
    INFO("seed " << seed << ", file " << i);
    refusals += refused(folder / "file");
  }
  return refusals;
}

}  // namespace

TEST_CASE("mutated files are read or refused") {
  const std::string types = files::content("tests/golden/safetensors_types.safetensors");
  const std::string written = files::content("tests/golden/safetensors_written.safetensors");
  int refusals = refused_of(1500, types, true, 1) + refused_of(1500, types, false, 2);
  refusals += refused_of(1500, written, true, 3) + refused_of(1500, written, false, 4);
  CHECK(refusals > 4000);  // most changes break the header ...
  CHECK(refusals < 6000);  // ... but not all, so reading was tried as well
}
