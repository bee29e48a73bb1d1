// SPDX-License-Identifier: MIT
// ALiBi's slopes against transformers, its bias by hand.
#include <plinth/position/alibi.hpp>

#include <string>
#include <vector>

#include <plinth/io/safetensors_file.hpp>

#include "catch.hpp"

using namespace plinth;

TEST_CASE("ALiBi slopes of transformers, also for head counts that are no power of two") {
  const SafetensorsFile golden("tests/golden/positions.safetensors");
  for (const std::int64_t heads : {1, 2, 3, 5, 8, 12, 16, 20, 40}) {
    INFO(heads << " heads");
    const auto expected = golden.read<double>("alibi.slopes." + std::to_string(heads));
    const auto found = alibi_slopes(heads);
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == Approx(expected[i]).epsilon(1e-6));
  }
}

TEST_CASE("ALiBi slopes of the paper for eight heads") {
  CHECK(alibi_slopes(8) == std::vector<double>{0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625});
}

TEST_CASE("ALiBi takes off distance times slope, to both sides") {
  const Tensor<std::int32_t> queries({2, 2}, {3, 4, 0, 7}), keys({2, 3}, {2, 3, 5, 0, 1, 2});
  const auto bias = AlibiBias<double>(2)(queries, keys);  // slopes 1/16 and 1/256
  CHECK(bias.shape() == Shape{2, 2, 2, 3});
  const std::vector<double> first = {-1, 0, -2, -2, -1, -1}, second = {0, -1, -2, -7, -6, -5};
  std::vector<double> expected;
  for (const auto& row : {first, second})
    for (const double slope : {0.0625, 0.00390625})
      for (const double distance : row) expected.push_back(distance * slope);
  CHECK(bias.to_vector() == expected);
}

TEST_CASE("one row of positions serves all rows of the others") {
  const Tensor<std::int32_t> one({1, 2}, {4, 6}), two({2, 2}, {3, 4, 0, 7}), repeated({2, 2}, {4, 6, 4, 6});
  CHECK(AlibiBias<float>(3)(one, two).shape() == Shape{2, 3, 2, 2});
  CHECK(AlibiBias<float>(3)(one, two).to_vector() == AlibiBias<float>(3)(repeated, two).to_vector());
  CHECK(AlibiBias<float>(3)(two, one).to_vector() == AlibiBias<float>(3)(two, repeated).to_vector());
}

TEST_CASE("ALiBi in 16 bits is the bias rounded once") {
  const Tensor<std::int32_t> positions({1, 3}, {0, 1, 999});
  const auto bias = AlibiBias<bfloat16>(12)(positions, positions).to_vector();
  const auto exact = AlibiBias<double>(12)(positions, positions).to_vector();
  for (std::size_t i = 0; i < bias.size(); ++i) CHECK(bias[i].bits == bfloat16(static_cast<float>(exact[i])).bits);
}

TEST_CASE("ALiBi refuses what does not fit") {
  const Tensor<std::int32_t> three({3, 2}, {0, 1, 0, 1, 0, 1}), one({1, 2}, {0, 1}), two({2, 2}, {0, 1, 0, 1});
  CHECK_THROWS_AS(AlibiBias<float>(2)(three, two), ShapeError);
  CHECK_THROWS_WITH(AlibiBias<float>(2)(three, two),
                    "alibi: query positions (3, 2) and key positions (2, 2) are not (B, T) and (B, S)");
  CHECK_THROWS_AS(AlibiBias<float>(0)(one, one), ArgumentError);
}
