// SPDX-License-Identifier: MIT
// The emulator's form of the file of this name in the library, which it stands in front of.
#pragma once

#include <cuda_runtime.h>

#include <source_location>

#include <plinth/tensor/element.hpp>

namespace plinth::cuda {

inline constexpr int warp_size = 32;

template <class T>
T* shared_memory() {
  return static_cast<T*>(emulator::shared_memory());
}

template <class T>
accumulator_t<T> widened(T x) {
  return static_cast<accumulator_t<T>>(x);
}

inline void block_barrier(std::source_location place = std::source_location::current()) {
  emulator::block_barrier(place);
}

template <class T>
struct Shuffle {
  T value;
  int lanes;
  T result;

  /// Not seen by ThreadSanitizer: a shuffle orders no memory.
  [[gnu::no_sanitize_thread]] static void exchange(void* const* arguments) {
    for (int lane = 0; lane < warp_size; ++lane) {
      auto& own = *static_cast<Shuffle*>(arguments[lane]);
      own.result = static_cast<const Shuffle*>(arguments[lane ^ own.lanes])->value;
    }
  }
};

template <class T>
T shuffle_xor(T value, int lanes, std::source_location place = std::source_location::current()) {
  Shuffle<T> shuffle{value, lanes, value};
  emulator::warp_collective(Shuffle<T>::exchange, &shuffle, place);
  return shuffle.result;
}

}  // namespace plinth::cuda
