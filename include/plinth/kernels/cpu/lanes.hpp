// SPDX-License-Identifier: MIT
// Sums and maxima over 16 fixed lanes: the order of additions depends on the length alone, never on alignment or
// threads, and the compiler can keep the lanes in vector registers.
#pragma once

#include <cstdint>

namespace plinth::cpu {

inline constexpr int lane_count = 16;

/// combine(lane, f(i)) over i in [0, n), lanes started with `first`, then combined pairwise.
template <class A, class Combine, class F>
inline A reduce_lanes(std::int64_t n, A first, Combine combine, F f) {
  A lane[lane_count];
  for (int l = 0; l < lane_count; ++l) lane[l] = first;
  const std::int64_t whole = n - n % lane_count;
  for (std::int64_t i = 0; i < whole; i += lane_count)
    for (int l = 0; l < lane_count; ++l) lane[l] = combine(lane[l], f(i + l));
  for (std::int64_t i = whole; i < n; ++i) lane[i - whole] = combine(lane[i - whole], f(i));
  for (int width = lane_count / 2; width > 0; width /= 2)
    for (int l = 0; l < width; ++l) lane[l] = combine(lane[l], lane[l + width]);
  return lane[0];
}

/// The sum of f(i) over i in [0, n). A long sum is one of short ones: in one go, float loses a digit with every
/// hundredfold more terms.
template <class A, class F>
inline A lane_sum(std::int64_t n, F f) {
  constexpr std::int64_t together = 4096;
  A total = 0;
  for (std::int64_t begin = 0; begin < n; begin += together)
    total += reduce_lanes(n - begin < together ? n - begin : together, A(0), [](A a, A b) { return a + b; },
                          [=](std::int64_t i) { return f(begin + i); });
  return total;
}

/// The largest of `lowest` and f(i) over i in [0, n), NaNs left out.
template <class A, class F>
inline A lane_max(std::int64_t n, A lowest, F f) {
  return reduce_lanes(n, lowest, [](A a, A b) { return b > a ? b : a; }, f);
}

}  // namespace plinth::cpu
