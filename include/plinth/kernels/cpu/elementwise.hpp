// SPDX-License-Identifier: MIT
// Kernels that treat every element alone: filling, copying, casting, pointwise and binary formulas.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <plinth/kernels/cpu/lanes.hpp>
#include <plinth/tensor/element.hpp>
#include <plinth/tensor/queue.hpp>
#include <plinth/tensor/shape.hpp>

namespace plinth::cpu {

/// Elements per block of a parallel loop: enough to be worth a thread's while.
inline constexpr std::int64_t elementwise_block = 8192;

/// How many blocks [0, n) has.
constexpr std::int64_t blocks_of(std::int64_t n) { return (n + elementwise_block - 1) / elementwise_block; }

/// body(begin, end) over blocks of [0, n).
template <class F>
void over_blocks(queue<Cpu>& queue, std::int64_t n, const F& body) {
  queue.parallel(blocks_of(n), [&](std::int64_t block) {
    const std::int64_t begin = block * elementwise_block;
    body(begin, std::min(begin + elementwise_block, n));
  });
}

/// body(k, begin, end, block) over the blocks of [0, items[k].count) of all n items, in one parallel loop; `block`
/// counts those of all items.
template <class Item, class F>
void over_blocks_of_all(queue<Cpu>& queue, std::int64_t n, const Item* items, const F& body) {
  std::vector<std::int64_t> ends;  // of each item's blocks
  for (std::int64_t k = 0; k < n; ++k) ends.push_back((k > 0 ? ends.back() : 0) + blocks_of(items[k].count));
  queue.parallel(n > 0 ? ends.back() : 0, [&](std::int64_t block) {
    const auto end = std::upper_bound(ends.begin(), ends.end(), block);  // of the item that the block belongs to
    const std::int64_t k = end - ends.begin(), count = items[k].count;
    const std::int64_t begin = (blocks_of(count) - (*end - block)) * elementwise_block;
    body(k, begin, std::min(begin + elementwise_block, count), block);
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
};

/// A place in the row order of a StridedPair.
class StridedCursor {
 public:
  /// At element i.
  StridedCursor(const StridedPair& pair, std::int64_t i) : pair_(pair), index_(pair.sizes) {
    for (int axis = pair.sizes.rank() - 1; axis >= 0; --axis) {
      index_[axis] = i % pair.sizes[axis];
      i /= pair.sizes[axis];
      a_ += index_[axis] * pair.a[axis];
      b_ += index_[axis] * pair.b[axis];
    }
  }

  /// Offsets of the operands.
  std::int64_t a() const { return a_; }
  std::int64_t b() const { return b_; }
  /// Elements up to the end of the row.
  std::int64_t left_in_row() const { return pair_.sizes.back() - index_.back(); }

  /// `count` elements on, at most those left in the row.
  [[gnu::noinline]] void advance(std::int64_t count) {
    for (int axis = pair_.sizes.rank() - 1; axis >= 0; --axis, count = 1) {
      index_[axis] += count;
      a_ += count * pair_.a[axis];
      b_ += count * pair_.b[axis];
      if (index_[axis] < pair_.sizes[axis]) return;
      a_ -= index_[axis] * pair_.a[axis];
      b_ -= index_[axis] * pair_.b[axis];
      index_[axis] = 0;
    }
  }

 private:
  const StridedPair& pair_;
  Shape index_;
  std::int64_t a_ = 0, b_ = 0;
};

/// Elements of a run at most: two of them, gathered, stay in the L1 cache.
inline constexpr std::int64_t run_length = 1024;

/// body(i, count, a_offset, b_offset) over runs along the last axis; a run begins at element i in row order.
template <class F>
void over_runs(queue<Cpu>& queue, const StridedPair& pair, const F& body) {
  over_blocks(queue, element_count(pair.sizes), [&](std::int64_t begin, std::int64_t end) {
    StridedCursor at(pair, begin);
    for (std::int64_t i = begin, count; i < end; i += count, at.advance(count)) {
      count = std::min({run_length, at.left_in_row(), end - i});
      body(i, count, at.a(), at.b());
    }
  });
}

/// Memory for a run, which nobody fills beforehand.
template <class T>
struct Room {
  alignas(64) unsigned char bytes[static_cast<std::size_t>(run_length) * sizeof(T)];
  T* data() { return reinterpret_cast<T*>(bytes); }
};

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
      Room<T> a_room, b_room;
      const T *left = gathered(count, a + a_offset, a_step, a_room.data()),
              *right = gathered(count, b + b_offset, b_step, b_room.data());
      T* to = y + begin;
      independently(0, count, [=](std::int64_t i) {
        to[i] = static_cast<T>(f.forward(static_cast<A>(left[i]), static_cast<A>(right[i])));
      });
    });
  }
};

}  // namespace plinth::cpu
