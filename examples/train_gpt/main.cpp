// SPDX-License-Identifier: MIT
// Trains a small GPT on the bytes of any text, compares it with n-gram models of the same text, and lets it write.
#include <cstdio>
#include <exception>

#include "options.hpp"
#include "run.hpp"
#include "run_on_cuda.hpp"

int main(int argc, char** argv) {
  Options options;
  if (const auto code = parse_options(argc, argv, options)) return *code;
  try {
    return options.device == "cuda" ? run_on_cuda(options) : run<plinth::Decoder<float>>(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "train_gpt: %s\n", error.what());
    return failed;
  }
}
