// SPDX-License-Identifier: MIT
// The choice of a token: its distribution, and what is refused.
#include <plinth/generate/sample.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <span>
#include <vector>

#include <plinth/tensor/element.hpp>

#include "catch.hpp"

using namespace plinth;
using Catch::Matchers::Contains;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
using Doubles = std::vector<double>;

/// Logits whose softmax are these probabilities, whatever is added to all of them.
Doubles logits_of(const Doubles& probabilities) {
  Doubles logits;
  for (const double p : probabilities) logits.push_back(std::log(p) + 3);
  return logits;
}

std::int32_t draw(const Doubles& logits, const SamplingOptions& options, double uniform) {
  return sample(std::span<const double>(logits), options, uniform);
}

/// How often each token comes for `count` uniform numbers, one in the middle of each of as many equal intervals.
std::vector<std::int64_t> counts(const Doubles& logits, const SamplingOptions& options, int count) {
  std::vector<std::int64_t> result(logits.size());
  for (int i = 0; i < count; ++i) ++result[static_cast<std::size_t>(draw(logits, options, (i + 0.5) / count))];
  return result;
}

void refuses(const Doubles& logits, const SamplingOptions& options, const char* text) {
  CHECK_THROWS_AS(draw(logits, options, 0.5), ArgumentError);
  CHECK_THROWS_WITH(draw(logits, options, 0.5), Contains(text));
}

}  // namespace

TEST_CASE("tokens come as often as softmax says") {
  const Doubles p = {0.05, 0.4, 0.2, 0.1, 0.25};
  CHECK(counts(logits_of(p), {}, 1000) == std::vector<std::int64_t>{50, 400, 200, 100, 250});
  // temperature 1/2 squares them: 0.0025, 0.16, 0.04, 0.01, 0.0625 of 0.275
  CHECK(counts(logits_of(p), {.temperature = 0.5}, 1100) == std::vector<std::int64_t>{10, 640, 160, 40, 250});
  // temperature 2 takes roots
  const auto logits = logits_of({0.01, 0.09, 0.36, 0});
  CHECK(counts(logits, {.temperature = 2}, 1000) == std::vector<std::int64_t>{100, 300, 600, 0});
}

TEST_CASE("random draws pass a chi-square test") {
  const Doubles p = {0.3, 0.02, 0.08, 0.25, 0.15, 0.2};
  const auto logits = logits_of(p);
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> uniform(0, 1);
  const int draws = 200'000;
  std::vector<int> seen(p.size());
  for (int i = 0; i < draws; ++i) ++seen[static_cast<std::size_t>(draw(logits, {}, uniform(random)))];
  double chi_square = 0;
  for (std::size_t i = 0; i < p.size(); ++i) chi_square += std::pow(seen[i] - draws * p[i], 2) / (draws * p[i]);
  CHECK(chi_square < 20.515);  // scipy.stats.chi2.ppf(0.999, 5)
  CHECK(chi_square > 0.2102);  // scipy.stats.chi2.ppf(0.001, 5)
}

TEST_CASE("top_k keeps the most likely tokens and their proportions") {
  const auto logits = logits_of({0.1, 0.3, 0.05, 0.15, 0.4});
  CHECK(counts(logits, {.top_k = 2}, 700) == std::vector<std::int64_t>{0, 300, 0, 0, 400});
  CHECK(counts(logits, {.top_k = 4}, 950) == std::vector<std::int64_t>{100, 300, 0, 150, 400});
  CHECK(counts(logits, {.top_k = 1}, 10) == std::vector<std::int64_t>{0, 0, 0, 0, 10});
  CHECK(counts(logits, {.top_k = 99}, 1000) == std::vector<std::int64_t>{100, 300, 50, 150, 400});
  CHECK(counts(logits, {.temperature = 0.5, .top_k = 2}, 2500) == std::vector<std::int64_t>{0, 900, 0, 0, 1600});
}

TEST_CASE("temperature 0 takes the most likely token") {
  for (const double uniform : {0.0, 0.5, 0.999999}) {
    CHECK(draw({1, 3, 2}, {.temperature = 0}, uniform) == 1);
    CHECK(draw({1, 3, 2}, {.temperature = 0, .top_k = 3}, uniform) == 1);
    CHECK(draw({1, 3, 2}, {.temperature = 1e-300}, uniform) == 1);
    CHECK(draw({-infinity, -5}, {.temperature = 0}, uniform) == 1);
  }
}

TEST_CASE("a very high temperature makes all tokens equally likely") {
  CHECK(counts({-50, 0, 50, 20}, {.temperature = 1e300}, 400) == std::vector<std::int64_t>{100, 100, 100, 100});
}

TEST_CASE("equal logits are ordered by token") {
  CHECK(draw({1, 7, 7, 7}, {.temperature = 0}, 0.9) == 1);
  CHECK(counts({7, 1, 7, 7}, {.top_k = 2}, 10) == std::vector<std::int64_t>{5, 0, 5, 0});
  CHECK(draw({2, 2}, {}, 0.49) == 0);
  CHECK(draw({2, 2}, {}, 0.5) == 1);
}

TEST_CASE("a logit of minus infinity is never drawn") {
  const Doubles logits = {-infinity, 0, -infinity, 0};
  CHECK(counts(logits, {}, 100) == std::vector<std::int64_t>{0, 50, 0, 50});
  CHECK(draw(logits, {}, 0) == 1);
  CHECK(draw(logits, {}, std::nextafter(1.0, 0.0)) == 3);
  CHECK(counts({-infinity, 4}, {.top_k = 2}, 10) == std::vector<std::int64_t>{0, 10});
}

TEST_CASE("logits of every element type") {
  const auto check = []<class T>(T) {
    const std::vector<T> logits = {T(0.0f), T(2.0f), T(1.0f)};
    CHECK(sample(std::span<const T>(logits), {.temperature = 0}, 0) == 1);
    // softmax: 0.0900, 0.6652, 0.2447, drawn from the most likely on
    CHECK(sample(std::span<const T>(logits), {}, 0.66) == 1);
    CHECK(sample(std::span<const T>(logits), {}, 0.67) == 2);
    CHECK(sample(std::span<const T>(logits), {}, 0.909) == 2);
    CHECK(sample(std::span<const T>(logits), {}, 0.911) == 0);
  };
  check(float());
  check(double());
  check(bfloat16());
  check(half());
}

TEST_CASE("logits without a finite maximum are refused") {
  for (const SamplingOptions options : {SamplingOptions{}, {.temperature = 0}, {.top_k = 1}}) {
    refuses({0, not_a_number, 1}, options, "sample: the logit of token 1 is not a number");
    refuses({0, infinity}, options, "sample: no finite largest logit");
    refuses({-infinity, -infinity}, options, "sample: no finite largest logit");
    refuses({}, options, "sample: no finite largest logit");
  }
}

TEST_CASE("sampling options out of range are refused") {
  refuses({1, 2}, {.temperature = -0.1}, "sample: temperature -0.1 is not a number >= 0");
  refuses({1, 2}, {.temperature = infinity}, "sample: temperature inf");
  refuses({1, 2}, {.temperature = not_a_number}, "is not a number >= 0");
  refuses({1, 2}, {.top_k = -1}, "sample: top_k -1 is negative");
}
