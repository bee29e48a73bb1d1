// SPDX-License-Identifier: MIT
// Dropout from a counter-based stream: the mask that the CPU draws.
#pragma once

#include <cstdint>

#include <plinth/kernels/cuda/elementwise.cuh>
#include <plinth/kernels/dropout_element.hpp>
#include <plinth/tensor/random.hpp>

namespace plinth::cuda {

/// Four elements, which share a counter of the stream.
template <class T>
struct Dropout {
  std::int64_t n;
  detail::DropoutElement<T> element;
  RandomStream stream;
  const std::int32_t* step;
  const T* x;
  T* y;

  __device__ void operator()(std::int64_t four) const {
    const RandomWords words = stream.words(static_cast<std::uint64_t>(four), static_cast<std::uint32_t>(*step));
    for (int k = 0; k < 4 && 4 * four + k < n; ++k) {
      const std::int64_t i = 4 * four + k;
      y[i] = element(words.word[k], x[i]);
    }
  }
};

struct CudaDropout {
  template <class T>
  static void dropout(queue<Cuda>& queue, std::int64_t n, double probability, const RandomStream& stream,
                      const std::int32_t* step, const T* x, T* y) {
    const detail::DropoutElement<T> element(probability);
    for_each_index(queue, blocks_for(n, 4), Dropout<T>{n, element, stream, step, x, y});
  }
};

}  // namespace plinth::cuda
