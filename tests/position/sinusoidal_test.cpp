// SPDX-License-Identifier: MIT
// Sinusoidal encodings against transformers and by their properties.
#include <plinth/position/sinusoidal.hpp>

#include <cmath>
#include <string>
#include <vector>

#include <plinth/io/safetensors_file.hpp>

#include "catch.hpp"

using namespace plinth;

TEST_CASE("sinusoidal encodings of transformers, odd sizes too") {
  const SafetensorsFile golden("tests/golden/positions.safetensors");
  for (const std::int64_t channels : {1, 2, 5, 8, 63}) {
    INFO(channels << " channels");
    const std::string name = "sinusoidal." + std::to_string(channels);
    const auto expected = golden.read<double>(name);
    const SinusoidalTable<double> table(golden.shape(name)[0], channels);
    const auto found = table.values.to_vector();
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i)
      if (!(std::abs(found[i] - expected[i]) < 1e-7)) FAIL_CHECK(i << ": " << found[i] << ", expected " << expected[i]);
  }
}

TEST_CASE("a step is the same rotation of each pair from any position") {
  const SinusoidalTable<double> table(50, 7);
  const auto v = table.values.to_vector();
  for (std::size_t p = 0; p + 3 < 50; ++p)
    for (std::size_t i = 0; i < 3; ++i) {
      const double turn = 3 / std::pow(10000.0, 2 * static_cast<double>(i) / 7);
      const double sine = v[7 * p + 2 * i], cosine = v[7 * p + 2 * i + 1];
      CHECK(v[7 * (p + 3) + 2 * i] == Approx(sine * std::cos(turn) + cosine * std::sin(turn)).margin(1e-13));
      CHECK(v[7 * (p + 3) + 2 * i + 1] == Approx(cosine * std::cos(turn) - sine * std::sin(turn)).margin(1e-13));
    }
}

TEST_CASE("encodings are looked up by position") {
  const SinusoidalTable<float> table(6, 3);
  const auto y = table(Tensor<std::int32_t>({2, 2}, {5, 0, 0, 1}));
  CHECK(y.shape() == Shape{2, 2, 3});
  const auto all = table.values.to_vector(), some = y.to_vector();
  for (std::size_t c = 0; c < 3; ++c) {
    CHECK(some[c] == all[15 + c]);
    CHECK(some[3 + c] == all[c]);
    CHECK(some[9 + c] == all[3 + c]);
  }
  CHECK_FALSE(needs_gradient(y));
}

TEST_CASE("sinusoidal encodings refuse what has no place") {
  CHECK_THROWS_WITH((SinusoidalTable<float>(0, 4)), "sinusoidal: 0 positions of 4 channels; both must be positive");
  CHECK_THROWS_AS((SinusoidalTable<float>(4, 0)), ArgumentError);
  CHECK_THROWS_AS(SinusoidalTable<float>(4, 2)(Tensor<std::int32_t>({1, 1}, {4})), ArgumentError);
}
