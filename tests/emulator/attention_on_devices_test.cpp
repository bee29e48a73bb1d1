// SPDX-License-Identifier: MIT
// Attention in different orders of blocks, warps and lanes, and on devices with less shared memory: the same bits, or
// an error that says what is missing.
#include <emulator.hpp>

#include <cstdint>
#include <string>

#include "catch.hpp"
#include "kernels/cuda/attention_on_cuda.hpp"

using attention_definition::Problem;
using attention_definition::Sizes;

namespace {

/// What keeps attention from these sizes; nothing: "".
std::string refusal_of(const Problem<plinth::bfloat16>& p, bool with_gradients) {
  try {
    if (with_gradients) {
      AttentionOnCuda<plinth::bfloat16>{p};
    } else {
      const DeviceArray<plinth::bfloat16> q(p.query), k(p.key), v(p.value), y(p.query);
      plinth::kernels<plinth::Cuda>::attention(plinth::queue<plinth::Cuda>::current(), p.shape, nullptr, q.data(),
                                               k.data(), v.data(), y.data(), nullptr);
      plinth::queue<plinth::Cuda>::current().synchronize();
    }
  } catch (const plinth::DeviceError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

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

TEST_CASE("cuda attention: which heads a device's shared memory holds, and what is said of the others", "[cuda]") {
  struct Heads {
    std::int64_t D;
    const char *missing, *missing_for_gradients;  // on devices of 99 KiB
  };
  for (const Heads& heads : {Heads{32, "", ""}, {64, "", ""}, {128, "", "132096"}, {256, "131072", "131072"}}) {
    const Problem<plinth::bfloat16> problem({1, 1, 1, 20, 150, heads.D, true});
    const auto bits = AttentionOnCuda<plinth::bfloat16>(problem).bits();
    const emulator::ComputeCapability less(86);
    const auto said = [](const std::string& missing) {
      return missing.empty()
                 ? missing
                 : "cuda: asking for " + missing +
                       " bytes of shared memory for each block: cudaErrorInvalidValue (as the emulator sees it)";
    };
    CHECK(refusal_of(problem, false) == said(heads.missing));
    CHECK(refusal_of(problem, true) == said(heads.missing_for_gradients));
    if (!*heads.missing_for_gradients) CHECK(AttentionOnCuda<plinth::bfloat16>(problem).bits() == bits);
  }
}
