// SPDX-License-Identifier: MIT
// What translate_dates can be told, and how it is told.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

struct Options {
  static constexpr std::int64_t longest_date = 48;  // characters

  std::vector<std::string> dates;
  std::int64_t steps = 1500;
  std::uint64_t seed = 1;
};

/// Reads the command line into the options. Returns nothing to go on, else the exit code: 0 after --help, 2 after a
/// message about wrong usage.
std::optional<int> parse_options(int argc, char** argv, Options& options);
