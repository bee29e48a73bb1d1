// SPDX-License-Identifier: MIT
// Element types of safetensors files and the conversions between them.
#include <plinth/io/safetensors_type.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "catch.hpp"

using namespace plinth;
using detail::StoredBoolean;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// What x becomes as To; nothing when it does not fit.
template <class To, class From>
std::optional<To> as(From x) {
  To y{};
  return detail::convert(x, y) ? std::optional<To>(y) : std::nullopt;
}

/// The value of as<To>(x) in double; not a number when x does not fit.
template <class To, class From>
double value(From x) {
  const auto y = as<To>(x);
  return y ? static_cast<double>(*y) : not_a_number;
}

template <class To, class From>
bool fits(From x) {
  return as<To>(x).has_value();
}

}  // namespace

TEST_CASE("every element type has the name and width of the format") {
  // dtype and bitsize in the reference's safetensors/src/tensor.rs
  const std::pair<std::string_view, unsigned> expected[] = {
      {"BOOL", 8}, {"F4", 4}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8}, {"I8", 8}, {"F8_E5M2", 8}, {"F8_E4M3", 8},
      {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16}, {"U16", 16}, {"F16", 16}, {"BF16", 16},
      {"I32", 32}, {"U32", 32}, {"F32", 32}, {"C64", 64}, {"F64", 64}, {"I64", 64}, {"U64", 64}};
  REQUIRE(std::size(detail::safetensors_types) == std::size(expected));
  for (std::size_t i = 0; i < std::size(expected); ++i) {
    const auto& info = detail::info(static_cast<SafetensorsType>(i));
    CHECK(info.name == expected[i].first);
    CHECK(info.bits == expected[i].second);
  }
}

TEST_CASE("C++ types are stored under the name of their kind and width") {
  const auto name = []<class T>(T) { return std::string(detail::info(detail::safetensors_type<T>()).name); };
  CHECK(name(float()) == "F32");
  CHECK(name(double()) == "F64");
  CHECK(name(bfloat16()) == "BF16");
  CHECK(name(half()) == "F16");
  CHECK(name(std::int8_t()) == "I8");
  CHECK(name(std::uint8_t()) == "U8");
  CHECK(name(std::int16_t()) == "I16");
  CHECK(name(std::uint16_t()) == "U16");
  CHECK(name(std::int32_t()) == "I32");
  CHECK(name(std::uint32_t()) == "U32");
  CHECK(name(long()) == (sizeof(long) == 8 ? "I64" : "I32"));
  CHECK(name(static_cast<long long>(0)) == "I64");
  CHECK(name(std::uint64_t()) == "U64");
  STATIC_REQUIRE_FALSE(detail::Storable<bool>);
  STATIC_REQUIRE_FALSE(detail::Storable<char>);
  STATIC_REQUIRE_FALSE(detail::Storable<char32_t>);
  STATIC_REQUIRE_FALSE(detail::Storable<long double>);
}

TEST_CASE("stored types become their C++ type and back, or are not read") {
  using enum SafetensorsType;
  for (std::size_t i = 0; i < std::size(detail::safetensors_types); ++i) {
    const auto type = static_cast<SafetensorsType>(i);
    const auto& info = detail::info(type);
    bool same = false;
    const bool known = detail::with_stored_type(type, [&]<class T>(T) {
      same = sizeof(T) * 8 == info.bits;
      if constexpr (detail::Storable<T>) same = same && detail::safetensors_type<T>() == type;
    });
    INFO(info.name);
    CHECK(known == same);
    CHECK(known == !(type == f4 || type == f6_e2m3 || type == f6_e3m2 || type == c64 || info.name.starts_with("F8")));
  }
}

