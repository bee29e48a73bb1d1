// SPDX-License-Identifier: MIT
// Dropout from a counter-based stream, so that backward and replays draw the same mask.
#pragma once

#include <algorithm>
#include <cstdint>

#include <plinth/kernels/cpu/elementwise.hpp>
#include <plinth/kernels/dropout_element.hpp>
#include <plinth/tensor/random.hpp>

namespace plinth::cpu {

struct CpuDropout {
  template <class T>
  static void dropout(queue<Cpu>& queue, std::int64_t n, double probability, const RandomStream& stream,
                      const std::int32_t* step, const T* x, T* y) {
    const detail::DropoutElement<T> element(probability);
    const auto at = static_cast<std::uint32_t>(*step);
    over_blocks(queue, n, [=](std::int64_t begin, std::int64_t end) {  // begin is a multiple of 4
      for (std::int64_t i = begin; i < end; i += 4) {
        const RandomWords words = stream.words(static_cast<std::uint64_t>(i) / 4, at);
        for (std::int64_t k = i; k < std::min(i + 4, end); ++k)
          y[k] = element(words.word[k - i], x[k]);
      }
    });
  }
};

}  // namespace plinth::cpu
