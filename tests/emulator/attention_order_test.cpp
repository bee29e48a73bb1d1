// SPDX-License-Identifier: MIT
// Attention in different orders of blocks, warps and lanes: the same bits.
#include <emulator.hpp>

#include "catch.hpp"
#include "kernels/cuda/attention_on_cuda.hpp"

using attention_definition::Problem;
using attention_definition::Sizes;

TEST_CASE("cuda attention: bits do not depend on the order of blocks, warps and lanes", "[cuda]") {
  for (const Sizes& s : {Sizes{1, 4, 2, 140, 140, 32, true}, Sizes{1, 2, 1, 70, 150, 128, true, 60},
                         Sizes{1, 1, 1, 40, 70, 160, false}}) {
    const Problem<plinth::bfloat16> problem(s);
    emulator::set_seed(1);
    const auto bits = AttentionOnCuda<plinth::bfloat16>(problem).bits();
    for (const std::uint64_t seed : {2u, 3u}) {
      emulator::set_seed(seed);
      CHECK(AttentionOnCuda<plinth::bfloat16>(problem).bits() == bits);
    }
  }
}
