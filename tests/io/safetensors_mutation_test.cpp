// SPDX-License-Identifier: MIT
// Safetensors files with random changes: each is read or refused by a typed error, and nothing else happens.
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include <plinth/io/safetensors_file.hpp>

#include "catch.hpp"
#include "io/files.hpp"
#include "io/mutation.hpp"

using namespace plinth;

namespace {

/// The first 8 bytes: how long the header is.
std::uint64_t header_length(const std::string& file) {
  std::uint64_t length;
  std::memcpy(&length, file.data(), sizeof length);
  return length;
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
    std::string changed = files::mutated(file, 8 + header_length(file), random);
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
