// SPDX-License-Identifier: MIT
// The matrix products of other libraries, as far as this machine has them.
#pragma once

#include <cstdint>
#include <vector>

#include <plinth/tensor/element.hpp>

#include "rows.hpp"

namespace benchmark {

/// C = A B, dense and row-major, A (M, K) and B (K, N) stored transposed where it says so.
struct Product {
  bool a_transposed, b_transposed;
  std::int64_t M, N, K;
};

/// The peers that compute this product of these matrices into c with the threads that OpenMP gives now. OpenBLAS has
/// threads of its own, which fight with OpenMP's: it is among them for one thread only. Eigen, compiled for this
/// machine's processor, is not when Plinth was told to use a narrower instruction set.
std::vector<Contender> gemm_peers(const Product& product, const float* a, const float* b, float* c);
std::vector<Contender> gemm_peers(const Product& product, const plinth::bfloat16* a, const plinth::bfloat16* b,
                                  plinth::bfloat16* c);

}  // namespace benchmark
