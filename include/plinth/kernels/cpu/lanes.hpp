// SPDX-License-Identifier: MIT
// Loops that the compiler turns into vector code: over elements that do not depend on each other, and sums and maxima
// over 16 fixed lanes, whose order depends on the length alone, never on alignment or threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

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

/// GCC's vector type of `Bytes` bytes. Its values never cross a function call: their ABI depends on the set.
template <class T, int Bytes>
struct Vector {
  typedef T type __attribute__((vector_size(Bytes)));
};

inline constexpr int lane_count = 16;

/// n elements and as many more as fill up the last round of lanes.
constexpr std::int64_t whole_rounds(std::int64_t n) { return (n + lane_count - 1) / lane_count * lane_count; }

/// A copy of fewer elements than a round of lanes has; the others are zeros.
template <class X, int Round = lane_count>
struct LaneCopy {
  X value[Round];

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

/// combine(lane[l], lane[l + Half]) for l in [0, Half), as a vector: g++ would take them out of one lane by lane.
template <int Half, class A, class Combine>
[[gnu::always_inline]] inline void fold_lanes(A* lane, Combine combine) {
  typename Vector<A, Half* static_cast<int>(sizeof(A))>::type lower, upper;
  __builtin_memcpy(&lower, lane, sizeof lower);
  __builtin_memcpy(&upper, lane + Half, sizeof upper);
  combine(lower, upper);
  __builtin_memcpy(lane, &lower, sizeof lower);
}

/// The lanes combined pairwise. combine(a, b) changes a; both may be vectors.
template <class A, class Combine>
inline A combine_lanes(A (&lane)[lane_count], Combine combine) {
  static_assert(lane_count == 16);
  fold_lanes<8>(lane, combine);
  fold_lanes<4>(lane, combine);
  combine(lane[0], lane[2]);
  combine(lane[1], lane[3]);
  combine(lane[0], lane[1]);
  return lane[0];
}

/// combine(lane, f(i)) over i in [0, n), lanes started with `first`, then combined pairwise. Where n is known to be a
/// number of whole rounds of lanes, f is compiled once.
template <bool WholeRounds = false, class A, class Combine, class F>
inline A reduce_lanes(std::int64_t n, A first, Combine combine, F f) {
  A lane[lane_count];
  for (int l = 0; l < lane_count; ++l) lane[l] = first;
  const std::int64_t whole = n - n % lane_count;
  for (std::int64_t i = 0; i < whole; i += lane_count)
    for (int l = 0; l < lane_count; ++l) combine(lane[l], f(i + l));
  if constexpr (!WholeRounds)
    for (std::int64_t i = whole; i < n; ++i) combine(lane[i - whole], f(i));
  return combine_lanes(lane, combine);
}

/// a += b, of numbers or vectors.
inline constexpr auto add_lanes = [](auto& a, const auto& b) { a += b; };

/// Terms of a long sum that are summed in one go: in more, float loses a digit with every hundredfold more terms.
inline constexpr std::int64_t terms_together = 4096;

/// The sum of f(i) over i in [0, n). A long sum is one of short ones.
template <class A, bool WholeRounds = false, class F>
inline A lane_sum(std::int64_t n, F f) {
  A total = 0;
  for (std::int64_t begin = 0; begin < n; begin += terms_together)
    total += reduce_lanes<WholeRounds>(n - begin < terms_together ? n - begin : terms_together, A(0), add_lanes,
                                       [=](std::int64_t i) { return f(begin + i); });
  return total;
}

/// An integer that is the larger the larger x is, 0 for minus infinity, and largest for a NaN of either sign; of such
/// an integer, the bits of x. Compilers turn the maximum of integers into vector code, but not that of what may be NaN.
template <class X>
struct Order {
  using Integer = std::conditional_t<sizeof(X) == 8, std::int64_t, std::int32_t>;
  using Unsigned = std::make_unsigned_t<Integer>;

  static constexpr Unsigned of(X x) { return signed_order(__builtin_bit_cast(Integer, x)) - lowest; }
  static constexpr X number(Unsigned order) {
    return __builtin_bit_cast(X, signed_order(static_cast<Integer>(order + lowest)));
  }

 private:
  /// Its own inverse. A NaN is beyond the infinity of its sign.
  static constexpr Unsigned signed_order(Integer bits) {
    return static_cast<Unsigned>(bits ^ (bits >> (8 * sizeof(X) - 1) & std::numeric_limits<Integer>::max()));
  }
  /// Of minus infinity: a NaN below it wraps around to the top.
  static constexpr Unsigned lowest = signed_order(__builtin_bit_cast(Integer, -std::numeric_limits<X>::infinity()));
};

/// The largest of `lowest` and f(i) over i in [0, n), or one of the NaNs among them.
template <class A, bool WholeRounds = false, class F>
inline A lane_max(std::int64_t n, A lowest, F f) {
  const auto largest = reduce_lanes<WholeRounds>(
      n, Order<A>::of(lowest), [](auto& a, const auto& b) { a = b > a ? b : a; },
      [=](std::int64_t i) { return Order<A>::of(f(i)); });
  return Order<A>::number(largest);
}

}  // namespace plinth::cpu
