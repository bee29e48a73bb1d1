// SPDX-License-Identifier: MIT
// Elementary functions for host and device. In float they are polynomials without a branch, a table or a call, so that
// plain loops over them become vector code; in double they are the standard library's.
#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <plinth/tensor/host_device.hpp>

/// Elementary functions of one number, the same on host and device. The float forms are polynomials without branches,
/// so that loops over them become vector code.
namespace plinth::math {

/// A type these functions take; bfloat16 and half are converted to float by the caller.
template <class T>
concept Floating = std::same_as<T, float> || std::same_as<T, double>;

namespace detail {

/// An unsigned integer of as many bits.
template <class T>
using Bits = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;

/// The bits of a float, and back. (std::bit_cast is no device function.)
PLINTH_HD inline std::uint32_t bits_of(float x) { return __builtin_bit_cast(std::uint32_t, x); }
PLINTH_HD inline float float_of(std::uint32_t bits) { return __builtin_bit_cast(float, bits); }

/// condition ? a : b on the bits: unlike a conditional, compilers never turn it into a branch.
PLINTH_HD inline float select(bool condition, float a, float b) {
  const std::uint32_t mask = 0u - static_cast<std::uint32_t>(condition);
  return float_of((bits_of(a) & mask) | (bits_of(b) & ~mask));
}

PLINTH_HD inline float magnitude(float x) {
  return float_of(bits_of(x) & 0x7fffffffu);
}

/// y with the sign of x, y >= 0.
PLINTH_HD inline float with_sign(float y, float x) {
  return float_of(bits_of(y) | (bits_of(x) & 0x80000000u));
}

/// 2^n for n in [-126, 127]; some number for others.
PLINTH_HD inline float power_of_two(std::int32_t n) {
  return float_of((static_cast<std::uint32_t>(n) + 127u) << 23);
}

/// e^(x + rest) = 2^n (1 + p): x = n ln 2 + r with |r| <= ln 2 / 2, and p = e^(r + rest) - 1. |rest| is at most 1. ln 2
/// is in two parts of which the first has nine bits (Cody & Waite 1980).
struct ReducedExp {
  static constexpr float shift = 0x1.8p23f;  // adding it rounds to an integer, which then stands in the last bits
  float shifted, p;
  std::int32_t n;

