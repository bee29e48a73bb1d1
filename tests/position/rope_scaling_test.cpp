// SPDX-License-Identifier: MIT
// Rotary frequencies and tables under every scaling, against transformers and by their properties.
#include <plinth/position/rope.hpp>

#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

#include <plinth/io/safetensors_file.hpp>

#include "catch.hpp"

using namespace plinth;
using Catch::Matchers::Contains;

namespace {

struct Case {
  std::string name;
  std::int64_t head_size;
  double theta;
  RopeScaling scaling;
  std::int64_t positions = 0;
};

/// As in positions_golden.py.
std::vector<Case> cases() {
  using enum RopeScalingKind;
  return {
      {"none", 16, 10000, {}},
      {"none_wide", 128, 500000, {}},
      {"linear", 16, 10000, {.kind = linear, .factor = 4}},
      {"dynamic_short", 16, 10000, {.kind = dynamic_ntk, .factor = 2, .original_context = 64}, 50},
      {"dynamic_long", 16, 10000, {.kind = dynamic_ntk, .factor = 2, .original_context = 64}, 200},
      {"yarn", 128, 10000, {.kind = yarn, .factor = 4, .original_context = 2048}},
      {"yarn_small", 8, 10000, {.kind = yarn, .factor = 40, .original_context = 64, .beta_fast = 16, .beta_slow = 2}},
      {"yarn_given", 64, 1000000, {.kind = yarn, .factor = 2.5, .original_context = 4096, .attention_factor = 0.75}},
      {"llama3", 128, 500000, {.kind = llama3, .factor = 8, .original_context = 8192}},
      {"llama3_32", 64, 500000, {.kind = llama3, .factor = 32, .original_context = 8192}},
  };
}

/// Within a relative 2e-6, since transformers computes in float.
void check_close(double found, double expected) {
  if (!(std::abs(found - expected) <= 2e-6 * std::abs(expected))) FAIL_CHECK(found << ", expected " << expected);
}

RopeScaling scaled(RopeScalingKind kind, double factor, std::int64_t original_context = 64) {
  return {.kind = kind, .factor = factor, .original_context = original_context};
}

}  // namespace

TEST_CASE("rotary frequencies of transformers") {
  const SafetensorsFile golden("tests/golden/positions.safetensors");
  for (const Case& c : cases()) {
    INFO(c.name);
    const auto expected = golden.read<double>("rope.frequencies." + c.name);
    const auto found = rope_frequencies(c.head_size, c.theta, c.scaling, c.positions);
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) check_close(found[i], expected[i]);
    check_close(rope_attention_factor(c.scaling), golden.read<double>("rope.attention_factor." + c.name)[0]);
  }
}

TEST_CASE("rotary tables of transformers") {
  const SafetensorsFile golden("tests/golden/positions.safetensors");
  for (const Case& c : cases()) {
    INFO(c.name);
    const auto cosine = golden.read<double>("rope.cos." + c.name), sine = golden.read<double>("rope.sin." + c.name);
    const std::int64_t rows = golden.shape("rope.cos." + c.name)[0], half_size = c.head_size / 2;
    const RotaryTable<double, Cpu> table(rows, c.head_size, c.theta, RotaryLayout::half_split, c.scaling);
    const auto values = table.values.to_vector();
    double worst = 0;
    for (std::int64_t i = 0; i < rows * half_size; ++i) {
      const auto at = static_cast<std::size_t>(i / half_size * c.head_size + i % half_size);
      worst = std::fmax(worst, std::abs(values[at] - cosine[static_cast<std::size_t>(i)]));
      worst = std::fmax(worst,
                        std::abs(values[at + static_cast<std::size_t>(half_size)] - sine[static_cast<std::size_t>(i)]));
    }
    CHECK(worst < 1e-5);
  }
}

TEMPLATE_TEST_CASE("both rotary layouts of transformers", "", float, double) {
  using T = TestType;
  const SafetensorsFile golden("tests/golden/positions.safetensors");
  const Tensor<T> x(golden.shape("rope.x"), golden.read<T>("rope.x"));
  const Tensor<std::int32_t> positions(golden.shape("rope.positions"), golden.read<std::int32_t>("rope.positions"));
  const auto check = [&](const std::string& name, RotaryLayout layout) {
    const RotaryTable<T, Cpu> table(64, x.size(3), 10000, layout);
    const auto found = rope(x, positions, table).to_vector();
    const auto expected = golden.read<T>(name);
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) CHECK(std::abs(found[i] - expected[i]) < T(2e-5));
  };
  check("rope.half_split", RotaryLayout::half_split);
  check("rope.interleaved", RotaryLayout::interleaved);
}

