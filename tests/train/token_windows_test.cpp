// SPDX-License-Identifier: MIT
// Batches of windows: what is in them, what they depend on, what is too short.
#include <plinth/train/token_windows.hpp>

#include <numeric>
#include <set>
#include <vector>

#include "catch.hpp"

using namespace plinth;

namespace {

/// 0, 1, 2, ..., so that a token tells its place.
TokenWindows counted(std::size_t size) {
  std::vector<std::int32_t> tokens(size);
  std::iota(tokens.begin(), tokens.end(), 0);
  return TokenWindows(tokens);
}

}  // namespace

TEST_CASE("targets follow inputs and windows stay within the sequence") {
  const auto data = counted(50);
  CHECK(data.tokens().size() == 50);
  std::set<std::int32_t> firsts;
  for (std::int64_t step = 0; step < 200; ++step) {
    const auto batch = data.batch(3, 8, 1, step);
    REQUIRE(batch.inputs.shape() == Shape{3, 8});
    REQUIRE(batch.targets.shape() == Shape{3, 8});
    const auto inputs = batch.inputs.to_vector(), targets = batch.targets.to_vector();
    bool good = true;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      good = good && inputs[i] >= 0 && targets[i] == inputs[i] + 1 && targets[i] < 50;
      good = good && (i % 8 == 0 || inputs[i] == inputs[i - 1] + 1);
      if (i % 8 == 0) firsts.insert(inputs[i]);
    }
    if (!good) FAIL_CHECK("step " << step);
  }
  CHECK(firsts.size() == 42);  // every place is drawn, the first and the last too
}

TEST_CASE("places are drawn evenly") {
  const auto data = counted(9);
  std::vector<int> drawn(8);
  for (std::int64_t step = 0; step < 1000; ++step)
    for (const std::int32_t first : data.batch(8, 1, 5, step).inputs.to_vector()) ++drawn[static_cast<std::size_t>(first)];
  double chi_square = 0;
  for (const int count : drawn) chi_square += (count - 1000.0) * (count - 1000.0) / 1000.0;
  CHECK(chi_square < 7 + 5 * 3.75);  // mean 7, deviation sqrt(14)
}

TEST_CASE("a batch is a function of seed, step and micro-step") {
  const auto data = counted(10000);
  const auto places = [&](std::uint64_t seed, std::int64_t step, std::int64_t micro_step) {
    return data.batch(4, 2, seed, step, micro_step).inputs.to_vector();
  };
  CHECK(places(1, 2, 3) == places(1, 2, 3));
  CHECK(places(1, 2, 3) != places(2, 2, 3));
  CHECK(places(1, 2, 3) != places(1, 3, 3));
  CHECK(places(1, 2, 3) != places(1, 2, 4));
  // Fewer rows are the first of more.
  const auto four = places(1, 2, 3), two = data.batch(2, 2, 1, 2, 3).inputs.to_vector();
  CHECK(std::vector<std::int32_t>(four.begin(), four.begin() + 4) == two);
}

TEST_CASE("a sequence without a window of length + 1 is refused") {
  CHECK(counted(9).batch(1, 8, 1, 0).inputs.to_vector()[0] == 0);
  CHECK_THROWS_WITH(counted(8).batch(2, 8, 1, 0),
                    "token windows: 2 windows of 8 + 1 tokens from a sequence of 8; both numbers must be positive and "
                    "the sequence at least one window long");
  CHECK_THROWS_AS(counted(0).batch(1, 1, 1, 0), ArgumentError);
  CHECK_THROWS_AS(counted(9).batch(0, 8, 1, 0), ArgumentError);
  CHECK_THROWS_AS(counted(9).batch(1, 0, 1, 0), ArgumentError);
  CHECK_THROWS_AS(counted(9).batch(1, -1, 1, 0), ArgumentError);
}
