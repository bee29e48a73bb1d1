// SPDX-License-Identifier: MIT
// Kernels that treat every element alone: filling, copying, casting, pointwise and binary formulas.
#pragma once

#include <algorithm>
#include <cstdint>

#include <plinth/kernels/cpu/lanes.hpp>
#include <plinth/tensor/element.hpp>
#include <plinth/tensor/queue.hpp>
#include <plinth/tensor/shape.hpp>

namespace plinth::cpu {

/// Elements per block of a parallel loop: enough to be worth a thread's while.
inline constexpr std::int64_t elementwise_block = 8192;

/// body(begin, end) over blocks of [0, n).
template <class F>
void over_blocks(queue<Cpu>& queue, std::int64_t n, const F& body) {
  queue.parallel((n + elementwise_block - 1) / elementwise_block, [&](std::int64_t block) {
    const std::int64_t begin = block * elementwise_block;
    body(begin, std::min(begin + elementwise_block, n));
  });
}

/// The strides of two operands over common sizes, with neighbouring axes merged where both allow it.
struct StridedPair {
  Shape sizes, a, b;

  StridedPair(const Shape& all_sizes, const Shape& a_strides, const Shape& b_strides) {
    for (int i = 0; i < all_sizes.rank(); ++i) {
      if (all_sizes[i] == 1) continue;
      const int last = sizes.rank() - 1;
      if (last >= 0 && a[last] == a_strides[i] * all_sizes[i] && b[last] == b_strides[i] * all_sizes[i]) {
        sizes[last] *= all_sizes[i];
        a[last] = a_strides[i];
        b[last] = b_strides[i];
      } else {
        sizes.push_back(all_sizes[i]);
        a.push_back(a_strides[i]);
        b.push_back(b_strides[i]);
      }
    }
    if (sizes.rank() == 0) sizes = {1}, a = {1}, b = {1};
  }

  /// Offsets of both operands at element `i` in row order.
  [[gnu::noinline]] void offsets(std::int64_t i, std::int64_t& a_offset, std::int64_t& b_offset) const {
    a_offset = b_offset = 0;
    for (int axis = sizes.rank() - 1; axis >= 0; --axis) {
      const std::int64_t index = i % sizes[axis];
      i /= sizes[axis];
      a_offset += index * a[axis];
      b_offset += index * b[axis];
    }
  }
};

/// Elements of a run at most: two of them, gathered, stay in the L1 cache.
inline constexpr std::int64_t run_length = 1024;

/// body(i, count, a_offset, b_offset) over runs along the last axis; a run begins at element i in row order.
template <class F>
void over_runs(queue<Cpu>& queue, const StridedPair& pair, const F& body) {
  const std::int64_t columns = pair.sizes.back();
  over_blocks(queue, element_count(pair.sizes), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin, count; i < end; i += count) {
      std::int64_t a_offset, b_offset;
      pair.offsets(i, a_offset, b_offset);
      count = std::min({run_length, columns - i % columns, end - i});
      body(i, count, a_offset, b_offset);
    }
  });
}

template <class T>
[[gnu::noinline]] void copy_run(std::int64_t count, const T* x, std::int64_t x_step, T* y, std::int64_t y_step) {
  if (x_step == 1 && y_step == 1)
    std::copy_n(x, count, y);
  else
    for (std::int64_t i = 0; i < count; ++i) y[i * y_step] = x[i * x_step];
}

/// The elements x[i step] of a run: where they stand if that is side by side, else gathered in `room`.
template <class T>
const T* gathered(std::int64_t count, const T* x, std::int64_t step, T* room) {
  if (step == 1) return x;
  copy_run(count, x, step, room, 1);
  return room;
}

/// row(r) over all rows, several short ones to a block.
template <class F>
void over_rows(queue<Cpu>& queue, std::int64_t rows, std::int64_t columns, const F& row) {
  const std::int64_t per_block = std::max<std::int64_t>(1, elementwise_block / std::max<std::int64_t>(columns, 1));
  queue.parallel((rows + per_block - 1) / per_block, [&](std::int64_t block) {
    const std::int64_t end = std::min((block + 1) * per_block, rows);
    for (std::int64_t r = block * per_block; r < end; ++r) row(r);
  });
}

