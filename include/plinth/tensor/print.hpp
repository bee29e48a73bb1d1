// SPDX-License-Identifier: MIT
// to_string(tensor): what a person wants to see of a tensor.
#pragma once

#include <sstream>
#include <string>
#include <type_traits>

#include <plinth/tensor/tensor.hpp>

namespace plinth {

/// "Tensor<float32, cpu> (2, 3)" and the values in nested brackets; of axes longer than 6 the first and last three.
/// Waits for the device.
template <class T, class D>
std::string to_string(const Tensor<T, D>& x) {
  std::ostringstream text;
  text << "Tensor<" << element_name<T>() << ", " << D::name << "> ";
  if (!x.defined()) return text.str() + "undefined";
  text << to_string(x.shape()) << '\n';
  const auto values = x.to_vector();
  const auto write = [&](auto&& self, int axis, std::int64_t begin, std::int64_t length) -> void {
    if (axis == x.rank()) {
      using Shown = std::conditional_t<std::same_as<T, std::int32_t>, std::int32_t, accumulator_t<T>>;
      text << static_cast<Shown>(values[static_cast<std::size_t>(begin)]);
      return;
    }
    text << '[';
    const std::int64_t size = x.size(axis), part = size == 0 ? 0 : length / size;
    const bool innermost = axis + 1 == x.rank();
    for (std::int64_t i = 0; i < size; ++i) {
      if (i > 0) text << (innermost ? ", " : ",\n" + std::string(static_cast<std::size_t>(axis) + 1, ' '));
      if (size > 6 && i == 3) {
        text << "...";
        i = size - 4;
        continue;
      }
      self(self, axis + 1, begin + i * part, part);
    }
    text << ']';
  };
  write(write, 0, 0, static_cast<std::int64_t>(values.size()));
  return text.str();
}

}  // namespace plinth
