// SPDX-License-Identifier: MIT
// Decoders, Trainer and generation run unchanged on CUDA, with the numbers of plain loops.
#include <plinth/kernels/cuda.cuh>

#include "kernels/models_on_devices.hpp"

using namespace models_on_devices;

TEST_CASE("cuda: decoders give the numbers of plain loops", "[cuda]") {
  for (const TransformerConfig& config : {gpt, llama, other}) {
    compare<double, Cuda>(config, 1e-13);
  }
}

TEST_CASE("cuda: Trainer and generate give the numbers of plain loops", "[cuda]") {
  for (const TransformerConfig& config : {gpt, llama, other}) {
    const auto on_cuda = train_and_generate<Cuda>(config), on_plain = train_and_generate<Plain>(config);
    REQUIRE(on_cuda.size() > 23);
    CHECK(numbers::distance(on_cuda, on_plain) < 1e-9);
    CHECK(std::vector<double>(on_cuda.end() - 23, on_cuda.end()) == std::vector<double>(on_plain.end() - 23, on_plain.end()));
  }
}