TEST_CASE("a scaling by 1 changes nothing") {
  using enum RopeScalingKind;
  const auto plain = rope_frequencies(32, 10000);
  for (const auto kind : {linear, dynamic_ntk, yarn, llama3}) {
    const auto found = rope_frequencies(32, 10000, scaled(kind, 1), 64);
    for (std::size_t i = 0; i < plain.size(); ++i) CHECK(found[i] == Approx(plain[i]).epsilon(1e-14));
    CHECK(rope_attention_factor(scaled(kind, 1)) == 1);
  }
}

TEST_CASE("scalings stretch slow pairs by the factor and leave fast ones") {
  using enum RopeScalingKind;
  const auto plain = rope_frequencies(128, 10000);
  for (const auto kind : {yarn, llama3}) {
    const auto found = rope_frequencies(128, 10000, scaled(kind, 8, 8192));
    CHECK(found.front() == plain.front());
    CHECK(found.back() == Approx(plain.back() / 8).epsilon(1e-14));
    for (std::size_t i = 1; i < found.size(); ++i) CHECK(found[i] < found[i - 1]);
  }
  // NTK: with n = L s' positions the slowest pair turns as under linear scaling by s s' - (s - 1).
  const auto ntk = rope_frequencies(128, 10000, scaled(dynamic_ntk, 2), 3 * 64);
  CHECK(ntk.front() == plain.front());
  CHECK(ntk.back() == Approx(plain.back() / 5).epsilon(1e-13));
}

TEST_CASE("a rotary table keeps norms, times the attention factor") {
  const RopeScaling scaling{.kind = RopeScalingKind::yarn, .factor = 4, .original_context = 16};
  const RotaryTable<double, Cpu> table(40, 8, 10000, RotaryLayout::half_split, scaling);
  const auto values = table.values.to_vector();
  const double factor = 0.1 * std::log(4.0) + 1;
  for (std::size_t row = 0; row < 40; ++row)
    for (std::size_t i = 0; i < 4; ++i)
      CHECK(std::hypot(values[8 * row + i], values[8 * row + 4 + i]) == Approx(factor).epsilon(1e-14));
}

TEST_CASE("a scaling that lacks a number is refused") {
  using enum RopeScalingKind;
  const auto refuses = [](const RopeScaling& scaling, const char* text, std::int64_t head_size = 8,
                          double theta = 10000) {
    CHECK_THROWS_AS(rope_frequencies(head_size, theta, scaling, 1000), ArgumentError);
    CHECK_THROWS_WITH(rope_frequencies(head_size, theta, scaling, 1000), Contains(text));
  };
  for (const auto kind : {linear, dynamic_ntk, yarn, llama3}) {
    refuses(scaled(kind, 0.5), "factor 0.5 is not");
    refuses(scaled(kind, std::numeric_limits<double>::quiet_NaN()), "factor nan");
    refuses(scaled(kind, std::numeric_limits<double>::infinity()), "factor inf");
    if (kind != linear) refuses(scaled(kind, 2, 0), "original_context 0 is not positive");
  }
  auto llama = scaled(llama3, 2);
  llama.low_frequency_factor = 4;
  refuses(llama, "low_frequency_factor 4 and high_frequency_factor 4");
  llama.low_frequency_factor = 0;
  refuses(llama, "low_frequency_factor 0");
  auto ramp = scaled(yarn, 2);
  ramp.beta_fast = 0.5;
  refuses(ramp, "beta_slow 1 and beta_fast 0.5");
  ramp = scaled(yarn, 2);
  ramp.attention_factor = -1;
  refuses(ramp, "attention_factor -1 is negative");
  refuses(scaled(yarn, 2), "yarn needs a theta above 1", 8, 1);
  refuses(scaled(dynamic_ntk, 2), "more than one pair", 2);
  refuses({}, "head size 7 is not even", 7);
  refuses({}, "theta 0 is not positive", 8, 0);
}
