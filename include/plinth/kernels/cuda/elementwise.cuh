// SPDX-License-Identifier: MIT
// Kernels that treat every element alone, over dense data: filling, casting, accumulating, pointwise formulas.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include <plinth/kernels/cuda/launch.cuh>
#include <plinth/tensor/element.hpp>

namespace plinth::cuda {

/// Elements that a thread loads or stores at once.
template <class T, int Width>
struct alignas(sizeof(T) * Width) Pack {
  T values[Width];
};

/// f(constant) for 0 to Count - 1: arrays that only constants index stay in registers.
template <int Count, class F>
__device__ void for_constants(const F& f) {
  [&]<int... I>(std::integer_sequence<int, I...>) {
    (f(std::integral_constant<int, I>()), ...);
  }(std::make_integer_sequence<int, Count>());
}

/// Elements `first` and those that follow of a line of `length`, zeros behind its end.
template <int Width, class T>
__device__ Pack<T, Width> load_pack(const T* line, std::int64_t first, std::int64_t length, bool aligned) {
  if (aligned && first + Width <= length) return *aligned_cast<const Pack<T, Width>>(line + first);
  Pack<T, Width> pack = {};
  for (int i = 0; i < Width; ++i)
    if (first + i < length) pack.values[i] = line[first + i];
  return pack;
}

template <class Y, int Width, class F, class... X>
__device__ Pack<Y, Width> map_pack(const F& f, const Pack<X, Width>&... x) {
  Pack<Y, Width> y;
  for (int i = 0; i < Width; ++i) y.values[i] = f(x.values[i]...);
  return y;
}

/// y[i] = f(x[i]...) for i in [0, n), the first `packs` times Width elements Width at a time. y may be one of the x.
template <int Width, class F, class Y, class... X>
__global__ void map_elements(std::int64_t n, std::int64_t packs, F f, Y* y, const X*... x) {
  const std::int64_t first = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = first; i < packs; i += step)
    aligned_cast<Pack<Y, Width>>(y)[i] = map_pack<Y, Width>(f, aligned_cast<const Pack<X, Width>>(x)[i]...);
  for (std::int64_t i = packs * Width + first; i < n; i += step) y[i] = f(x[i]...);
}

inline constexpr int map_threads = 256;

/// Blocks of map_threads for `count` independent pieces of work; from some number on each thread loops over several.
inline std::int64_t map_blocks(const queue<Cuda>& queue, std::int64_t count) {
  return std::min(blocks_for(count, map_threads), std::int64_t{64} * queue.multiprocessors());
}

/// Queues y[i] = f(x[i]...) for i in [0, n). Elements are packed, 16 bytes of the widest type, where all pointers are
/// aligned to that; what is computed for an element is the same either way.
template <class F, class Y, class... X>
void map(queue<Cuda>& queue, std::int64_t n, F f, Y* y, const X*... x) {
  constexpr int width = 16 / static_cast<int>(std::max({sizeof(Y), sizeof(X)...}));
  const auto aligned = [](const auto* p) { return reinterpret_cast<std::uintptr_t>(p) % (sizeof(*p) * width) == 0; };
  const std::int64_t packs = aligned(y) && (aligned(x) && ...) ? n / width : 0;
  launch(queue, map_blocks(queue, std::max(packs, n - packs * width)), map_threads, 0, map_elements<width, F, Y, X...>, n,
         packs, f, y, x...);
}

template <class F>
__global__ void call_with_indices(std::int64_t n, F f) {
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) f(i);
}

/// Queues f(i) for i in [0, n), in any order.
template <class F>
void for_each_index(queue<Cuda>& queue, std::int64_t n, const F& f) {
  launch(queue, map_blocks(queue, n), map_threads, 0, call_with_indices<F>, n, f);
}

/// A number as another type, by way of that type's accumulator.
template <class To, class From>
PLINTH_HD To rounded(From x) {
  return static_cast<To>(static_cast<accumulator_t<To>>(x));
}

/// What stands for a value that an index outside its table asks for.
template <class T>
PLINTH_HD T no_value() {
  return rounded<T>(std::numeric_limits<float>::quiet_NaN());
}

template <class T>
struct Constant {
  T value;
  PLINTH_HD T operator()() const { return value; }
};

template <class From, class To>
struct Cast {
  PLINTH_HD To operator()(From x) const { return rounded<To>(static_cast<accumulator_t<From>>(x)); }
};

template <class From, class T>
struct Accumulate {
  PLINTH_HD T operator()(T y, From x) const {
    using A = accumulator_t<T>;
    return static_cast<T>(static_cast<A>(y) + static_cast<A>(x));
  }
};

template <class T>
struct Scale {
  const accumulator_t<T>* factor;  // in the device's memory
  PLINTH_HD T operator()(T x) const { return static_cast<T>(static_cast<accumulator_t<T>>(x) * *factor); }
};

/// A formula, computed in the accumulator's type.
template <class F, class T>
struct Forward {
  F f;
  template <class... X>
  PLINTH_HD T operator()(X... x) const {
    return static_cast<T>(f.forward(static_cast<accumulator_t<T>>(x)...));
  }
};

template <class F, class T>
struct Backward {
  F f;
  PLINTH_HD T operator()(T x, T dy) const {
    using A = accumulator_t<T>;
    return static_cast<T>(f.backward(static_cast<A>(x), static_cast<A>(dy)));
  }
};

struct CudaElementwise {
  template <class T>
  static void fill(queue<Cuda>& queue, std::int64_t n, T value, T* y) {
    map(queue, n, Constant<T>{value}, y);
  }
  template <class From, class To>
  static void cast(queue<Cuda>& queue, std::int64_t n, const From* x, To* y) {
    map(queue, n, Cast<From, To>{}, y, x);
  }
  template <class From, class T>
  static void accumulate(queue<Cuda>& queue, std::int64_t n, const From* x, T* y) {
    map(queue, n, Accumulate<From, T>{}, y, static_cast<const T*>(y), x);
  }
  template <class T>
  static void scale(queue<Cuda>& queue, std::int64_t n, const accumulator_t<T>* factor, T* x) {
    map(queue, n, Scale<T>{factor}, x, static_cast<const T*>(x));
  }
  template <class F, class T>
  static void pointwise(queue<Cuda>& queue, std::int64_t n, F f, const T* x, T* y) {
    map(queue, n, Forward<F, T>{f}, y, x);
  }
  template <class F, class T>
  static void pointwise_backward(queue<Cuda>& queue, std::int64_t n, F f, const T* x, const T* dy, T* dx) {
    map(queue, n, Backward<F, T>{f}, dx, x, dy);
  }
};

}  // namespace plinth::cuda
