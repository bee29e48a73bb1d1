// SPDX-License-Identifier: MIT
// Checks of the CPU's kernels against plain loops, for any element type.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include <plinth/kernels/cpu.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"
#include "kernels/plain_backend.hpp"
#include "tolerances.hpp"

namespace against_plain {

using Count = std::int64_t;
using plinth::bfloat16;
using plinth::half;

/// f(device) returns what the kernels of a device computed.
template <class T, class F>
void agree(const char* kernel, Count rows, Count columns, const F& f) {
  INFO(kernel << ", " << rows << " x " << columns);
  CHECK(numbers::distance(f(plinth::Cpu()), f(Plain())) < (tolerance_of<plinth::Cpu, T>.norm));
}

/// Sizes at which a loop has no, one, whole or partial vectors and blocks, and 20 random ones.
inline std::vector<std::pair<Count, Count>> rows_and_columns() {
  std::vector<std::pair<Count, Count>> all = {{0, 7}, {1, 1}, {1, 15}, {2, 16}, {3, 17}, {257, 5}, {513, 32}, {2, 9000}};
  const auto random = numbers::below(300, 40, 1);
  for (std::size_t i = 0; i < random.size(); i += 2) all.emplace_back(random[i] / 4, 1 + random[i + 1]);
  return all;
}

/// Memory for results, filled with sevens.
template <class T>
std::vector<T> nothing(Count n) {
  return std::vector<T>(static_cast<std::size_t>(n), static_cast<T>(7.0f));
}

template <class T>
std::vector<T> joined(std::vector<T> a, const std::vector<T>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace against_plain
