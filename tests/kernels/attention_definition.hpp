// SPDX-License-Identifier: MIT
// Attention and its gradients as loops in double: what kernels are compared with.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <plinth/kernels/arguments.hpp>

#include "kernels/numbers.hpp"

namespace attention_definition {

using Values = std::vector<double>;

struct Sizes {
  std::int64_t B, H, G, T, S, D;  // batch, heads, key heads, queries, keys, head size
  bool causal;
  std::int64_t window = 0;
  std::vector<std::int32_t> rows = {};  // place, begin and end of each batch row
};

/// (B, H, T, D) with time before heads in memory, as a model has it, or after them.
inline plinth::HeadLayout layout(std::int64_t heads, std::int64_t time, std::int64_t D, bool time_major) {
  return time_major ? plinth::HeadLayout{heads * time * D, D, heads * D}
                    : plinth::HeadLayout{heads * time * D, time * D, D};
}

inline plinth::AttentionShape shape_of(const Sizes& s) {
  return {.batch = s.B,
          .heads = s.H,
          .key_heads = s.G,
          .queries = s.T,
          .keys = s.S,
          .head_size = s.D,
          .query = layout(s.H, s.T, s.D, true),
          .key = layout(s.G, s.S, s.D, false),
          .value = layout(s.G, s.S, s.D, true),
          .output = layout(s.H, s.T, s.D, true),
          .causal = s.causal,
          .window = s.window,
          .scale = 1 / std::sqrt(static_cast<double>(s.D))};
}

template <class T>
struct Problem {
  plinth::AttentionShape shape;
  std::vector<std::int32_t> rows;
  std::vector<T> query, key, value, doutput;

  explicit Problem(const Sizes& s)
      : shape(shape_of(s)),
        rows(s.rows),
        query(numbers::normal<T>(s.B * s.H * s.T * s.D, 1)),
        key(numbers::normal<T>(s.B * s.G * s.S * s.D, 2)),
        value(numbers::normal<T>(s.B * s.G * s.S * s.D, 3)),
        doutput(numbers::normal<T>(s.B * s.H * s.T * s.D, 4)) {}
};

struct Result {
  Values output, log2_sum, dquery, dkey, dvalue;
};

/// The definition, and its derivative by the rules of matrix products and softmax.
template <class T>
class Definition {
 public:
  explicit Definition(const Problem<T>& p) : p_(p), s_(p.shape) {}

  Result run() {
    r_ = {Values(p_.query.size()), Values(static_cast<std::size_t>(s_.batch * s_.heads * s_.queries)),
          Values(p_.query.size()), Values(p_.key.size()), Values(p_.value.size())};
    for (std::int64_t b = 0; b < s_.batch; ++b)
      for (std::int64_t h = 0; h < s_.heads; ++h)
        for (std::int64_t i = 0; i < s_.queries; ++i) row(b, h, i);
    return r_;
  }

 private:
  static std::size_t at(const plinth::HeadLayout& x, std::int64_t b, std::int64_t h, std::int64_t t, std::int64_t d) {
    return static_cast<std::size_t>(b * x.batch + h * x.head + t * x.time + d);
  }
  static double number(const std::vector<T>& x, std::size_t i) { return static_cast<double>(x[i]); }

  bool sees(std::int64_t b, std::int64_t i, std::int64_t j) const {
    const auto row = static_cast<std::size_t>(3 * b);
    const std::int64_t place = p_.rows.empty() ? i + s_.keys - s_.queries : i + p_.rows[row];
    if (!p_.rows.empty() && (j < p_.rows[row + 1] || j >= p_.rows[row + 2])) return false;
    return !s_.causal || (j <= place && (s_.window == 0 || j > place - s_.window));
  }

  void row(std::int64_t b, std::int64_t h, std::int64_t i) {
    const std::int64_t g = h / (s_.heads / s_.key_heads);
    Values p(static_cast<std::size_t>(s_.keys)), dp(p.size());
    double sum = 0, mean = 0;
    for (std::int64_t j = 0; j < s_.keys; ++j) {
      if (!sees(b, i, j)) continue;
      double score = 0, slope = 0;
      for (std::int64_t d = 0; d < s_.head_size; ++d) {
        score += number(p_.query, at(s_.query, b, h, i, d)) * number(p_.key, at(s_.key, b, g, j, d));
        slope += number(p_.doutput, at(s_.output, b, h, i, d)) * number(p_.value, at(s_.value, b, g, j, d));
      }
      sum += p[static_cast<std::size_t>(j)] = std::exp(score * s_.scale);
      dp[static_cast<std::size_t>(j)] = slope;
    }
    r_.log2_sum[static_cast<std::size_t>((b * s_.heads + h) * s_.queries + i)] = std::log2(sum);
    if (sum == 0) return;
    for (std::size_t j = 0; j < p.size(); ++j) mean += (p[j] /= sum) * dp[j];
    for (std::int64_t j = 0; j < s_.keys; ++j)
      if (sees(b, i, j))
        add(b, h, g, i, j, p[static_cast<std::size_t>(j)], dp[static_cast<std::size_t>(j)] - mean);
  }

  void add(std::int64_t b, std::int64_t h, std::int64_t g, std::int64_t i, std::int64_t j, double p, double centred) {
    for (std::int64_t d = 0; d < s_.head_size; ++d) {
      const auto q = at(s_.query, b, h, i, d), k = at(s_.key, b, g, j, d), v = at(s_.value, b, g, j, d),
                 y = at(s_.output, b, h, i, d);
      r_.output[y] += p * number(p_.value, v);
      r_.dvalue[v] += p * number(p_.doutput, y);
      r_.dquery[q] += p * centred * s_.scale * number(p_.key, k);
      r_.dkey[k] += p * centred * s_.scale * number(p_.query, q);
    }
  }

  const Problem<T>& p_;
  const plinth::AttentionShape& s_;
  Result r_;
};

}  // namespace attention_definition
