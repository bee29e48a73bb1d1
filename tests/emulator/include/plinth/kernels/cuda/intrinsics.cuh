// SPDX-License-Identifier: MIT
// The emulator's form of the file of this name in the library, which it stands in front of.
#pragma once

#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <source_location>

#include <plinth/tensor/element.hpp>

namespace plinth::cuda {

inline constexpr int warp_size = 32;

template <class T>
T* shared_memory() {
  return static_cast<T*>(emulator::shared_memory());
}

template <class Group, class T>
Group* aligned_cast(T* x) {
  emulator::require_aligned(x, alignof(Group), "a load or store of several elements");
  return reinterpret_cast<Group*>(x);
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

inline unsigned forgotten(unsigned x) { return x; }

inline float fast_exp2(float x) {
  const float y = std::exp2(x);
  return y < 0x1p-126f ? 0.0f : y;
}

template <class T>
std::uint32_t packed_pair(float low, float high) {
  return T(low).bits | static_cast<std::uint32_t>(T(high).bits) << 16;
}

inline void copy_async(void* to, const void* from, bool inside) {
  emulator::require_aligned(to, 16, "an asynchronous copy to shared memory");
  emulator::require_aligned(from, 16, "an asynchronous copy from memory");
  emulator::copy_later(to, inside ? from : nullptr, 16);
}

inline void commit_copies() { emulator::commit_copies(); }

template <int Newest>
void wait_for_copies() {
  emulator::wait_for_copies(Newest);
}

/// ldmatrix.x4, of matrices as they are or transposed.
template <bool Transposed>
struct LoadMatrices {
  std::uint16_t row[8];
  std::uint32_t* to;

  LoadMatrices(const void* from, std::uint32_t* registers) : to(registers) {
    emulator::require_aligned(from, sizeof row, "a row of a matrix");
    std::memcpy(row, from, sizeof row);
  }

  /// Element (i, j) of matrix m.
  [[gnu::no_sanitize_thread]] static std::uint32_t element(void* const* arguments, int m, int i, int j) {
    return static_cast<const LoadMatrices*>(arguments[8 * m + i])->row[j];
  }

  [[gnu::no_sanitize_thread]] static void exchange(void* const* arguments) {
    for (int lane = 0; lane < warp_size; ++lane)
      for (int m = 0; m < 4; ++m) {
        const int at = lane / 4, pair = 2 * (lane % 4);
        const std::uint32_t low = Transposed ? element(arguments, m, pair, at) : element(arguments, m, at, pair),
                            high =
                                Transposed ? element(arguments, m, pair + 1, at) : element(arguments, m, at, pair + 1);
        static_cast<const LoadMatrices*>(arguments[lane])->to[m] = low | high << 16;
      }
  }
};

inline void load_matrices(std::uint32_t (&to)[4], const void* row,
                          std::source_location place = std::source_location::current()) {
  LoadMatrices<false> load(row, to);
  emulator::warp_collective(LoadMatrices<false>::exchange, &load, place);
}

inline void load_matrices_transposed(std::uint32_t (&to)[4], const void* row,
                                     std::source_location place = std::source_location::current()) {
  LoadMatrices<true> load(row, to);
  emulator::warp_collective(LoadMatrices<true>::exchange, &load, place);
}

/// mma.sync.m16n8k16: C (16, 8) += A (16, 16) B (16, 8).
template <class T>
struct MultiplyAdd {
  float* c;
  const std::uint32_t* a;
  std::uint32_t b[2];

  [[gnu::no_sanitize_thread]] static float number(std::uint32_t pair, int which) {
    T element;
    element.bits = static_cast<std::uint16_t>(pair >> (16 * which));
    return static_cast<float>(element);
  }

  [[gnu::no_sanitize_thread]] static void exchange(void* const* arguments) {
    float a[16][16], b[8][16];  // b by columns
    for (int lane = 0; lane < warp_size; ++lane) {
      const auto& own = *static_cast<const MultiplyAdd*>(arguments[lane]);
      const int g = lane / 4, t = lane % 4;
      for (int e = 0; e < 2; ++e) {
        for (int i = 0; i < 4; ++i) a[g + i % 2 * 8][2 * t + e + i / 2 * 8] = number(own.a[i], e);
        for (int i = 0; i < 2; ++i) b[g][2 * t + e + i * 8] = number(own.b[i], e);
      }
    }
    for (int lane = 0; lane < warp_size; ++lane)
      for (int i = 0; i < 4; ++i) {
        float sum = 0;
        for (int k = 0; k < 16; ++k) sum += a[lane / 4 + i / 2 * 8][k] * b[2 * (lane % 4) + i % 2][k];
        static_cast<const MultiplyAdd*>(arguments[lane])->c[i] += sum;
      }
  }
};

template <class T>
void multiply_add(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1,
                  std::source_location place = std::source_location::current()) {
  MultiplyAdd<T> product{c, a, {b0, b1}};
  emulator::warp_collective(MultiplyAdd<T>::exchange, &product, place);
}

}  // namespace plinth::cuda