struct CpuElementwise {
  template <class T>
  static void fill(queue<Cpu>& queue, std::int64_t n, T value, T* y) {
    over_blocks(queue, n, [=](std::int64_t begin, std::int64_t end) {
      independently(begin, end, [=](std::int64_t i) { y[i] = value; });
    });
  }

  template <class T>
  static void copy(queue<Cpu>& queue, const Shape& sizes, const Shape& x_strides, const T* x, const Shape& y_strides,
                   T* y) {
    const StridedPair pair(sizes, x_strides, y_strides);
    const std::int64_t x_step = pair.a.back(), y_step = pair.b.back();
    over_runs(queue, pair, [=](std::int64_t, std::int64_t count, std::int64_t x_offset, std::int64_t y_offset) {
      copy_run(count, x + x_offset, x_step, y + y_offset, y_step);
    });
  }

  template <class From, class To>
  static void cast(queue<Cpu>& queue, std::int64_t n, const From* x, To* y) {
    over_blocks(queue, n, [=](std::int64_t begin, std::int64_t end) {
      independently(begin, end, [=](std::int64_t i) { y[i] = static_cast<To>(static_cast<accumulator_t<To>>(x[i])); });
    });
  }

  template <class From, class T>
  static void accumulate(queue<Cpu>& queue, std::int64_t n, const From* x, T* y) {
    using A = accumulator_t<T>;
    over_blocks(queue, n, [=](std::int64_t begin, std::int64_t end) {
      independently(begin, end,
                    [=](std::int64_t i) { y[i] = static_cast<T>(static_cast<A>(y[i]) + static_cast<A>(x[i])); });
    });
  }

  template <class T>
  static void scale(queue<Cpu>& queue, std::int64_t n, const accumulator_t<T>* factor, T* x) {
    const accumulator_t<T> by = *factor;
    if (by == accumulator_t<T>(1)) return;
    over_blocks(queue, n, [=](std::int64_t begin, std::int64_t end) {
      independently(begin, end,
                    [=](std::int64_t i) { x[i] = static_cast<T>(static_cast<accumulator_t<T>>(x[i]) * by); });
    });
  }

  template <class F, class T>
  static void pointwise(queue<Cpu>& queue, std::int64_t n, F f, const T* x, T* y) {
    using A = accumulator_t<T>;
    over_blocks(queue, n, [=](std::int64_t begin, std::int64_t end) {
      const auto one = [=](T value) { return static_cast<T>(f.forward(static_cast<A>(value))); };
      map_lanes(end - begin, y + begin, one, x + begin);
    });
  }

  template <class F, class T>
  static void pointwise_backward(queue<Cpu>& queue, std::int64_t n, F f, const T* x, const T* dy, T* dx) {
    using A = accumulator_t<T>;
    over_blocks(queue, n, [=](std::int64_t begin, std::int64_t end) {
      const auto one = [=](T value, T d) {
        return static_cast<T>(f.backward(static_cast<A>(value), static_cast<A>(d)));
      };
      map_lanes(end - begin, dx + begin, one, x + begin, dy + begin);
    });
  }

  template <class F, class T>
  static void binary(queue<Cpu>& queue, const Shape& sizes, F f, const Shape& a_strides, const T* a,
                     const Shape& b_strides, const T* b, T* y) {
    using A = accumulator_t<T>;
    const StridedPair pair(sizes, a_strides, b_strides);
    const std::int64_t a_step = pair.a.back(), b_step = pair.b.back();
    over_runs(queue, pair, [=](std::int64_t begin, std::int64_t count, std::int64_t a_offset, std::int64_t b_offset) {
      T a_room[run_length], b_room[run_length];
      const T *left = gathered(count, a + a_offset, a_step, a_room),
              *right = gathered(count, b + b_offset, b_step, b_room);
      T* to = y + begin;
      independently(0, count, [=](std::int64_t i) {
        to[i] = static_cast<T>(f.forward(static_cast<A>(left[i]), static_cast<A>(right[i])));
      });
    });
  }
};

}  // namespace plinth::cpu
