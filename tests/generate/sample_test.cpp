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

TEST_CASE("what each option leaves of the probabilities is what transformers leaves") {
  struct Case {
    SamplingOptions options;  // temperature, top_k, top_p, min_p, repetition_penalty
    Doubles probabilities;
  };
  const Doubles logits = {1.25, -0.5, 3.0, 0.75, -2.25, 2.5, 0.0, -1.0, 1.75, 2.25};
  const std::vector<std::int32_t> seen = {2, 7, 2, 8, 1};
  // transformers 5.24.0, torch 2.15.0+cu132, by golden/sampling_golden.py
  const std::vector<Case> cases = {
      {{1, 0, 1, 0, 1},
       {0.06323368966996483, 0.01098836761287147, 0.3638847597884955, 0.0383531715115877, 0.001909491972171829,
        0.2207072634138894, 0.01811675541361358, 0.006664781857399864, 0.104254729183722, 0.1718869895762838}},
      {{0.7, 0, 1, 0, 1},
       {0.03824381479704253, 0.003139243484987876, 0.4659050427992327, 0.01872194056353296, 0.0002576847971453131,
        0.2280799278478897, 0.006412617646941359, 0.001536790465394318, 0.07812167575616362, 0.1595812618416697}},
      {{1, 4, 1, 0, 1},
       {0, 0, 0.4227611188552607, 0, 0, 0.2564175803201323, 0, 0, 0.1211230884780131, 0.1996982123465939}},
      {{1, 0, 0.8, 0, 1},
       {0, 0, 0.4227611188552607, 0, 0, 0.2564175803201323, 0, 0, 0.1211230884780131, 0.1996982123465939}},
      {{1, 0, 0.3, 0, 1}, {0, 0, 1, 0, 0, 0, 0, 0, 0, 0}},
      {{1, 0, 0.05, 0, 1}, {0, 0, 1, 0, 0, 0, 0, 0, 0, 0}},
      {{1, 0, 1, 0.2, 1},
       {0, 0, 0.4227611188552607, 0, 0, 0.2564175803201323, 0, 0, 0.1211230884780131, 0.1996982123465939}},
      {{1, 0, 1, 0.9, 1}, {0, 0, 1, 0, 0, 0, 0, 0, 0, 0}},
      {{1, 0, 1, 0, 1.3},
       {0.08103626486044087, 0.01212048224213588, 0.2333615754041058, 0.04915097918645089, 0.002447083161103288,
        0.2828443563546523, 0.02321727860214918, 0.00632744656681393, 0.08921512740581714, 0.2202794062163307}},
      {{1, 0, 1, 0, 0.8},
       {0.04312440477202115, 0.008282037995791072, 0.5253628006940797, 0.02615627367608863, 0.001302244185759984,
        0.1505189624907578, 0.01235534882892453, 0.005551616090607588, 0.1101220254110718, 0.1172242858548976}},
      {{1.5, 6, 0.9, 0.3, 1.2},
       {0.1149599412094412, 0, 0.2645200531413808, 0, 0, 0.2645200531413808, 0, 0, 0.1320885616565241,
        0.2239113908512729}},
      {{0.5, 5, 0.95, 0.05, 1},
       {0, 0, 0.5976948344902959, 0, 0, 0.2198796417033478, 0, 0, 0.04906177966664736, 0.133363744139709}},
      {{2, 8, 0.6, 0, 1.5},
       {0.1674492507100522, 0, 0.2436372221673767, 0, 0, 0.3128363857141097, 0, 0, 0, 0.2760771414084616}}};
  for (std::size_t c = 0; c < cases.size(); ++c) {
    Doubles found(10);
    double before = 1;
    for (const auto& [token, probability] : candidates(std::span<const double>(logits), cases[c].options, seen)) {
      CHECK(probability <= before);
      found[static_cast<std::size_t>(token)] = before = probability;
    }
    for (std::size_t i = 0; i < 10; ++i) {
      INFO("case " << c << ", token " << i);
      CHECK(std::abs(found[i] - cases[c].probabilities[i]) < 1e-15);
      CHECK((found[i] == 0) == (cases[c].probabilities[i] == 0));
    }
  }
}

TEST_CASE("top_p keeps the token that reaches the sum, and no further one") {
  const auto logits = logits_of({0.25, 0.5, 0.125, 0.125});
  const auto kept = [&](double top_p) { return candidates(std::span<const double>(logits), {.top_p = top_p}).size(); };
  CHECK(kept(0) == 1);
  CHECK(kept(0.49) == 1);
  CHECK(kept(0.51) == 2);
  CHECK(kept(0.74) == 2);
  CHECK(kept(0.76) == 3);
  CHECK(kept(0.88) == 4);
  CHECK(kept(1) == 4);
}

TEST_CASE("a repetition penalty counts a token once and makes it less likely whatever its sign") {
  const Doubles logits = {2, -2, 2, -2};
  const std::vector<std::int32_t> seen = {0, 1, 1, 1, 0};
  const auto all = candidates(std::span<const double>(logits), {.repetition_penalty = 2}, seen);  // 1, -4, 2, -2
  CHECK(all[0].token == 2);
  CHECK(all[1].token == 0);
  CHECK(all[3].token == 1);
  CHECK(std::log(all[0].probability / all[1].probability) == Approx(1));
  CHECK(std::log(all[2].probability / all[3].probability) == Approx(2));
  CHECK(sample(std::span<const double>(logits), {.temperature = 0, .repetition_penalty = 2}, 0, seen) == 2);
  const std::vector<std::int32_t> unknown = {4};
  CHECK_THROWS_WITH(sample(std::span<const double>(logits), {.repetition_penalty = 2}, 0, unknown),
                    "sample: token 4 is outside [0, 4)");
}

TEST_CASE("sampling options out of range are refused") {
  refuses({1, 2}, {.temperature = -0.1}, "sample: temperature -0.1 is not a number >= 0");
  refuses({1, 2}, {.temperature = infinity}, "sample: temperature inf");
  refuses({1, 2}, {.temperature = not_a_number}, "is not a number >= 0");
  refuses({1, 2}, {.top_k = -1}, "sample: top_k -1 is negative");
  refuses({1, 2}, {.top_p = 1.1}, "sample: top_p 1.1 is outside [0, 1]");
  refuses({1, 2}, {.top_p = not_a_number}, "sample: top_p nan");
  refuses({1, 2}, {.min_p = -0.1}, "sample: min_p -0.1 is outside [0, 1]");
  refuses({1, 2}, {.repetition_penalty = 0}, "sample: repetition_penalty 0 is not a number > 0");
  refuses({1, 2}, {.repetition_penalty = infinity}, "sample: repetition_penalty inf");
}
