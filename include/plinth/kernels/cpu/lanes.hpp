// SPDX-License-Identifier: MIT
// Loops that the compiler turns into vector code: over elements that do not depend on each other, and sums and maxima
// over 16 fixed lanes, whose order depends on the length alone, never on alignment or threads.
#pragma once

#include <cstddef>
#include <cstdint>

namespace plinth::cpu {

/// f(i) over i in [begin, end). No f(i) may read what another writes: the compiler takes that for granted, and need not
/// write the loop a second time for operands that overlap.
template <class F>
[[gnu::always_inline]] inline void independently(std::int64_t begin, std::int64_t end, const F& f) {
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC ivdep
#endif
  for (std::int64_t i = begin; i < end; ++i) f(i);
}

inline constexpr int lane_count = 16;

/// n elements and as many more as fill up the last round of lanes.
constexpr std::int64_t whole_rounds(std::int64_t n) { return (n + lane_count - 1) / lane_count * lane_count; }

/// A copy of fewer elements than lanes; the others are zeros.
template <class X>
struct LaneCopy {
  X value[lane_count];

  const X* filled(const X* x, std::int64_t count) {
    __builtin_memset(static_cast<void*>(value), 0, sizeof value);
    __builtin_memcpy(static_cast<void*>(value), x, static_cast<std::size_t>(count) * sizeof(X));
    return value;
  }
};

/// y[i] = f(x[i]...) for i in [0, n), for an f of many instructions. An x may be y. First all whole rounds of lanes,
/// then the last, incomplete one by the same code on copies, filled up with zeros, so that f is compiled once.
template <class Y, class F, class... X>
[[gnu::always_inline]] inline void map_lanes(std::int64_t n, Y* y, const F& f, const X*... x) {
  while (n > 0) {
    const bool whole = n >= lane_count;
    const std::int64_t count = whole ? n / lane_count * lane_count : lane_count, taken = whole ? count : n;
    LaneCopy<Y> result;
    Y* const to = whole ? y : result.value;
    [&](const X*... from) {
      independently(0, count, [&](std::int64_t i) { to[i] = f(from[i]...); });
    }(whole ? x : LaneCopy<X>().filled(x, taken)...);
    if (!whole) __builtin_memcpy(static_cast<void*>(y), to, static_cast<std::size_t>(taken) * sizeof(Y));
    n -= taken;
    y += taken;
    ((x += taken), ...);
  }
}

/// The lanes combined pairwise.
template <class A, class Combine>
inline A combine_lanes(A (&lane)[lane_count], Combine combine) {
  static_assert(lane_count == 16);  // in steps rather than a loop of loops, which takes g++ longer
  for (int l = 0; l < 8; ++l) lane[l] = combine(lane[l], lane[l + 8]);
  for (int l = 0; l < 4; ++l) lane[l] = combine(lane[l], lane[l + 4]);
  return combine(combine(lane[0], lane[2]), combine(lane[1], lane[3]));
}

/// combine(lane, f(i)) over i in [0, n), lanes started with `first`, then combined pairwise. Where n is known to be a
/// number of whole rounds of lanes, f is compiled once.
template <bool WholeRounds = false, class A, class Combine, class F>
inline A reduce_lanes(std::int64_t n, A first, Combine combine, F f) {
  A lane[lane_count];
  for (int l = 0; l < lane_count; ++l) lane[l] = first;
  const std::int64_t whole = n - n % lane_count;
  for (std::int64_t i = 0; i < whole; i += lane_count)
    for (int l = 0; l < lane_count; ++l) lane[l] = combine(lane[l], f(i + l));
  if constexpr (!WholeRounds)
    for (std::int64_t i = whole; i < n; ++i) lane[i - whole] = combine(lane[i - whole], f(i));
  return combine_lanes(lane, combine);
}

/// Terms of a long sum that are summed in one go: in more, float loses a digit with every hundredfold more terms.
inline constexpr std::int64_t terms_together = 4096;

/// The sum of f(i) over i in [0, n). A long sum is one of short ones.
template <class A, bool WholeRounds = false, class F>
inline A lane_sum(std::int64_t n, F f) {
  A total = 0;
  for (std::int64_t begin = 0; begin < n; begin += terms_together)
    total += reduce_lanes<WholeRounds>(
        n - begin < terms_together ? n - begin : terms_together, A(0), [](A a, A b) { return a + b; },
        [=](std::int64_t i) { return f(begin + i); });
  return total;
}

/// The largest of `lowest` and f(i) over i in [0, n), NaNs left out.
template <class A, bool WholeRounds = false, class F>
inline A lane_max(std::int64_t n, A lowest, F f) {
  return reduce_lanes<WholeRounds>(
      n, lowest, [](A a, A b) { return b > a ? b : a; }, f);
}

}  // namespace plinth::cpu
