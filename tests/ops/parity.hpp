// SPDX-License-Identifier: MIT
// What an op comes to on the CPU, for a program whose table of ops runs on another device. Both tables make the same
// random problems, so that a number says which.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <plinth/tensor/shape.hpp>

namespace op_table {

/// What came out, in row-major order; the gradients answer to dy = seeds().
struct Computed {
  plinth::Shape shape;
  std::vector<double> values;
  std::vector<std::vector<double>> gradients;  // empty for an input that needed none
};

/// The random problems 0, 1, ... count - 1, of operands of up to `most` elements, of an entry of a table file, in the
/// element type of that name.
std::vector<Computed> computed_on_cpu(const std::string& group, std::size_t entry, std::string_view type,
                                      std::int64_t count, std::int64_t most);

}  // namespace op_table
