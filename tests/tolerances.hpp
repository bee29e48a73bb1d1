// SPDX-License-Identifier: MIT
// How far results may be off, by device and element type: what the op table and the kernels' tests against plain loops
// allow.
#pragma once

#include <string_view>

#include <plinth/tensor/device.hpp>
#include <plinth/tensor/element.hpp>

struct Tolerance {
  /// An op's result or gradient may differ from double arithmetic by absolute + relative |expected|: what PyTorch's
  /// assert_close allows.
  double relative = 0, absolute = 0;
  /// A kernel's element, made of terms whose magnitudes sum up to about 1, may differ from double arithmetic by this.
  double terms = 0;
  /// A kernel's results may be this far from those of plain loops in the same type, by the ratio of their norms. For 16
  /// bits an element may be rounded to its other neighbour where the sums, in float, differ in their last digits.
  double norm = 0;
  /// An op's results may be this far from those on the CPU, by the ratio of their squared norms.
  double parity = 0;
};

struct ToleranceRow {
  std::string_view device, type;
  Tolerance tolerance;
};

// clang-format off
inline constexpr ToleranceRow tolerance_table[] = {
    //                  relative absolute terms norm   parity
    {"cpu", "float64",  {1e-12,  1e-12,   1e-14, 1e-13}},
    {"cpu", "float32",  {1.3e-6, 1e-5,    2e-6,  2e-6}},
    {"cpu", "float16",  {1e-3,   1e-5,    5e-3,  6e-5}},
    {"cpu", "bfloat16", {1.6e-2, 1e-5,    5e-3,  5e-4}},
    {"cuda", "float64",  {1e-12,  1e-12,  1e-14, 1e-13}},
    {"cuda", "float32",  {1.3e-6, 1e-5,   2e-6,  2e-6, 1e-7}},
    {"cuda", "float16",  {1e-3,   1e-5,   5e-3,  1e-4, 5e-5}},
    {"cuda", "bfloat16", {1.6e-2, 1e-5,   5e-3,  8e-4, 5e-4}},
};
// clang-format on

/// The row of the table for T on D; a pair that is not in it does not compile.
template <class D, class T>
constexpr Tolerance tolerance_of = [] {
  for (const ToleranceRow& row : tolerance_table)
    if (row.device == D::name && row.type == plinth::element_name<T>()) return row.tolerance;
  throw "no tolerance for this device and type";
}();
