// SPDX-License-Identifier: MIT
// Learning-rate schedules at their ends and in between.
#include <plinth/train/schedule.hpp>

#include <cmath>

#include "catch.hpp"

using namespace plinth;

TEST_CASE("the cosine schedule warms up, falls and stays") {
  const CosineSchedule rate{.peak_rate = 1e-3, .final_rate = 1e-4, .warmup_steps = 100, .steps = 2000};
  CHECK(rate(0) == Approx(1e-3 / 101).epsilon(1e-12));  // nanoGPT's get_lr: learning_rate (it + 1) / (warmup + 1)
  CHECK(rate(49) == Approx(1e-3 * 50 / 101).epsilon(1e-12));
  CHECK(rate(99) == Approx(1e-3 * 100 / 101).epsilon(1e-12));
  CHECK(rate(100) == Approx(1e-3).epsilon(1e-12));
  CHECK(rate(1050) == Approx(5.5e-4).epsilon(1e-12));   // half way: the mean of both ends
  CHECK(rate(575) == Approx(1e-4 + 9e-4 * (1 + std::sqrt(0.5)) / 2).epsilon(1e-12));
  CHECK(rate(2000) == 1e-4);
  CHECK(rate(1000000) == 1e-4);
  for (int t = 100; t < 2000; ++t)
    if (!(rate(t + 1) < rate(t))) FAIL_CHECK("not falling at " << t);
}

TEST_CASE("a schedule without warm-up or with nothing but warm-up") {
  const CosineSchedule plain{.peak_rate = 2, .final_rate = 0, .warmup_steps = 0, .steps = 4};
  CHECK(plain(0) == 2);
  CHECK(plain(2) == Approx(1));
  CHECK(plain(4) == 0);
  const CosineSchedule warmup{.peak_rate = 3, .final_rate = 1, .warmup_steps = 2, .steps = 2};
  CHECK(warmup(0) == 1);
  CHECK(warmup(1) == 2);
  CHECK(warmup(2) == 1);
  const CosineSchedule constant{.peak_rate = 0.5, .final_rate = 0.5, .warmup_steps = 0, .steps = 10};
  for (int t = 0; t < 12; ++t) CHECK(constant(t) == 0.5);
}