  PLINTH_HD ReducedExp(float x, float rest, float offset) : shifted(x * 0x1.715476p0f + (shift + offset)) {
    n = static_cast<std::int32_t>(bits_of(shifted) - bits_of(shift + offset));
    const auto whole = static_cast<float>(n);  // by the bits: -ffast-math may take floats apart
    const float r = (x - whole * 0.693359375f) - (whole * -2.12194440e-4f - rest);
    p = 1.38144673e-3f;
    p = p * r + 8.36878042e-3f;
    p = p * r + 4.16683942e-2f;
    p = p * r + 1.66665201e-1f;
    p = p * r + 4.99999934e-1f;
    p = p * (r * r) + r;
  }
};

/// exp(x + rest) for |rest| at most 1. 2^n is applied in two halves, so that results down to the smallest subnormal and
/// up to infinity come out right.
PLINTH_HD inline float exp(float x, float rest) {
  x = select(x < -104.0f, -104.0f, x);
  x = select(x > 89.0f, 89.0f, x);
  const ReducedExp reduced(x, rest, 0.0f);
  const std::int32_t half = reduced.n >> 1;
  return (reduced.p * power_of_two(half) + power_of_two(half)) * power_of_two(reduced.n - half);
}

/// exp(x + rest) for x up to 88 and |rest| at most 1; zero below 8e-39.
PLINTH_HD inline float exp_negative(float x, float rest) {
  const ReducedExp reduced(select(x < -88.0f, -88.0f, x), rest, 127.0f);
  const float power = float_of(bits_of(reduced.shifted) << 23);  // n + 127 is its exponent
  return reduced.p * power + power;
}

/// 2^x for x up to 0; zero below -126.5. x = n + r with |r| <= 1/2, and 2^r = 1 + r p.
PLINTH_HD inline float exp2_negative(float x) {
  constexpr float shift = ReducedExp::shift + 127.0f;
  // Below 0 bits grow downwards. Of the lowest number, n + 127 is 0 and the power with this exponent is zero.
  const std::uint32_t bits = bits_of(x), lowest = bits_of(-127.0f);
  x = float_of(bits < lowest ? bits : lowest);
  const float shifted = x + shift;
  const float r = x - static_cast<float>(static_cast<std::int32_t>(bits_of(shifted) - bits_of(shift)));
  float p = 1.53533619e-4f;
  p = p * r + 1.33988744e-3f;
  p = p * r + 9.61843736e-3f;
  p = p * r + 5.55033247e-2f;
  p = p * r + 2.40226479e-1f;
  p = p * r + 6.93147203e-1f;
  const float power = float_of(bits_of(shifted) << 23);  // n + 127 is its exponent
  return p * (r * power) + power;
}

/// exp(-t^2 / 2) for t >= 0. The square is split so that its rounding does not reach the exponent.
PLINTH_HD inline float gaussian(float t) {
  t = select(t > 15.0f, 15.0f, t);
  const float head = float_of(bits_of(t) & 0xfffff000u);
  return exp_negative(-0.5f * head * head, -0.5f * (t - head) * (t + head));
}

/// P(X > t) of the standard normal distribution, t >= 0: exp(-t^2 / 2) times a rational minimax fit on [0, 15] with
/// positive coefficients (relative error 6e-9); zero from 13.3 on, where it would be below 8e-39.
PLINTH_HD inline float normal_tail(float t) {
  const float s = select(t > 15.0f, 15.0f, t);
  float p = 4.15342504e-3f;
  p = p * s + 4.08823504e-2f;
  p = p * s + 1.83972608e-1f;
  p = p * s + 4.39287860e-1f;
  p = p * s + 5.00000003e-1f;
  float q = 1.04109810e-2f;
  q = q * s + 1.02482971e-1f;
  q = q * s + 4.71417897e-1f;
  q = q * s + 1.20556229f;
  q = q * s + 1.67646073f;
  q = q * s + 1.0f;
  return gaussian(t) * (p / q);
}

}  // namespace detail

/// Whether x is a number and not infinite: by the bits, since -ffast-math takes x - x for 0.
template <Floating T>
PLINTH_HD inline bool is_finite(T x) {
  using Bits = detail::Bits<T>;
  constexpr auto exponent = __builtin_bit_cast(Bits, std::numeric_limits<T>::infinity());
  return (__builtin_bit_cast(Bits, x) & exponent) != exponent;
}

/// 0 where x is finite, else a NaN: what is added to it is lost with x.
template <Floating T>
PLINTH_HD inline T spoilt_by(T x) {
  using Bits = detail::Bits<T>;
  return __builtin_bit_cast(T, static_cast<Bits>(Bits{0} - Bits{!is_finite(x)}));
}

/// e^x. Float: relative error below 1.2e-7, also where the result is infinite, subnormal or zero.
template <Floating T>
PLINTH_HD inline T exp(T x) {
  if constexpr (std::same_as<T, double>)
    return std::exp(x);
  else
    return detail::exp(x, 0.0f);
}

/// e^x for x <= 0 in half the instructions; right up to 88, senseless beyond. Float: relative error below 1.2e-7 down to
/// -87.3; zero below -87.7.
template <Floating T>
PLINTH_HD inline T exp_negative(T x) {
  if constexpr (std::same_as<T, double>)
    return std::exp(x);
  else
    return detail::exp_negative(x, 0.0f);
}

/// 2^x for x <= 0 in fewer instructions still; right up to 127, senseless beyond and for a NaN. Float: relative error
/// below 1.2e-7 down to -126; zero below -126.5.
template <Floating T>
PLINTH_HD inline T exp2_negative(T x) {
  if constexpr (std::same_as<T, double>)
    return std::exp2(x);
  else
    return detail::exp2_negative(x);
}

/// Natural logarithm, the standard library's.
template <Floating T>
PLINTH_HD inline T log(T x) {
  return std::log(x);
}

/// Hyperbolic tangent. Float: an odd polynomial below 0.625, (1 - z) / (1 + z) with z = e^(-2|x|) above.
template <Floating T>
PLINTH_HD inline T tanh(T x) {
  if constexpr (std::same_as<T, double>) {
    return std::tanh(x);
  } else {
    const float t = detail::magnitude(x), s = x * x;
    float p = -5.60776887e-3f;
    p = p * s + 2.05659581e-2f;
    p = p * s - 5.37239890e-2f;
    p = p * s + 1.33313831e-1f;
    p = p * s - 3.33332879e-1f;
    const float z = detail::exp_negative(-2.0f * t, 0.0f);
    return detail::with_sign(detail::select(t < 0.625f, t + t * (s * p), (1.0f - z) / (1.0f + z)), x);
  }
}

/// The error function 2 / sqrt(pi) integral_0^x e^(-t^2) dt. Float: an odd polynomial below 0.9, 1 - 2 P(X > sqrt(2) |x|)
/// above.
template <Floating T>
PLINTH_HD inline T erf(T x) {
  if constexpr (std::same_as<T, double>) {
    return std::erf(x);
  } else {
    const float t = detail::magnitude(x), s = x * x;
    float p = -6.09036032e-4f;
    p = p * s + 5.01196289e-3f;
    p = p * s - 2.67789090e-2f;
    p = p * s + 1.12821408e-1f;
    p = p * s - 3.76125233e-1f;
    p = p * s + 1.28379154e-1f;
    const float tail = 1.0f - 2.0f * detail::normal_tail(1.41421356f * t);
    return detail::with_sign(detail::select(t < 0.9f, t + t * p, tail), x);
  }
}

/// Phi(x), the probability that a standard normal variable is at most x. Float: accurate relative to the result in the
/// left tail too, zero below -13.3.
template <Floating T>
PLINTH_HD inline T normal_cdf(T x) {
  if constexpr (std::same_as<T, double>) {
    return 0.5 * std::erfc(x * -0.70710678118654752440);
  } else {
    const float tail = detail::normal_tail(detail::magnitude(x));
    return detail::select(x > 0.0f, 1.0f - tail, tail);
  }
}

/// phi(x) = e^(-x^2 / 2) / sqrt(2 pi), the standard normal density.
template <Floating T>
PLINTH_HD inline T normal_pdf(T x) {
  if constexpr (std::same_as<T, double>)
    return 0.39894228040143267794 * std::exp(-0.5 * x * x);
  else
    return 0.398942280f * detail::gaussian(detail::magnitude(x));
}

/// The logistic function 1 / (1 + e^-x), without overflow on either side. Float: zero below -87.7.
template <Floating T>
PLINTH_HD inline T sigmoid(T x) {
  if constexpr (std::same_as<T, double>) {
    const double z = std::exp(-std::fabs(x));
    return (x < 0 ? z : 1.0) / (1.0 + z);
  } else {
    const float z = detail::exp_negative(-detail::magnitude(x), 0.0f);
    return detail::select(x < 0.0f, z, 1.0f) / (1.0f + z);
  }
}

/// The square root of a number >= 0. Float: by Newton's method, since std::sqrt may set errno and so keeps a loop from
/// becoming vector code; relative error below 2e-7 from 1e-36 on, absolute error below 1e-18 beneath.
template <Floating T>
PLINTH_HD inline T sqrt(T x) {
  if constexpr (std::same_as<T, double>) {
    return std::sqrt(x);
  } else {
    float y = detail::float_of(0x5f3759dfu - (detail::bits_of(x) >> 1));  // about 1 / sqrt(x)
    for (int i = 0; i < 3; ++i) y = y * (1.5f - (0.5f * x * y) * y);
    const float root = x * y;
    return detail::select(x <= 3.40282347e38f, root + 0.5f * y * (x - root * root), x);
  }
}

}  // namespace plinth::math
