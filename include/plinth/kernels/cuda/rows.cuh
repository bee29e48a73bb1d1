// SPDX-License-Identifier: MIT
// Rows of a table: gathering them by index, adding gradients back, appending them behind others, and turning them by their
// position (RoPE). An index outside the table yields NaN.
#pragma once

#include <cstdint>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cuda/elementwise.cuh>
#include <plinth/kernels/cuda/launch.cuh>
#include <plinth/tensor/element.hpp>

namespace plinth::cuda {

template <class T>
struct GatherRows {
  std::int64_t table_rows, columns;
  const T* table;
  const std::int32_t* ids;
  T* y;

  __device__ void operator()(std::int64_t at) const {
    const std::int64_t id = ids[at / columns];
    y[at] = id >= 0 && id < table_rows ? table[id * columns + at % columns] : no_value<T>();
  }
};

inline constexpr int scatter_threads = 256, scatter_rows = 32;  // of a block; rows of the table that it adds to

/// dtable[ids[r]] += dy[r]. A block looks at all ids for those of its rows of the table and adds what belongs there in
/// the order of r, which takes n table_rows / scatter_rows looks; where an id is outside the table its first row becomes NaN.
template <class T>
__global__ void __launch_bounds__(scatter_threads)
    scatter_rows_of(std::int64_t n, std::int64_t table_rows, std::int64_t columns, const std::int32_t* ids, const T* dy,
                    T* dtable) {
  using A = accumulator_t<T>;
  std::int32_t* seen = shared_memory<std::int32_t>();
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t first = std::int64_t{blockIdx.x} * scatter_rows;
  for (std::int64_t begin = 0; begin < n; begin += scatter_threads) {
    const std::int64_t count = n - begin < scatter_threads ? n - begin : scatter_threads;
    if (thread < count) seen[thread] = ids[begin + thread];
    block_barrier();
    for (std::int64_t k = 0; k < count; ++k) {
      const bool outside = seen[k] < 0 || seen[k] >= table_rows;
      const std::int64_t row = outside ? 0 : seen[k];
      if (row < first || row >= first + scatter_rows) continue;
      for (std::int64_t i = thread; i < columns; i += scatter_threads) {
        T& to = dtable[row * columns + i];
        to = outside ? no_value<T>() : static_cast<T>(static_cast<A>(to) + static_cast<A>(dy[(begin + k) * columns + i]));
      }
    }
    block_barrier();  // `seen` has been read
  }
}

template <class T>
struct AppendRows {
  AppendShape shape;
  const std::int32_t* rows;
  const T* x;
  T* y;

  __device__ void operator()(std::int64_t at) const {
    const std::int64_t i = at % shape.head_size, h = at / shape.head_size % shape.heads,
                       row = at / shape.head_size / shape.heads, b = row / shape.time, t = row % shape.time,
                       place = rows[3 * b] + t;
    if (place < 0 || place >= shape.capacity) return;
    y[b * shape.y.batch + h * shape.y.head + place * shape.y.time + i] =
        x[b * shape.x.batch + h * shape.x.head + t * shape.x.time + i];
  }
};

/// A pair of channels of a head, or one that does not turn.
template <class T>
struct Rotate {
  RotaryShape shape;
  const T* x;
  const std::int32_t* positions;
  const accumulator_t<T>* table;
  T* y;

  PLINTH_HD std::int64_t pairs() const { return shape.rotated / 2; }
  PLINTH_HD std::int64_t parts() const { return pairs() + shape.head_size - shape.rotated; }  // of a head

  __device__ void operator()(std::int64_t at) const {
    using A = accumulator_t<T>;
    const std::int64_t part = at % parts(), h = at / parts() % shape.heads, row = at / parts() / shape.heads;
    const std::int64_t b = row / shape.time, t = row % shape.time, position = positions[row];
    const T* from = x + b * shape.x.batch + h * shape.x.head + t * shape.x.time;
    T* to = y + b * shape.y.batch + h * shape.y.head + t * shape.y.time;
    if (part >= pairs()) {
      const std::int64_t i = shape.rotated + part - pairs();
      to[i] = from[i];
      return;
    }
    const std::int64_t i = shape.interleaved ? 2 * part : part, other = shape.interleaved ? i + 1 : i + pairs();
    if (position < 0 || position >= shape.table_rows) {
      to[i] = to[other] = no_value<T>();
      return;
    }
    const A c = table[position * shape.rotated + part], s = table[position * shape.rotated + pairs() + part];
    const A sine = shape.inverse ? -s : s, x1 = static_cast<A>(from[i]), x2 = static_cast<A>(from[other]);
    to[i] = static_cast<T>(x1 * c - x2 * sine);
    to[other] = static_cast<T>(x1 * sine + x2 * c);
  }
};

struct CudaRows {
  template <class T>
  static void gather_rows(queue<Cuda>& queue, std::int64_t n, std::int64_t table_rows, std::int64_t columns,
                          const T* table, const std::int32_t* ids, T* y) {
    for_each_index(queue, n * columns, GatherRows<T>{table_rows, columns, table, ids, y});
  }

  template <class T>
  static void scatter_add_rows(queue<Cuda>& queue, std::int64_t n, std::int64_t table_rows, std::int64_t columns,
                               const std::int32_t* ids, const T* dy, T* dtable) {
    if (n == 0 || columns == 0) return;
    launch(queue, blocks_for(table_rows, scatter_rows), scatter_threads, scatter_threads * sizeof(std::int32_t),
           scatter_rows_of<T>, n, table_rows, columns, ids, dy, dtable);
  }

  template <class T>
  static void append_rows(queue<Cuda>& queue, const AppendShape& shape, const std::int32_t* rows, const T* x, T* y) {
    for_each_index(queue, shape.batch * shape.time * shape.heads * shape.head_size, AppendRows<T>{shape, rows, x, y});
  }

  template <class T>
  static void rotate(queue<Cuda>& queue, const RotaryShape& shape, const T* x, const std::int32_t* positions,
                     const accumulator_t<T>* table, T* y) {
    const Rotate<T> rotate{shape, x, positions, table, y};
    for_each_index(queue, shape.batch * shape.time * shape.heads * rotate.parts(), rotate);
  }
};

}  // namespace plinth::cuda
