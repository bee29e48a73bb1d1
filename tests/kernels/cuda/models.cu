// SPDX-License-Identifier: MIT
// Models in float on a GPU, for nvcc: against plain loops, and against PyTorch and transformers.
#define PLINTH_TESTS_ON_CUDA
#include "float_model_test.cpp"
#include "models/encoders_golden_test.cpp"
#include "models/golden_test.cpp"
