// SPDX-License-Identifier: MIT
// The frequencies of rotary positions, and how they are changed so that a model reads further than it was trained.
// d head size, L positions seen in training, s factor.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include <plinth/tensor/error.hpp>

namespace plinth {

/// What becomes of the frequencies theta_i = theta^(-2i / d), i = 0 .. d/2 - 1.  transformers: ROPE_INIT_FUNCTIONS.
enum class RopeScalingKind {
  /// theta_i as they are.
  none,
  /// theta_i / s, positions pressed together.  Chen et al. 2023 (arXiv:2306.15595), eq. (4).
  linear,
  /// A larger theta, by (s n / L - (s - 1))^(d / (d - 2)), for n > L positions; as none up to L.
  /// bloc97 & emozilla 2023; Peng et al. 2023 (arXiv:2309.00071), section 3.3.
  dynamic_ntk,
  /// Pairs that turn more than beta_fast times within L keep theta_i, those that turn less than beta_slow times get
  /// theta_i / s, and those between a mixture; cosines and sines grow by the attention factor.  Same, section 3.4.
  yarn,
  /// The same idea over wavelengths: above L / low_frequency_factor theta_i / s, below L / high_frequency_factor
  /// theta_i, between them a mixture.  Llama 3.1's apply_scaling.
  llama3
};

/// A kind and its numbers; each kind reads those that it names.
struct RopeScaling {
  RopeScalingKind kind = RopeScalingKind::none;  ///< which of the numbers below are read
  double factor = 1;                             ///< s, how many times further: all kinds
  std::int64_t original_context = 0;             ///< L: dynamic_ntk, yarn, llama3
  double low_frequency_factor = 1,               ///< llama3: turns within L below which theta_i / s is taken
      high_frequency_factor = 4;                 ///< llama3: turns within L above which theta_i is
  double beta_fast = 32,                         ///< yarn: turns within L above which theta_i is taken
      beta_slow = 1;                             ///< yarn: turns within L below which theta_i / s is
  double attention_factor = 0;                   ///< yarn: of cosines and sines; 0: 0.1 ln s + 1
};

namespace detail {

inline void check_rope_scaling(const RopeScaling& scaling) {
  using enum RopeScalingKind;
  if (scaling.kind == none) return;
  require<ArgumentError>(scaling.factor >= 1 && std::isfinite(scaling.factor), "rope scaling: factor ", scaling.factor,
                         " is not a number of at least 1");
  if (scaling.kind == linear) return;
  require<ArgumentError>(scaling.original_context > 0, "rope scaling: original_context ", scaling.original_context,
                         " is not positive; it is the number of positions in training");
  if (scaling.kind == llama3)
    require<ArgumentError>(
        scaling.low_frequency_factor > 0 && scaling.high_frequency_factor > scaling.low_frequency_factor,
        "rope scaling: low_frequency_factor ", scaling.low_frequency_factor, " and high_frequency_factor ",
        scaling.high_frequency_factor, " are not positive and in this order");
  if (scaling.kind != yarn) return;
  require<ArgumentError>(scaling.beta_slow > 0 && scaling.beta_fast >= scaling.beta_slow, "rope scaling: beta_slow ",
                         scaling.beta_slow, " and beta_fast ", scaling.beta_fast,
                         " are not positive and in this order");
  require<ArgumentError>(scaling.attention_factor >= 0, "rope scaling: attention_factor ", scaling.attention_factor,
                         " is negative");
}

/// How much of theta_i / s each pair i gets under YaRN: 0 up to the pair that turns beta_fast times within L, 1 from
/// the one that turns beta_slow times, a line between; both ends are moved outwards to whole pairs.
inline std::vector<double> yarn_ramp(std::int64_t head_size, double theta, const RopeScaling& scaling) {
  const double size = static_cast<double>(head_size);
  const auto pair_that_turns = [&](double times) {
    return size * std::log(static_cast<double>(scaling.original_context) / (times * 2 * std::numbers::pi)) /
           (2 * std::log(theta));
  };
  const double first = std::max(std::floor(pair_that_turns(scaling.beta_fast)), 0.0);
  double last = std::min(std::ceil(pair_that_turns(scaling.beta_slow)), size - 1);
  if (first == last) last += 0.001;  // a step
  std::vector<double> ramp;
  for (std::int64_t i = 0; i < head_size / 2; ++i)
    ramp.push_back(std::clamp((static_cast<double>(i) - first) / (last - first), 0.0, 1.0));
  return ramp;
}

/// How much of theta_i / s a frequency gets under Llama 3.
inline double llama3_ramp(double frequency, const RopeScaling& scaling) {
  const double turns = static_cast<double>(scaling.original_context) * frequency / (2 * std::numbers::pi);
  const double low = scaling.low_frequency_factor, high = scaling.high_frequency_factor;
  return std::clamp((high - turns) / (high - low), 0.0, 1.0);
}

}  // namespace detail

/// The angles, d/2 of them, by which the pairs of a head turn from one position to the next. positions is the length n
/// that dynamic_ntk is for. Throws ArgumentError for a head size or theta that has no frequencies, and for a scaling
/// that lacks a number.
inline std::vector<double> rope_frequencies(std::int64_t head_size, double theta, const RopeScaling& scaling = {},
                                            std::int64_t positions = 0) {
  using enum RopeScalingKind;
  detail::require<ArgumentError>(head_size > 0 && head_size % 2 == 0, "rope: head size ", head_size, " is not even");
  detail::require<ArgumentError>(theta > 0, "rope: theta ", theta, " is not positive");
  detail::check_rope_scaling(scaling);
  const double size = static_cast<double>(head_size);
  if (scaling.kind == dynamic_ntk && positions > scaling.original_context) {
    detail::require<ArgumentError>(head_size > 2, "rope scaling: dynamic_ntk needs more than one pair in a head");
    const double stretch = static_cast<double>(positions) / static_cast<double>(scaling.original_context);
    theta *= std::pow(scaling.factor * stretch - (scaling.factor - 1), size / (size - 2));
  }
  std::vector<double> ramp;
  if (scaling.kind == yarn) {
    detail::require<ArgumentError>(theta > 1, "rope scaling: yarn needs a theta above 1, not ", theta);
    ramp = detail::yarn_ramp(head_size, theta, scaling);
  }
  std::vector<double> frequencies;
  for (std::int64_t i = 0; i < head_size / 2; ++i) {
    const double frequency = std::pow(theta, -2.0 * static_cast<double>(i) / size);
    double scaled = 0;  // the share of theta_i / s
    if (scaling.kind == linear) scaled = 1;
    if (scaling.kind == yarn) scaled = ramp[static_cast<std::size_t>(i)];
    if (scaling.kind == llama3) scaled = detail::llama3_ramp(frequency, scaling);
    frequencies.push_back(frequency * (1 - scaled) + frequency / scaling.factor * scaled);
  }
  return frequencies;
}

/// What cosines and sines are multiplied by: YaRN's attention factor, and 1 for all others.
inline double rope_attention_factor(const RopeScaling& scaling) {
  if (scaling.kind != RopeScalingKind::yarn) return 1;
  return scaling.attention_factor > 0 ? scaling.attention_factor : 0.1 * std::log(scaling.factor) + 1;
}

}  // namespace plinth
