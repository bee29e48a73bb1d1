// SPDX-License-Identifier: MIT
// nanoGPT's GPU recipe (6 layers, 6 heads, 384 channels, context 256, batch 64, 5000 steps, dropout 0.2) on the
// characters of a text, in bfloat16. nanogpt_recipe.py --device cuda is the same in PyTorch.
//   nanogpt_recipe --data input.txt [--seed 1] [--steps 5000]
#include <charconv>
#include <cstring>
#include <exception>

#include <plinth/kernels/cuda.cuh>

#include "nanogpt_recipe.hpp"

namespace {

struct Options {
  const char* data = nullptr;
  std::int64_t seed = 1, steps = 5000;
};

bool read_number(const char* word, std::int64_t& number) {
  const char* const end = word + std::strlen(word);
  const auto [rest, error] = std::from_chars(word, end, number);
  return error == std::errc() && rest == end && number >= 0;
}

/// Where the words are no options: false.
bool read(int argc, char** argv, Options& options) {
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--data") == 0)
      options.data = argv[i + 1];
    else if (!(std::strcmp(argv[i], "--seed") == 0 && read_number(argv[i + 1], options.seed)) &&
             !(std::strcmp(argv[i], "--steps") == 0 && read_number(argv[i + 1], options.steps)))
      return false;
  }
  return argc % 2 == 1 && options.data;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
      std::fprintf(stderr, "nanogpt_recipe: no CUDA device\n");
      return 77;
    }
    Options options;
    if (!read(argc, argv, options)) {
      std::fprintf(stderr, "usage: nanogpt_recipe --data FILE [--seed N] [--steps N], at least 100 steps\n");
      return 1;
    }
    benchmark::train_recipe<plinth::bfloat16, plinth::Cuda>({.layers = 6,
                                                             .heads = 6,
                                                             .hidden = 384,
                                                             .context = 256,
                                                             .batch = 64,
                                                             .steps = options.steps,
                                                             .evaluate_every = 250,
                                                             .dropout = 0.2},
                                                            options.data, static_cast<std::uint64_t>(options.seed),
                                                            "CUDA");
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "nanogpt_recipe: %s\n", error.what());
    return 1;
  }
}
