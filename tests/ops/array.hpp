// SPDX-License-Identifier: MIT
// Numbers in row-major order with a shape: what the references of the op table compute with, in plain double loops.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "ops/device.hpp"

namespace op_table {
inline namespace PLINTH_OP_TABLE {

using plinth::Shape;

/// f(index) for every index of a shape, in row-major order.
template <class F>
void for_each_index(const Shape& shape, const F& f) {
  Shape index = shape;
  for (int i = 0; i < shape.rank(); ++i) index[i] = 0;
  for (std::int64_t n = plinth::element_count(shape); n > 0; --n) {
    f(static_cast<const Shape&>(index));
    for (int i = shape.rank() - 1; i >= 0 && ++index[i] == shape[i]; --i) index[i] = 0;
  }
}

struct Array {
  Shape shape;
  std::vector<double> values;

  Array() = default;
  /// Element `index` is f(index).
  template <class F>
  Array(const Shape& sizes, const F& f) : shape(sizes) {
    for_each_index(sizes, [&](const Shape& index) { values.push_back(f(index)); });
  }

  /// Element `index` of this array repeated along axes of size 1 and missing leading axes, as operands broadcast.
  double at(const Shape& index) const {
    std::int64_t place = 0;
    for (int i = 0; i < shape.rank(); ++i)
      place = place * shape[i] + (shape[i] == 1 ? 0 : index[index.rank() - shape.rank() + i]);
    return values[static_cast<std::size_t>(place)];
  }
};

/// How a tensor's elements lie in memory. All but dense have gaps of NaN or another order than row-major.
enum class Layout {
  dense,
  transposed,  // the first axis is the innermost
  heads,       // axes -3 and -2 exchanged: (B, H, T, D) over memory in the order (B, T, H, D)
  spaced,      // a gap after every element, and one more element at the end of every axis
  backward,    // from the last element to the first: negative strides
  shifted,     // dense, behind one element more, so that addresses are aligned for single elements only
};

inline Shape strides_of(const Shape& shape, Layout layout) {
  Shape sizes = shape, strides = plinth::contiguous_strides(shape);
  const int rank = shape.rank();
  if (layout == Layout::transposed) {
    std::int64_t step = 1;
    for (int i = 0; i < rank; step *= shape[i++]) strides[i] = step;
  } else if (layout == Layout::heads && rank >= 3) {
    std::swap(sizes[-2], sizes[-3]);
    strides = plinth::contiguous_strides(sizes);
    std::swap(strides[-2], strides[-3]);
  } else if (layout == Layout::spaced) {
    for (int i = 0; i < rank; ++i) ++sizes[i];
    strides = plinth::contiguous_strides(sizes);
    for (int i = 0; i < rank; ++i) strides[i] *= 2;
  } else if (layout == Layout::backward) {
    for (int i = 0; i < rank; ++i) strides[i] = -strides[i];
  }
  return strides;
}

template <class T>
T rounded(double value) {
  return static_cast<T>(static_cast<plinth::accumulator_t<T>>(value));
}

/// A tensor of `values`, given in row-major order, in that layout.
template <class T>
Tensor<T> placed(const Shape& shape, Layout layout, const std::vector<double>& values) {
  const Shape strides = strides_of(shape, layout);
  std::int64_t low = layout == Layout::shifted ? -1 : 0, high = 0;
  for (int i = 0; i < shape.rank(); ++i) (strides[i] < 0 ? low : high) += strides[i] * (shape[i] - 1);
  if (values.empty()) low = high = 0;
  std::vector<T> memory(static_cast<std::size_t>(high - low + 1), rounded<T>(std::numeric_limits<double>::quiet_NaN()));
  std::size_t next = 0;
  for_each_index(shape, [&](const Shape& index) {
    std::int64_t place = -low;
    for (int i = 0; i < shape.rank(); ++i) place += index[i] * strides[i];
    memory[static_cast<std::size_t>(place)] = rounded<T>(values[next++]);
  });
  const auto block = std::make_shared<Block<T>>(memory);
  return Tensor<T>::view_of(block->data() - low, shape, strides, block);
}

}  // namespace PLINTH_OP_TABLE
}  // namespace op_table
