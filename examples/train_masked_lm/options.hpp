// SPDX-License-Identifier: MIT
// What train_masked_lm can be told, and how it is told.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

struct Options {
  std::int64_t steps = 1500;
  std::vector<std::string> data;
};

/// Reads the command line into the options. Returns nothing to go on, else the exit code: 0 after --help, 2 after a
/// message about wrong usage.
std::optional<int> parse_options(int argc, char** argv, Options& options);
