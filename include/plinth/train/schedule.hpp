// SPDX-License-Identifier: MIT
// Learning-rate schedules: plain functions of the step.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace plinth {

/// Linear warm-up, then half a cosine down to `final_rate`.
struct CosineSchedule {
  double peak_rate = 1e-3, final_rate = 0;
  std::int64_t warmup_steps = 0, steps = 1;

  /// The rate of step t = 0, 1, ...: peak (t + 1) / (warmup + 1) while t < warmup; then
  /// final + (peak - final) (1 + cos(pi (t - warmup) / (steps - warmup))) / 2; final_rate from t = steps on.
  /// Loshchilov & Hutter 2017 (arXiv:1608.03983), eq. (5), without restarts.
  double operator()(std::int64_t t) const {
    if (t < warmup_steps) return peak_rate * static_cast<double>(t + 1) / static_cast<double>(warmup_steps + 1);
    if (t >= steps) return final_rate;
    const double progress = static_cast<double>(t - warmup_steps) / static_cast<double>(steps - warmup_steps);
    return final_rate + (peak_rate - final_rate) * (1 + std::cos(std::numbers::pi * progress)) / 2;
  }
};

}  // namespace plinth
