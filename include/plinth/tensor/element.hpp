// SPDX-License-Identifier: MIT
// Element types: bfloat16 and half beside float, double and int32, and the type each of them is summed in.
#pragma once

#include <concepts>
#include <cstdint>

#include <plinth/tensor/host_device.hpp>

namespace plinth {

/// Upper 16 bits of a float, rounded to nearest even. Arithmetic goes through float.
/// (__builtin_bit_cast because std::bit_cast is no device function.)
struct bfloat16 {
  std::uint16_t bits = 0;  ///< sign, 8 bits of exponent, 7 of fraction

  bfloat16() = default;
  /// The nearest one, ties to even; a NaN stays one, quiet.
  PLINTH_HD explicit bfloat16(float value) {
    const auto word = __builtin_bit_cast(std::uint32_t, value);
    const bool nan = (word & 0x7fffffffu) > 0x7f800000u;
    const std::uint32_t rounded = word + 0x7fffu + ((word >> 16) & 1u);
    bits = static_cast<std::uint16_t>(nan ? (word >> 16) | 0x40u : rounded >> 16);
  }
  /// Its value, exactly.
  PLINTH_HD operator float() const { return __builtin_bit_cast(float, static_cast<std::uint32_t>(bits) << 16); }
};

/// IEEE 754 binary16, rounded to nearest even. Arithmetic goes through float.
struct half {
  std::uint16_t bits = 0;  ///< sign, 5 bits of exponent, 10 of fraction

  half() = default;
  /// The nearest one, ties to even; from 65520 on infinity, below 2^-14 subnormal; a NaN stays one, quiet.
  PLINTH_HD explicit half(float value) {
    const auto word = __builtin_bit_cast(std::uint32_t, value);
    const std::uint32_t sign = (word >> 16) & 0x8000u, magnitude = word & 0x7fffffffu;
    const std::uint32_t normal = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
    // Adding 0.5 puts a subnormal half's units into the float's last bits.
    const std::uint32_t tiny = __builtin_bit_cast(std::uint32_t, __builtin_bit_cast(float, magnitude) + 0.5f) - 0x3f000000u;
    std::uint32_t result = choose(magnitude < 0x38800000u, tiny, normal);
    result = choose(magnitude >= 0x477ff000u, 0x7c00u, result);  // 65520 and above round to infinity
    result = choose(magnitude > 0x7f800000u, 0x7e00u, result);
    bits = static_cast<std::uint16_t>(sign | result);
  }
  /// Its value, exactly.
  PLINTH_HD operator float() const {
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
    const std::uint32_t magnitude = static_cast<std::uint32_t>(bits & 0x7fffu) << 13;
    const auto tiny = __builtin_bit_cast(std::uint32_t, static_cast<float>(bits & 0x3ff) * 0x1p-24f);
    std::uint32_t result = choose(magnitude < 0x00800000u, tiny, magnitude + 0x38000000u);
    result = choose(magnitude >= 0x0f800000u, 0x7f800000u | magnitude, result);  // infinite or no number
    return __builtin_bit_cast(float, sign | result);
  }

 private:
  /// condition ? a : b, never as a branch, so that loops over halves become vector code.
  PLINTH_HD static std::uint32_t choose(bool condition, std::uint32_t a, std::uint32_t b) {
    const std::uint32_t mask = 0u - static_cast<std::uint32_t>(condition);
    return (a & mask) | (b & ~mask);
  }
};

/// Types a tensor may hold.
template <class T>
concept Element = std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, bfloat16> ||
                  std::same_as<T, half> || std::same_as<T, std::int32_t>;

/// Element types that carry gradients.
template <class T>
concept Real = Element<T> && !std::same_as<T, std::int32_t>;

/// The type sums, norms, softmax and losses over T are computed in: double for double, float for the others.
template <class T>
struct accumulator {
  using type = float;  ///< of all types but double
};
/// double is summed in double.
template <>
struct accumulator<double> {
  using type = double;  ///< of double
};
/// accumulator<T>::type
template <class T>
using accumulator_t = typename accumulator<T>::type;

/// The name of an element type as in PyTorch: "float32", "float64", "bfloat16", "float16" or "int32".
template <Element T>
constexpr const char* element_name() {
  if constexpr (std::same_as<T, float>) return "float32";
  if constexpr (std::same_as<T, double>) return "float64";
  if constexpr (std::same_as<T, bfloat16>) return "bfloat16";
  if constexpr (std::same_as<T, half>) return "float16";
  if constexpr (std::same_as<T, std::int32_t>) return "int32";
}

}  // namespace plinth
