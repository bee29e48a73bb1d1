// SPDX-License-Identifier: MIT
#include <plinth/tensor/error.hpp>

#include "run_on_cuda.hpp"

int run_on_cuda(const Options&) {
  throw plinth::DeviceError("--device cuda: this program was compiled without CUDA; build the target train_gpt_cuda");
}
