// SPDX-License-Identifier: MIT
#include "run_on_cuda.hpp"

#include <plinth/kernels/cuda.cuh>

#include "run.hpp"
#include "saved_run_of.hpp"

int run_on_cuda(const Options& options) {
  using plinth::Cuda;
  using plinth::Decoder;
  plinth::cuda::use_device(options.gpu);
  return options.dtype == "bf16" ? run<Decoder<plinth::bfloat16, Cuda>>(options)
                                               : run<Decoder<float, Cuda>>(options);
}
