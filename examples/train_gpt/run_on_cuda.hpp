// SPDX-License-Identifier: MIT
// The run on a GPU: run_on_cuda.cu where the program is compiled with CUDA, run_without_cuda.cpp where it is not.
#pragma once

#include "options.hpp"

/// As run(), with a model in the GPU's memory. Throws DeviceError where there is none.
int run_on_cuda(const Options& options);
