// SPDX-License-Identifier: MIT
// Kernels over tensors of any strides: copies and binary formulas with broadcasting.
#pragma once

#include <cstdint>
#include <limits>
#include <utility>

#include <plinth/kernels/cuda/elementwise.cuh>
#include <plinth/tensor/shape.hpp>

namespace plinth::cuda {

/// The axes that Operands tensors have in common, with neighbours merged where all of them allow it. Index: a type that
/// holds the number of elements, 32 bits where possible, since GPUs divide 64-bit numbers slowly.
template <class Index, int Operands>
struct StridedAxes {
  int rank = 0;
  Index sizes[max_rank] = {};
  std::int64_t strides[Operands][max_rank] = {};

  /// How far element i, counted in row-major order, is from the first one, in each operand.
  PLINTH_HD void offsets(Index i, std::int64_t (&offset)[Operands]) const {
    for (std::int64_t& o : offset) o = 0;
    for (int axis = rank - 1; axis >= 0; --axis) {
      const Index index = i % sizes[axis];
      i /= sizes[axis];
      for (int k = 0; k < Operands; ++k) offset[k] += static_cast<std::int64_t>(index) * strides[k][axis];
    }
  }
};

template <class Index, int Operands>
StridedAxes<Index, Operands> merged_axes(const Shape& sizes, const Shape (&strides)[Operands]) {
  StridedAxes<Index, Operands> axes;
  for (int i = 0; i < sizes.rank(); ++i) {
    if (sizes[i] == 1) continue;
    bool continues = axes.rank > 0;
    for (int k = 0; k < Operands; ++k)
      continues = continues && axes.strides[k][axes.rank - 1] == strides[k][i] * sizes[i];
    if (!continues) axes.sizes[axes.rank++] = 1;
    axes.sizes[axes.rank - 1] *= static_cast<Index>(sizes[i]);
    for (int k = 0; k < Operands; ++k) axes.strides[k][axes.rank - 1] = strides[k][i];
  }
  return axes;
}

/// One element: operand 0 is y, the others are x.
template <std::size_t... I, class F, class Y, class... X>
__device__ void map_at(std::index_sequence<I...>, const std::int64_t* offset, const F& f, Y* y, const X*... x) {
  y[offset[0]] = f(x[offset[1 + I]]...);
}

template <class Index, class F, class Y, class... X>
__global__ void map_strided_elements(Index n, StridedAxes<Index, 1 + sizeof...(X)> axes, F f, Y* y, const X*... x) {
  const Index first = Index{blockIdx.x} * blockDim.x + threadIdx.x, step = Index{gridDim.x} * blockDim.x;
  for (Index i = first; i < n; i += step) {
    std::int64_t offset[1 + sizeof...(X)];
    axes.offsets(i, offset);
    map_at(std::index_sequence_for<X...>(), offset, f, y, x...);
  }
}

template <class Index, class F, class Y, class... X>
void map_merged(queue<Cuda>& queue, std::int64_t n, const StridedAxes<Index, 1 + sizeof...(X)>& axes, F f, Y* y,
                const X*... x) {
  bool dense = axes.rank <= 1;
  for (const auto& strides : axes.strides) dense = dense && (axes.rank == 0 || strides[0] == 1);
  if (dense)
    map(queue, n, f, y, x...);
  else
    launch(queue, map_blocks(queue, n), map_threads, 0, map_strided_elements<Index, F, Y, X...>, static_cast<Index>(n), axes,
           f, y, x...);
}

/// Queues y = f(x...) over all elements; `strides` are those of y, then those of each x.
template <class F, class Y, class... X>
void map_strided(queue<Cuda>& queue, const Shape& sizes, const Shape (&strides)[1 + sizeof...(X)], F f, Y* y,
                 const X*... x) {
  const std::int64_t n = element_count(sizes);
  if (n <= std::numeric_limits<std::int32_t>::max())
    map_merged(queue, n, merged_axes<std::uint32_t>(sizes, strides), f, y, x...);
  else
    map_merged(queue, n, merged_axes<std::uint64_t>(sizes, strides), f, y, x...);
}

template <class T>
struct Same {
  PLINTH_HD T operator()(T x) const { return x; }
};

struct CudaStrided {
  template <class T>
  static void copy(queue<Cuda>& queue, const Shape& sizes, const Shape& x_strides, const T* x, const Shape& y_strides,
                   T* y) {
    map_strided(queue, sizes, {y_strides, x_strides}, Same<T>{}, y, x);
  }

  template <class F, class T>
  static void binary(queue<Cuda>& queue, const Shape& sizes, F f, const Shape& a_strides, const T* a,
                     const Shape& b_strides, const T* b, T* y) {
    map_strided(queue, sizes, {contiguous_strides(sizes), a_strides, b_strides}, Forward<F, T>{f}, y, a, b);
  }
};

}  // namespace plinth::cuda
