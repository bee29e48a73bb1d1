// SPDX-License-Identifier: MIT
// Dropout from a counter-based stream: the mask that the CPU draws.
#pragma once

#include <cstdint>

#include <plinth/kernels/cuda/elementwise.cuh>
#include <plinth/tensor/random.hpp>

namespace plinth::cuda {

/// Four elements, which share a counter of the stream.
template <class T>
struct Dropout {
  using A = accumulator_t<T>;
  std::int64_t n;
  std::uint64_t threshold;
  A kept;
  RandomStream stream;
  const std::int32_t* step;
  const T* x;
  T* y;

  __device__ void operator()(std::int64_t four) const {
    const RandomWords words = stream.words(static_cast<std::uint64_t>(four), static_cast<std::uint32_t>(*step));
    for (int k = 0; k < 4 && 4 * four + k < n; ++k) {
      const std::int64_t i = 4 * four + k;
      y[i] = words.word[k] >= threshold ? static_cast<T>(static_cast<A>(x[i]) * kept) : static_cast<T>(A(0));
    }
  }
};

struct CudaDropout {
  template <class T>
  static void dropout(queue<Cuda>& queue, std::int64_t n, double probability, const RandomStream& stream,
                      const std::int32_t* step, const T* x, T* y) {
    using A = accumulator_t<T>;
    const auto threshold = static_cast<std::uint64_t>(probability * 4294967296.0);
    const A kept = probability < 1 ? static_cast<A>(1 / (1 - probability)) : A(0);
    for_each_index(queue, blocks_for(n, 4), Dropout<T>{n, threshold, kept, stream, step, x, y});
  }
};

}  // namespace plinth::cuda
