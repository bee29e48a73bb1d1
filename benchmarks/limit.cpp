// SPDX-License-Identifier: MIT
// The limit of multiply-adds in GFLOP/s, for peers that are no C++ programs, and what it was measured with.
#include <cstdio>

#include <CLI/CLI.hpp>

#include "rows.hpp"

int main(int argc, char** argv) {
  CLI::App app("The processor's limits; prints one line of JSON.\nExample: limit --threads 1");
  int threads = benchmark::all_threads();
  app.option_defaults()->always_capture_default();
  app.add_option("--threads", threads, "Threads that work at once")->check(CLI::Range(1, benchmark::all_threads()));
  CLI11_PARSE(app, argc, argv);
  benchmark::use_threads(threads);
  std::vector<double> of_float, of_bfloat16;
  for (int i = 0; i < 4; ++i) {
    of_float.push_back(benchmark::peak<float>(threads));
    of_bfloat16.push_back(benchmark::peak<plinth::bfloat16>(threads));
  }
  constexpr const char* sets[] = {"baseline", "avx2", "avx512"};
  std::printf("{\"instruction_set\": \"%s\", \"threads\": %d, \"float\": %.2f, \"bfloat16\": %.2f}\n",
              sets[static_cast<int>(plinth::instruction_set())], threads, 1e-9 * benchmark::median(of_float),
              1e-9 * benchmark::median(of_bfloat16));
}
