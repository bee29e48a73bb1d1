// SPDX-License-Identifier: MIT
// The tests of this folder as one CUDA program, for nvcc, without those that only compile where there is a GPU, since
// they take nvcc minutes: op_table.cu, models.cu. Where there is no GPU it says so and ends with 77.
#include "attention_decode_test.cpp"
#include "attention_test.cpp"
#include "elementwise_test.cpp"
#include "fused_gemm_test.cpp"
#include "gemm_test.cpp"
#include "graph_test.cpp"
#include "queue_test.cpp"
#include "reduction_test.cpp"
#include "rows_test.cpp"
#include "sample_test.cpp"
#include "softmax_test.cpp"
#include "strided_test.cpp"
#include "training_test.cpp"
#include "model_test.cpp"

#include <cstdio>
#include <cstdlib>

namespace {

const bool device_found = [] {
  int count = 0;
  cudaDeviceProp device;
  if (cudaGetDeviceCount(&count) == cudaSuccess && count > 0 && cudaGetDeviceProperties(&device, 0) == cudaSuccess) {
    std::fprintf(stderr, "CUDA tests on a GPU, %s\n", device.name);
    return true;
  }
  std::fputs("skipped: no CUDA device\n", stderr);  // _Exit would lose what stdout holds
  std::_Exit(77);
}();

}  // namespace
