// SPDX-License-Identifier: MIT
// bfloat16 and half: every bit pattern there and back, and rounding against values known from IEEE 754 and PyTorch.
#include <plinth/tensor/element.hpp>

#include <cmath>
#include <limits>
#include <string>

#include "catch.hpp"

using namespace plinth;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

template <class H>
H from_bits(std::uint16_t bits) {
  H value;
  value.bits = bits;
  return value;
}
template <class H>
std::uint16_t bits_of(float value) {
  return H(value).bits;
}

/// The value of a 16-bit pattern by the definition of binary formats: (-1)^s 2^(e - bias) 1.m, or 2^(1 - bias) 0.m.
double defined_value(std::uint16_t bits, int mantissa_bits) {
  const int exponent_bits = 15 - mantissa_bits, bias = (1 << (exponent_bits - 1)) - 1;
  const int mantissa = bits & ((1 << mantissa_bits) - 1), exponent = (bits & 0x7fff) >> mantissa_bits;
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1)
    return mantissa ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
  const double scale = std::ldexp(1.0, (exponent ? exponent : 1) - bias - mantissa_bits);
  return sign * scale * (exponent ? mantissa + (1 << mantissa_bits) : mantissa);
}

template <class H>
bool holds_every_pattern(int mantissa_bits) {
  for (int i = 0; i < 65536; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const double expected = defined_value(bits, mantissa_bits);
    const float value = from_bits<H>(bits);
    const bool same_value = std::isnan(expected) ? std::isnan(value)
                                                 : static_cast<double>(value) == expected &&
                                                       std::signbit(value) == std::signbit(expected);
    const bool same_bits = std::isnan(expected) ? std::isnan(static_cast<float>(H(value))) : bits_of<H>(value) == bits;
    if (!same_value || !same_bits) return false;
  }
  return true;
}

/// Between neighbouring positive patterns the middle goes to the even one, anything else to the nearer.
template <class H>
bool rounds_to_nearest_even(int last_finite) {
  for (int i = 0; i < last_finite; ++i) {
    const auto low = static_cast<std::uint16_t>(i), high = static_cast<std::uint16_t>(i + 1);
    const float a = from_bits<H>(low), b = from_bits<H>(high);
    const float middle = static_cast<float>((static_cast<double>(a) + static_cast<double>(b)) / 2);  // exact
    const float below = std::nextafter(middle, 0.0f), above = std::nextafter(middle, infinity);
    if (bits_of<H>(middle) != (i % 2 ? high : low)) return false;
    if (bits_of<H>(below) != low || bits_of<H>(above) != high) return false;
    if (bits_of<H>(-below) != (low | 0x8000)) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("all 65536 patterns of the 16-bit types convert to float and back") {
  CHECK(holds_every_pattern<bfloat16>(7));
  CHECK(holds_every_pattern<half>(10));
}

TEST_CASE("16-bit types round to nearest even, subnormals included") {
  // The middle below the smallest subnormal bfloat16 and its neighbours are floats too, so all patterns take part.
  CHECK(rounds_to_nearest_even<bfloat16>(0x7f7f));
  CHECK(rounds_to_nearest_even<half>(0x7bff));
}

TEST_CASE("bfloat16 of known values") {
  CHECK(bits_of<bfloat16>(1.0f) == 0x3f80);
  CHECK(bits_of<bfloat16>(-2.0f) == 0xc000);
  CHECK(bits_of<bfloat16>(0.0f) == 0x0000);
  CHECK(bits_of<bfloat16>(-0.0f) == 0x8000);
  CHECK(bits_of<bfloat16>(3.14159274f) == 0x4049);          // torch.tensor(math.pi).bfloat16().view(torch.int16)
  CHECK(bits_of<bfloat16>(3.3895314e38f) == 0x7f7f);        // the largest
  CHECK(bits_of<bfloat16>(3.3961775e38f) == 0x7f80);        // half a unit more: to infinity
  CHECK(bits_of<bfloat16>(3.40282347e38f) == 0x7f80);
  CHECK(bits_of<bfloat16>(infinity) == 0x7f80);
  CHECK(bits_of<bfloat16>(-infinity) == 0xff80);
  CHECK(std::isnan(static_cast<float>(bfloat16(not_a_number))));
  CHECK(std::isnan(static_cast<float>(bfloat16(std::bit_cast<float>(0x7f800001u)))));  // a NaN in the lost bits only
}

TEST_CASE("half of known values") {
  CHECK(bits_of<half>(1.0f) == 0x3c00);
  CHECK(bits_of<half>(-2.0f) == 0xc000);
  CHECK(bits_of<half>(-0.0f) == 0x8000);
  CHECK(bits_of<half>(3.14159274f) == 0x4248);              // torch.tensor(math.pi).half().view(torch.int16)
  CHECK(bits_of<half>(65504.0f) == 0x7bff);                 // the largest
  CHECK(bits_of<half>(65519.996f) == 0x7bff);
  CHECK(bits_of<half>(65520.0f) == 0x7c00);
  CHECK(bits_of<half>(3e38f) == 0x7c00);
  CHECK(bits_of<half>(-infinity) == 0xfc00);
  CHECK(bits_of<half>(0x1p-14f) == 0x0400);                 // the smallest normal number
  CHECK(bits_of<half>(0x1p-24f) == 0x0001);                 // the smallest of all
  CHECK(bits_of<half>(0x1p-25f) == 0x0000);                 // half of it: to even
  CHECK(bits_of<half>(0x1.000002p-25f) == 0x0001);
  CHECK(bits_of<half>(-1e-30f) == 0x8000);
  CHECK(std::isnan(static_cast<float>(half(not_a_number))));
  CHECK(std::isnan(static_cast<float>(half(std::bit_cast<float>(0xff800001u)))));
}

TEST_CASE("element types, their names and what they are summed in") {
  STATIC_REQUIRE(Element<float> == true);
  STATIC_REQUIRE(Element<std::int64_t> == false);
  STATIC_REQUIRE(Real<bfloat16> == true);
  STATIC_REQUIRE(Real<std::int32_t> == false);
  STATIC_REQUIRE(std::same_as<accumulator_t<bfloat16>, float>);
  STATIC_REQUIRE(std::same_as<accumulator_t<half>, float>);
  STATIC_REQUIRE(std::same_as<accumulator_t<double>, double>);
  STATIC_REQUIRE(sizeof(bfloat16) == 2);
  STATIC_REQUIRE(sizeof(half) == 2);
  CHECK(element_name<float>() == std::string("float32"));
  CHECK(element_name<double>() == std::string("float64"));
  CHECK(element_name<bfloat16>() == std::string("bfloat16"));
  CHECK(element_name<half>() == std::string("float16"));
  CHECK(element_name<std::int32_t>() == std::string("int32"));
}
