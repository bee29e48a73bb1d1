// SPDX-License-Identifier: MIT
// Kernels that treat every element alone.
#pragma once

#include <algorithm>
#include <cstdint>

#include <plinth/kernels/cuda/launch.cuh>
#include <plinth/tensor/element.hpp>

namespace plinth::cuda {

/// Elements that a thread loads and stores together: 16 bytes.
template <class T>
struct alignas(16) Pack {
  static constexpr int width = 16 / sizeof(T);
  T values[width];
};

/// Calls body(i) for i in [0, n) and, for the first `packs` groups of Pack<T>::width elements, body.pack(group) instead.
template <class T, class Body>
__global__ void over_elements(std::int64_t n, std::int64_t packs, Body body) {
  const std::int64_t first = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t group = first; group < packs; group += step) body.pack(group);
  for (std::int64_t i = packs * Pack<T>::width + first; i < n; i += step) body(i);
}

/// y = f.forward(x)
template <class F, class T>
struct Forward {
  F f;
  const T* x;
  T* y;

  __device__ static T value(const F& f, T x) { return static_cast<T>(f.forward(static_cast<accumulator_t<T>>(x))); }
  __device__ void operator()(std::int64_t i) const { y[i] = value(f, x[i]); }
  __device__ void pack(std::int64_t group) const {
    Pack<T> values = reinterpret_cast<const Pack<T>*>(x)[group];
    for (T& v : values.values) v = value(f, v);
    reinterpret_cast<Pack<T>*>(y)[group] = values;
  }
};

/// dx = f.backward(x, dy)
template <class F, class T>
struct Backward {
  F f;
  const T *x, *dy;
  T* dx;

  __device__ static T value(const F& f, T x, T dy) {
    using A = accumulator_t<T>;
    return static_cast<T>(f.backward(static_cast<A>(x), static_cast<A>(dy)));
  }
  __device__ void operator()(std::int64_t i) const { dx[i] = value(f, x[i], dy[i]); }
  __device__ void pack(std::int64_t group) const {
    const Pack<T> from = reinterpret_cast<const Pack<T>*>(x)[group];
    Pack<T> values = reinterpret_cast<const Pack<T>*>(dy)[group];
    for (int k = 0; k < Pack<T>::width; ++k) values.values[k] = value(f, from.values[k], values.values[k]);
    reinterpret_cast<Pack<T>*>(dx)[group] = values;
  }
};

struct CudaElementwise {
  /// y may be x.
  template <class F, class T>
  static void pointwise(queue<Cuda>& queue, std::int64_t n, F f, const T* x, T* y) {
    run<T>(queue, n, Forward<F, T>{f, x, y}, x, y);
  }
  /// dx may be dy.
  template <class F, class T>
  static void pointwise_backward(queue<Cuda>& queue, std::int64_t n, F f, const T* x, const T* dy, T* dx) {
    run<T>(queue, n, Backward<F, T>{f, x, dy, dx}, x, dy, dx);
  }

 private:
  static constexpr int threads = 256;

  /// Packs are used where all pointers are aligned to them; what is computed for an element is the same either way.
  template <class T, class Body, class... Pointers>
  static void run(queue<Cuda>& queue, std::int64_t n, const Body& body, Pointers... pointers) {
    const bool aligned = ((reinterpret_cast<std::uintptr_t>(pointers) % alignof(Pack<T>) == 0) && ...);
    const std::int64_t packs = aligned ? n / Pack<T>::width : 0, rest = n - packs * Pack<T>::width;
    const std::int64_t enough = std::int64_t{64} * queue.multiprocessors();  // blocks; each thread loops over the rest
    const std::int64_t blocks = std::min(blocks_for(std::max(packs, rest), threads), enough);
    launch(queue, blocks, threads, 0, over_elements<T, Body>, n, packs, body);
  }
};

}  // namespace plinth::cuda
