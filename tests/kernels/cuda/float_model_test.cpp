// SPDX-License-Identifier: MIT
// Decoders in float on CUDA. Apart from model_test.cpp, since nvcc takes long for every element type of a model.
#include <plinth/kernels/cuda.cuh>

#include "kernels/models_on_devices.hpp"

using namespace models_on_devices;

TEST_CASE("cuda: decoders in float give the numbers of plain loops", "[cuda]") {
  for (const TransformerConfig& config : {gpt, llama, other}) compare<float, Cuda>(config, 1e-5);
}
