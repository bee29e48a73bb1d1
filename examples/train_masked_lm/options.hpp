// SPDX-License-Identifier: MIT
// The command line of train_masked_lm.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <system_error>
#include <vector>

#include <plinth/tensor/error.hpp>

/// The command line: train_masked_lm [--steps N] [--data FILE...]
struct Options {
  std::int64_t steps = 1500;
  std::vector<std::string> data;
};

/// Throws ArgumentError for what cannot be understood.
inline Options parse_options(std::vector<std::string> arguments) {
  Options options;
  if (!arguments.empty() && arguments[0] == "--steps") {
    const std::string value = arguments.size() > 1 ? arguments[1] : "";
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), options.steps);
    plinth::detail::require<plinth::ArgumentError>(
        error == std::errc() && end == value.data() + value.size() && options.steps > 0 && options.steps <= 1000000,
        "--steps needs a number from 1 to 1000000, not \"", value, '"');
    arguments.erase(arguments.begin(), arguments.begin() + 2);
  }
  if (arguments.empty()) return options;
  plinth::detail::require<plinth::ArgumentError>(arguments[0] == "--data", "unknown argument ", arguments[0]);
  plinth::detail::require<plinth::ArgumentError>(arguments.size() > 1, "--data needs a file");
  options.data.assign(arguments.begin() + 1, arguments.end());
  return options;
}