TEST_CASE("integers become reals only when the value is exact") {
  CHECK(value<float>(16777216) == 16777216);
  CHECK_FALSE(fits<float>(16777217));
  CHECK(value<float>(16777218) == 16777218);
  CHECK(value<double>(std::int64_t{1} << 53) == 9007199254740992.0);
  CHECK_FALSE(fits<double>((std::int64_t{1} << 53) + 1));
  CHECK(value<double>(-((std::int64_t{1} << 53) + 2)) == -9007199254740994.0);
  CHECK(value<float>(std::numeric_limits<std::int64_t>::min()) == -0x1p63);
  CHECK_FALSE(fits<double>(std::numeric_limits<std::int64_t>::max()));
  CHECK_FALSE(fits<float>(std::numeric_limits<std::uint64_t>::max()));
  CHECK(value<bfloat16>(256) == 256);
  CHECK_FALSE(fits<bfloat16>(257));
  CHECK(value<bfloat16>(258) == 258);
  CHECK(value<half>(-2048) == -2048);
  CHECK_FALSE(fits<half>(2049));
  CHECK(value<half>(65504) == 65504);
  CHECK_FALSE(fits<half>(65505));
  CHECK_FALSE(fits<half>(65536));  // a power of two, but beyond the range
  CHECK_FALSE(fits<half>(std::uint64_t{1} << 63));
  CHECK(value<half>(0) == 0);
  CHECK(value<float>(std::int8_t{-128}) == -128);
}

TEST_CASE("integers become integers when they are in range") {
  CHECK(as<std::int8_t>(127) == std::int8_t{127});
  CHECK_FALSE(fits<std::int8_t>(128));
  CHECK(as<std::int8_t>(std::int64_t{-128}) == std::int8_t{-128});
  CHECK_FALSE(fits<std::int8_t>(-129));
  CHECK_FALSE(fits<std::uint64_t>(-1));
  CHECK_FALSE(fits<std::int64_t>(std::numeric_limits<std::uint64_t>::max()));
  CHECK(as<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) == std::uint64_t{9223372036854775807u});
  CHECK(as<std::int32_t>(std::uint8_t{255}) == 255);
}

TEST_CASE("a stored boolean is 0 or 1") {
  CHECK(value<float>(StoredBoolean{1}) == 1);
  CHECK(as<std::int32_t>(StoredBoolean{0}) == 0);
  CHECK(as<std::uint8_t>(StoredBoolean{1}) == std::uint8_t{1});
  CHECK_FALSE(fits<std::uint8_t>(StoredBoolean{2}));
  CHECK_FALSE(fits<double>(StoredBoolean{255}));
}

TEST_CASE("reals become the nearest value unless that is infinite") {
  CHECK(value<float>(0.1) == 0.100000001490116119384765625);  // numpy.float32(0.1)
  CHECK(value<double>(0.1f) == 0.100000001490116119384765625);
  CHECK(value<half>(0.1f) == 0.0999755859375);  // numpy.float16(0.1)
  CHECK(value<bfloat16>(0.1) == 0.10009765625);  // torch.tensor(0.1, dtype=torch.bfloat16)
  CHECK(value<float>(1e-60) == 0);
  CHECK(value<half>(65519.0) == 65504);
  CHECK_FALSE(fits<half>(65520.0));
  CHECK_FALSE(fits<half>(-1e6f));
  CHECK_FALSE(fits<float>(1e39));
  CHECK_FALSE(fits<float>(-1e39));
  CHECK_FALSE(fits<bfloat16>(3.4e38f));  // above the largest, 3.3895e38, by more than half a step
  CHECK(value<float>(bfloat16(-3e38f)) == -300405527047390987276260395623357874176.0);  // torch, as 0.1 above
  CHECK_FALSE(fits<half>(bfloat16(1e30f)));
  CHECK(value<float>(infinity) == infinity);
  CHECK(value<half>(-infinity) == -infinity);
  CHECK((fits<bfloat16>(not_a_number) && std::isnan(value<bfloat16>(not_a_number))));
  CHECK(std::signbit(value<half>(-0.0)));
}

TEST_CASE("reals do not become integers, and the same type keeps its bits") {
  CHECK_FALSE(fits<std::int32_t>(1.0f));
  CHECK_FALSE(fits<std::uint8_t>(half(0.0f)));
  half signalling;
  signalling.bits = 0x7d01;
  CHECK(as<half>(signalling)->bits == 0x7d01);
}
