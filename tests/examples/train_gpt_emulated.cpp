// SPDX-License-Identifier: MIT
// train_gpt where the device is played by the host: the program's own main() without a model for the CPU.
#include <cstdio>
#include <exception>

#include "options.hpp"
#include "run_on_cuda.hpp"

int main(int argc, char** argv) {
  Options options;
  if (const auto code = parse_options(argc, argv, options)) return *code;
  try {
    return run_on_cuda(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "train_gpt_emulated: %s\n", error.what());
    return 1;
  }
}
