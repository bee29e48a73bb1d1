// SPDX-License-Identifier: MIT
// The element types a safetensors file may hold, and the rules by which their values become those of a C++ type.
#pragma once

#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>

#include <plinth/tensor/element.hpp>

namespace plinth {

/// The element types of the format, by their names in a header. In the order of the reference implementation, which
/// sorts by it: what needs the larger alignment stands later.
enum class SafetensorsType : std::uint8_t {
  boolean,      ///< BOOL, a byte that is 0 or 1
  f4,           ///< F4, 4 bits: sign, 2 of exponent, 1 of fraction
  f6_e2m3,      ///< F6_E2M3, 6 bits: sign, 2 of exponent, 3 of fraction
  f6_e3m2,      ///< F6_E3M2, 6 bits: sign, 3 of exponent, 2 of fraction
  u8,           ///< U8, an integer >= 0
  i8,           ///< I8, an integer
  f8_e5m2,      ///< F8_E5M2, 8 bits: sign, 5 of exponent, 2 of fraction
  f8_e4m3,      ///< F8_E4M3, 8 bits: sign, 4 of exponent, 3 of fraction
  f8_e8m0,      ///< F8_E8M0, 8 bits of exponent alone
  f8_e4m3fnuz,  ///< F8_E4M3FNUZ: as F8_E4M3, without infinities and a zero below zero
  f8_e5m2fnuz,  ///< F8_E5M2FNUZ: as F8_E5M2, without infinities and a zero below zero
  i16,          ///< I16
  u16,          ///< U16
  f16,          ///< F16, half
  bf16,         ///< BF16, bfloat16
  i32,          ///< I32
  u32,          ///< U32
  f32,          ///< F32, float
  c64,          ///< C64, a complex number of two floats
  f64,          ///< F64, double
  i64,          ///< I64
  u64           ///< U64
};

namespace detail {

struct SafetensorsTypeInfo {
  std::string_view name;
  unsigned bits;
};
/// Indexed by SafetensorsType.
inline constexpr SafetensorsTypeInfo safetensors_types[] = {
    {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
    {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
    {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
    {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}};

inline const SafetensorsTypeInfo& info(SafetensorsType type) { return safetensors_types[static_cast<int>(type)]; }

/// The integers from 8 to 64 bits; neither bool nor characters.
template <class T>
concept StorableInteger = std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> &&
                          !std::same_as<T, wchar_t> && !std::same_as<T, char8_t> && !std::same_as<T, char16_t> &&
                          !std::same_as<T, char32_t>;
template <class T>
concept Storable = Real<T> || StorableInteger<T>;

/// A byte that must be 0 or 1: what BOOL holds.
enum class StoredBoolean : std::uint8_t {};

/// The type values of T are stored as.
template <Storable T>
constexpr SafetensorsType safetensors_type() {
  using enum SafetensorsType;
  if constexpr (std::same_as<T, float>) return f32;
  if constexpr (std::same_as<T, double>) return f64;
  if constexpr (std::same_as<T, bfloat16>) return bf16;
  if constexpr (std::same_as<T, half>) return f16;
  if constexpr (std::integral<T>) {
    constexpr SafetensorsType by_width[] = {i8, i16, i32, i64}, unsigned_by_width[] = {u8, u16, u32, u64};
    constexpr int width = std::countr_zero(sizeof(T));
    return std::signed_integral<T> ? by_width[width] : unsigned_by_width[width];
  }
}

/// Calls f with a value of the C++ type that `type` is stored as; false where there is none, as for 8-bit reals.
template <class F>
bool with_stored_type(SafetensorsType type, F&& f) {
  switch (type) {
    case SafetensorsType::boolean: return f(StoredBoolean{}), true;
    case SafetensorsType::u8: return f(std::uint8_t{}), true;
    case SafetensorsType::i8: return f(std::int8_t{}), true;
    case SafetensorsType::i16: return f(std::int16_t{}), true;
    case SafetensorsType::u16: return f(std::uint16_t{}), true;
    case SafetensorsType::f16: return f(half{}), true;
    case SafetensorsType::bf16: return f(bfloat16{}), true;
    case SafetensorsType::i32: return f(std::int32_t{}), true;
    case SafetensorsType::u32: return f(std::uint32_t{}), true;
    case SafetensorsType::f32: return f(float{}), true;
    case SafetensorsType::f64: return f(double{}), true;
    case SafetensorsType::i64: return f(std::int64_t{}), true;
    case SafetensorsType::u64: return f(std::uint64_t{}), true;
    default: return false;
  }
}

/// Bits of the significand, the hidden one included.
template <class T>
inline constexpr int significand_bits = std::numeric_limits<T>::digits;
template <>
inline constexpr int significand_bits<bfloat16> = 8;
template <>
inline constexpr int significand_bits<half> = 11;

/// Whether an integer is a value of the real type T.
template <Real T, StorableInteger Integer>
constexpr bool representable(Integer x) {
  const auto bits = static_cast<std::uint64_t>(x);
  const std::uint64_t magnitude = std::cmp_less(x, 0) ? 0 - bits : bits;
  const int width = static_cast<int>(std::bit_width(magnitude)), zeros = std::countr_zero(magnitude);
  return magnitude == 0 || (width - zeros <= significand_bits<T> && (!std::same_as<T, half> || width <= 16));
}

/// y = x; a real becomes the nearest one of To, by way of float. False when x does not fit: a finite real that would
/// become infinite, an integer that is no value of To, any real where To is an integer.
template <Storable To, class From>
bool convert(From x, To& y) {
  if constexpr (std::same_as<From, To>) {
    y = x;
    return true;
  } else if constexpr (std::same_as<From, StoredBoolean>) {
    return static_cast<std::uint8_t>(x) <= 1 && convert(static_cast<std::uint8_t>(x), y);
  } else if constexpr (std::integral<From> && std::integral<To>) {
    y = static_cast<To>(x);
    return std::in_range<To>(x);
  } else if constexpr (std::integral<From>) {
    y = static_cast<To>(static_cast<std::conditional_t<std::same_as<To, double>, double, float>>(x));
    return representable<To>(x);
  } else if constexpr (std::integral<To>) {
    return false;
  } else {
    y = static_cast<To>(static_cast<float>(x));
    return std::isfinite(static_cast<float>(y)) || !std::isfinite(static_cast<double>(x));
  }
}

}  // namespace detail
}  // namespace plinth
