// SPDX-License-Identifier: MIT
// Shapes and strides: short lists of int64 without heap memory, with checked products.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <span>
#include <string>

#include <plinth/tensor/error.hpp>

namespace plinth {

/// The most axes a tensor may have.
inline constexpr int max_rank = 6;

/// A list of at most max_rank integers: the sizes or the strides (in elements) of a tensor's axes.
/// Throws ShapeError when longer.
class Shape {
 public:
  Shape() = default;
  /// In this order, the first axis first.
  /// @{
  Shape(std::initializer_list<std::int64_t> values) : Shape(std::span(values.begin(), values.size())) {}
  explicit Shape(std::span<const std::int64_t> values) {
    for (const std::int64_t value : values) push_back(value);
  }
  /// @}

  /// The number of axes.
  int rank() const { return rank_; }
  /// Axis i; negative counts from the end, as in PyTorch.
  /// @{
  std::int64_t operator[](int i) const { return values_[i < 0 ? i + rank_ : i]; }
  std::int64_t& operator[](int i) { return values_[i < 0 ? i + rank_ : i]; }
  /// @}
  /// From the first axis to behind the last, for loops and algorithms.
  /// @{
  const std::int64_t* begin() const { return values_; }
  const std::int64_t* end() const { return values_ + rank_; }
  /// @}
  /// The last axis; there must be one.
  std::int64_t back() const { return (*this)[-1]; }

  /// One more axis, behind the last. Throws ShapeError when there are max_rank.
  void push_back(std::int64_t value) {
    detail::require<ShapeError>(rank_ < max_rank, "a tensor has at most ", max_rank, " axes");
    values_[rank_++] = value;
  }

  /// Whether both have the same axes.
  friend bool operator==(const Shape& a, const Shape& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }
  /// Prints as to_string.
  friend std::ostream& operator<<(std::ostream& stream, const Shape& shape) {
    stream << '(';
    for (int i = 0; i < shape.rank(); ++i) stream << (i ? ", " : "") << shape[i];
    return stream << ')';
  }

 private:
  int rank_ = 0;
  std::int64_t values_[max_rank] = {};
};

/// "(2, 3, 4)"
inline std::string to_string(const Shape& shape) {
  return detail::join(shape);
}

/// The number of elements; 1 for rank 0. Throws ShapeError for a negative size or sizes whose product, zeros left out,
/// passes 2^48: strides of an empty tensor must not overflow either.
inline std::int64_t element_count(const Shape& shape) {
  constexpr std::int64_t limit = std::int64_t{1} << 48;
  std::int64_t extent = 1;
  bool empty = false;
  for (const std::int64_t size : shape) {
    detail::require<ShapeError>(size >= 0 && (size == 0 || extent <= limit / size), "shape ", shape,
                                " is negative or has more than 2^48 elements");
    extent *= std::max<std::int64_t>(size, 1);
    empty = empty || size == 0;
  }
  return empty ? 0 : extent;
}

/// Strides of a dense row-major tensor.
inline Shape contiguous_strides(const Shape& shape) {
  Shape strides = shape;
  std::int64_t step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides[i] = step;
    step *= std::max<std::int64_t>(shape[i], 1);
  }
  return strides;
}

/// The shape both broadcast to: aligned at the last axis, sizes equal or 1.
/// Throws ShapeError naming the operation and both shapes.  PyTorch: broadcast_shapes.
inline Shape broadcast_shapes(const char* operation, const Shape& a, const Shape& b) {
  Shape result = a.rank() >= b.rank() ? a : b;
  const Shape& shorter = a.rank() >= b.rank() ? b : a;
  for (int i = 1; i <= shorter.rank(); ++i) {
    const std::int64_t x = result[-i], y = shorter[-i];
    detail::require<ShapeError>(x == y || x == 1 || y == 1, operation, ": shapes ", a, " and ", b,
                                " do not broadcast");
    if (x == 1) result[-i] = y;
  }
  return result;
}

}  // namespace plinth
