// SPDX-License-Identifier: MIT
// Dropout from a counter-based stream, so that backward and replays draw the same mask.
#pragma once

#include <algorithm>
#include <cstdint>

#include <plinth/kernels/cpu/elementwise.hpp>
#include <plinth/tensor/random.hpp>

namespace plinth::cpu {

struct CpuDropout {
  template <class T>
  static void dropout(queue<Cpu>& queue, std::int64_t n, double probability, const RandomStream& stream,
                      const std::int32_t* step, const T* x, T* y) {
    using A = accumulator_t<T>;
    const auto threshold = static_cast<std::uint64_t>(probability * 4294967296.0);
    const A kept = probability < 1 ? static_cast<A>(1 / (1 - probability)) : A(0);
    const auto at = static_cast<std::uint32_t>(*step);
    over_blocks(queue, n, [=](std::int64_t begin, std::int64_t end) {  // begin is a multiple of 4
      for (std::int64_t i = begin; i < end; i += 4) {
        const RandomWords words = stream.words(static_cast<std::uint64_t>(i) / 4, at);
        for (std::int64_t k = i; k < std::min(i + 4, end); ++k)
          y[k] = words.word[k - i] >= threshold ? static_cast<T>(static_cast<A>(x[k]) * kept) : static_cast<T>(A(0));
      }
    });
  }
};

}  // namespace plinth::cpu
