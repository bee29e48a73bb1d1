// SPDX-License-Identifier: MIT
// Learning-rate schedules: plain functions of the step t = 0, 1, ...; any callable from a step to a rate is one too.
//
// All share one warm-up: step t < warmup_steps has the rate peak (t + 1) / (warmup_steps + 1), so the first step has a
// rate above 0, and step t = warmup_steps is the first at the peak. Where a schedule has an end, step t = steps - 1 is
// the last before final_rate is reached, and from t = steps on the rate is final_rate.
//
// PyTorch: LinearLR(start_factor=1 / (warmup_steps + 1), total_iters=warmup_steps) is this warm-up. transformers begins
// with a rate of 0 at t = 0; one step later, with one step more of warm-up and in all, its rates are these.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace plinth {

namespace detail {

/// How far warm-up has come: (t + 1) / (warmup_steps + 1), at most 1.
inline double warmup(std::int64_t t, std::int64_t warmup_steps) {
  return std::min(1.0, static_cast<double>(t + 1) / static_cast<double>(warmup_steps + 1));
}

/// How far t has come from `begin` to `end`, in [0, 1]; 1 where nothing lies between them.
inline double progress(std::int64_t t, std::int64_t begin, std::int64_t end) {
  return t >= end ? 1 : t <= begin ? 0 : static_cast<double>(t - begin) / static_cast<double>(end - begin);
}

}  // namespace detail

/// Warm-up, then peak_rate for good.  transformers: get_constant_schedule_with_warmup, one step later as said above.
struct ConstantSchedule {
  double peak_rate = 1e-3;        ///< the highest rate
  std::int64_t warmup_steps = 0;  ///< steps below the peak

  /// The rate of step t, counted from 0.
  double operator()(std::int64_t t) const { return peak_rate * detail::warmup(t, warmup_steps); }
};

/// Warm-up, then a straight line to final_rate:
///   peak + (final - peak) (t - warmup) / (steps - warmup) for warmup <= t < steps.
/// Devlin et al. 2019 (arXiv:1810.04805), appendix A.2.  transformers: get_linear_schedule_with_warmup, likewise.
struct LinearSchedule {
  double peak_rate = 1e-3,        ///< the highest rate
      final_rate = 0;             ///< the rate from t = steps on
  std::int64_t warmup_steps = 0,  ///< steps below the peak
      steps = 1;                  ///< of the whole schedule

  /// The rate of step t, counted from 0.
  double operator()(std::int64_t t) const {
    if (t < std::min(warmup_steps, steps)) return peak_rate * detail::warmup(t, warmup_steps);
    return std::lerp(peak_rate, final_rate, detail::progress(t, warmup_steps, steps));
  }
};

/// Warm-up, then half a cosine down to final_rate:
///   final + (peak - final) (1 + cos(pi (t - warmup) / (steps - warmup))) / 2 for warmup <= t < steps.
/// Loshchilov & Hutter 2017 (arXiv:1608.03983), eq. (5), without restarts.
/// transformers: get_cosine_schedule_with_warmup, likewise.
struct CosineSchedule {
  double peak_rate = 1e-3,        ///< the highest rate
      final_rate = 0;             ///< the rate from t = steps on
  std::int64_t warmup_steps = 0,  ///< steps below the peak
      steps = 1;                  ///< of the whole schedule

  /// The rate of step t, counted from 0.
  double operator()(std::int64_t t) const {
    if (t < std::min(warmup_steps, steps)) return peak_rate * detail::warmup(t, warmup_steps);
    if (t >= steps) return final_rate;
    const double angle = std::numbers::pi * detail::progress(t, warmup_steps, steps);
    return final_rate + (peak_rate - final_rate) * (1 + std::cos(angle)) / 2;
  }
};

/// Warm-up, then peak sqrt((warmup + 1) / (t + 1)), without an end. With s = t + 1, W = warmup + 1 and a peak of
/// (hidden W)^-0.5 this is hidden^-0.5 min(s^-0.5, s W^-1.5).  Vaswani et al. 2017 (arXiv:1706.03762), eq. (3).
/// transformers: get_inverse_sqrt_schedule, likewise.
struct InverseSquareRootSchedule {
  double peak_rate = 1e-3;        ///< the highest rate
  std::int64_t warmup_steps = 0;  ///< steps below the peak

  /// The rate of step t, counted from 0.
  double operator()(std::int64_t t) const {
    if (t < warmup_steps) return peak_rate * detail::warmup(t, warmup_steps);
    return peak_rate * std::sqrt(static_cast<double>(warmup_steps + 1) / static_cast<double>(t + 1));
  }
};

/// Warm-up, stable, decay: peak_rate until decay_steps before the end, then a straight line to final_rate:
///   peak + (final - peak) (t - steps + decay) / decay for steps - decay <= t < steps.
/// Hu et al. 2024 (arXiv:2404.06395), section 4; the straight line as in Haegele et al. 2024 (arXiv:2405.18392).
/// transformers: get_wsd_schedule with decay_type="linear", likewise.
struct StableSchedule {
  double peak_rate = 1e-3,        ///< the highest rate
      final_rate = 0;             ///< the rate from t = steps on
  std::int64_t warmup_steps = 0,  ///< steps below the peak
      decay_steps = 0,            ///< steps of the straight line, the last ones
      steps = 1;                  ///< of the whole schedule

  /// The rate of step t, counted from 0.
  double operator()(std::int64_t t) const {
    const std::int64_t decay_begin = std::max(warmup_steps, steps - decay_steps);
    if (t < std::min(decay_begin, steps)) return peak_rate * detail::warmup(t, warmup_steps);
    return std::lerp(peak_rate, final_rate, detail::progress(t, decay_begin, steps));
  }
};

}  // namespace plinth
