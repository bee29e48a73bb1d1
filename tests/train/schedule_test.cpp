// SPDX-License-Identifier: MIT
// Learning-rate schedules step by step against PyTorch and transformers, and at their ends.
#include <plinth/train/schedule.hpp>

#include <cmath>
#include <string>
#include <vector>

#include <plinth/io/safetensors_file.hpp>

#include "catch.hpp"

using namespace plinth;

namespace {

constexpr double peak = 3e-3, final_rate = 2e-4;
constexpr std::int64_t warmup = 7, steps = 40, decay = 12;

/// Every rate as in tests/golden/training.safetensors.
template <class Schedule>
void agrees(const std::string& name, const Schedule& rate) {
  const auto expected = SafetensorsFile("tests/golden/training.safetensors").read<double>("schedule." + name);
  REQUIRE(expected.size() >= 40);
  for (std::size_t t = 0; t < expected.size(); ++t) {
    INFO(name << ", step " << t);
    CHECK(rate(static_cast<std::int64_t>(t)) == Approx(expected[t]).epsilon(1e-12).margin(1e-17));
  }
}

/// The first steps, the last ones and those around the end of warm-up, as written in schedule.hpp.
template <class Schedule>
void warms_up(const Schedule& rate) {
  CHECK(rate(0) == Approx(peak / 8).epsilon(1e-14));
  CHECK(rate(warmup - 1) == Approx(peak * 7 / 8).epsilon(1e-14));
  CHECK(rate(warmup) == peak);
}

template <class Schedule>
void ends(const Schedule& rate) {
  CHECK(rate(steps - 1) > final_rate);
  CHECK(rate(steps) == final_rate);
  CHECK(rate(1000000000) == final_rate);
}

}  // namespace

TEST_CASE("schedules as in transformers") {
  agrees("constant", ConstantSchedule{peak, warmup});
  agrees("linear_to_0", LinearSchedule{peak, 0, warmup, steps});
  agrees("cosine_to_0", CosineSchedule{peak, 0, warmup, steps});
  agrees("inverse_square_root", InverseSquareRootSchedule{peak, warmup});
  agrees("stable_to_0", StableSchedule{peak, 0, warmup, decay, steps});
}

TEST_CASE("schedules as in PyTorch") {
  agrees("linear", LinearSchedule{peak, final_rate, warmup, steps});
  agrees("cosine", CosineSchedule{peak, final_rate, warmup, steps});
}

TEST_CASE("which step gets which rate") {
  warms_up(ConstantSchedule{peak, warmup});
  warms_up(InverseSquareRootSchedule{peak, warmup});
  const LinearSchedule linear{peak, final_rate, warmup, steps};
  const CosineSchedule cosine{peak, final_rate, warmup, steps};
  const StableSchedule stable{peak, final_rate, warmup, decay, steps};
  warms_up(linear), ends(linear);
  warms_up(cosine), ends(cosine);
  warms_up(stable), ends(stable);
  CHECK(stable(steps - decay) == peak);
  CHECK(stable(steps - decay + 1) == Approx(peak + (final_rate - peak) / decay).epsilon(1e-12));
  CHECK(stable(steps - 1) == Approx(final_rate + (peak - final_rate) / decay).epsilon(1e-12));
}

TEST_CASE("the cosine schedule as in nanoGPT") {
  const CosineSchedule rate{.peak_rate = 1e-3, .final_rate = 1e-4, .warmup_steps = 100, .steps = 2000};
  CHECK(rate(0) == Approx(1e-3 / 101).epsilon(1e-12));  // get_lr: learning_rate (it + 1) / (warmup + 1)
  CHECK(rate(49) == Approx(1e-3 * 50 / 101).epsilon(1e-12));
  CHECK(rate(1050) == Approx(5.5e-4).epsilon(1e-12));  // half way: the mean of both ends
  CHECK(rate(575) == Approx(1e-4 + 9e-4 * (1 + std::sqrt(0.5)) / 2).epsilon(1e-12));
  for (int t = 100; t < 2000; ++t)
    if (!(rate(t + 1) < rate(t))) FAIL_CHECK("not falling at " << t);
}

TEST_CASE("the inverse square root is Vaswani's formula") {
  constexpr double hidden = 512, W = 4000;
  const InverseSquareRootSchedule rate{.peak_rate = 1 / std::sqrt(hidden * W), .warmup_steps = 3999};
  for (const double s : {1.0, 2.0, 1000.0, 3999.0, 4000.0, 4001.0, 100000.0})
    CHECK(rate(static_cast<std::int64_t>(s) - 1) ==
          Approx(std::pow(hidden, -0.5) * std::fmin(std::pow(s, -0.5), s * std::pow(W, -1.5))).epsilon(1e-12));
}

TEST_CASE("schedules without warm-up, without decay, with nothing but warm-up") {
  CHECK(ConstantSchedule{.peak_rate = 2}(0) == 2);
  CHECK(InverseSquareRootSchedule{.peak_rate = 2}(0) == 2);
  CHECK(InverseSquareRootSchedule{.peak_rate = 2}(3) == 1);
  const CosineSchedule plain{.peak_rate = 2, .final_rate = 0, .warmup_steps = 0, .steps = 4};
  CHECK(plain(0) == 2);
  CHECK(plain(2) == Approx(1));
  CHECK(plain(4) == 0);
  const CosineSchedule cosine{.peak_rate = 3, .final_rate = 1, .warmup_steps = 2, .steps = 2};
  const LinearSchedule linear{.peak_rate = 3, .final_rate = 1, .warmup_steps = 2, .steps = 2};
  const StableSchedule stable{.peak_rate = 3, .final_rate = 1, .warmup_steps = 2, .decay_steps = 9, .steps = 2};
  const StableSchedule sudden{.peak_rate = 3, .final_rate = 1, .warmup_steps = 1, .steps = 2};
  for (const auto& rates : {std::vector<double>{cosine(0), cosine(1), cosine(2)},
                            {linear(0), linear(1), linear(2)},
                            {stable(0), stable(1), stable(2)}})
    CHECK(rates == std::vector<double>{1, 2, 1});
  CHECK(std::vector<double>{sudden(0), sudden(1), sudden(2)} == std::vector<double>{1.5, 3, 1});
}
