// SPDX-License-Identifier: MIT
// A row of logits from which a token is drawn: the order of logits, their weights, and the cuts that leave one token.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cuda/elementwise.cuh>
#include <plinth/kernels/cuda/team.cuh>
#include <plinth/tensor/scalar_math.hpp>

namespace plinth::cuda {

/// Numbers of T as unsigned integers of so many bits, in the same order; both zeros are one, NaN is above all.
template <class T>
struct Order {
  static constexpr int bits = std::is_same_v<T, bfloat16> ? 16 : std::is_same_v<T, half> ? 20 : 32, unused = 32 - bits;
  static constexpr std::uint32_t sign = 0x80000000u;
  static constexpr std::uint32_t infinity = 0xff800000u >> unused, minus_infinity = 0x007fffffu >> unused;

  __device__ static std::uint32_t of(float x) {
    const std::uint32_t pattern = x == 0 ? 0 : __builtin_bit_cast(std::uint32_t, x);
    return (x != x ? ~0u : pattern & sign ? ~pattern : pattern | sign) >> unused;
  }
  __device__ static bool finite(std::uint32_t order) { return order > minus_infinity && order < infinity; }
  __device__ static float number(std::uint32_t order) {
    const std::uint32_t pattern = order << unused;
    return __builtin_bit_cast(float, pattern& sign ? pattern ^ sign : ~pattern >> unused << unused);
  }
};

/// What leaves fewer tokens, one after the other: what is left ends with a token, at last with the one that is drawn.
enum class Cut { by_count, by_probability, by_chance };
inline constexpr int cuts = 3;

/// What a kernel takes of SamplingOptions.
struct SampleSettings {
  std::int64_t top_k;
  double top_p;
  float inverse_temperature, min_p;

  explicit SampleSettings(const SamplingOptions& options)
      : top_k(options.temperature == 0 ? 1 : options.top_k),
        top_p(options.top_p),
        inverse_temperature(static_cast<float>(std::clamp(1 / options.temperature, 1e-38, 1e38))),
        min_p(static_cast<float>(options.min_p)) {}

  /// Whether a cut leaves fewer of so many tokens.
  PLINTH_HD bool has(Cut cut, int columns) const {
    return cut == Cut::by_count ? top_k != 0 && top_k < columns : cut == Cut::by_chance || top_p != 1;
  }
};

/// One row of logits, shared by a team, and the tokens that are left of it. Sorted, the largest logit comes first, and
/// of equal ones the smallest id: a token's place (order of the logit, ~id) falls.
template <class Team, class T>
struct SampleRow {
  static constexpr int width = 16 / sizeof(T), packs = 16 / width;  // that are loaded at once
  const T* row;
  int columns;
  bool aligned;
  SampleSettings settings;
  float top = 0;           // the largest logit
  std::uint64_t last = 0;  // the place of the last token that is left
  bool counted = false;    // whether every token weighs 1
  float least = 0;         // what a token's weight is at least, or 0

  __device__ static std::uint64_t place(std::uint32_t order, int id) {
    return std::uint64_t{order} << 32 | ~static_cast<std::uint32_t>(id);
  }
  __device__ static int id_of(std::uint64_t place) { return static_cast<int>(~static_cast<std::uint32_t>(place)); }

  /// f(logit, id) for the caller's share of the tokens in [begin, end).
  template <class F>
  __device__ void each(int begin, int end, const F& f) const {
    constexpr int jump = Team::size * width;
    const bool whole = aligned && begin % width == 0;
    for (int first = begin + Team::member() * width; first < end; first += packs * jump) {
      Pack<T, width> loaded[packs];
      for_constants<packs>([&](auto p) { loaded[p] = load_pack<width>(row, first + p * jump, end, whole); });
      for_constants<packs * width>([&](auto i) {
        const int id = first + i / width * jump + i % width;
        if (id < end) f(widened(loaded[i / width].values[i % width]), id);
      });
    }
  }

  /// From now on tokens have the weights of a cut.
  __device__ void begin(Cut cut) {
    counted = cut == Cut::by_count;
    least = cut == Cut::by_chance ? settings.min_p : 0;
  }

  /// What the sum of weights passes with the last token that the cut leaves, given the sum of all and a random word.
  __device__ std::uint64_t target(Cut cut, std::uint64_t all, std::uint32_t word) const {
    const std::uint64_t uniform = word >> 8;
    const double enough = std::ceil(settings.top_p * static_cast<double>(all));
    return cut == Cut::by_count         ? static_cast<std::uint64_t>(settings.top_k) - 1
           : cut == Cut::by_probability ? static_cast<std::uint64_t>(std::fmax(enough, 1.0)) - 1
                                        : uniform * (all >> 24) + (uniform * (all & 0xffffff) >> 24);
  }

  /// The probability relative to the most likely token's, times 2^40.
  __device__ std::uint64_t weight(float logit) const {
    if (counted) return 1;
    const float relative = math::exp_negative((logit - top) * settings.inverse_temperature);
    return relative >= least ? static_cast<std::uint64_t>(relative * 0x1p40f) : 0;
  }

  __device__ std::uint64_t total() const {
    std::uint64_t sum = 0;
    each(0, columns, [&](float x, int id) { sum += place(Order<T>::of(x), id) >= last ? weight(x) : 0; });
    return Team::reduce(sum, Sum());
  }

  /// In which of four parts a sum over them passes `rest`, which loses what the parts before it have. sums: those of
  /// the first three, of the caller's share.
  __device__ static int part_that_passes(const std::uint64_t (&sums)[3], std::uint64_t& rest) {
    int part = 0;
    for_constants<3>([&](auto i) {
      if (part < i) return;
      const std::uint64_t sum = Team::reduce(sums[i], Sum());
      if (rest < sum) return;
      rest -= sum;
      ++part;
    });
    return part;
  }

  /// The place of the token with which the sum of weights, of tokens in sorted order, passes `rest`, less than all.
  __device__ std::uint64_t find(std::uint64_t rest) const {
    std::uint32_t order = 0;
    for (int shift = Order<T>::bits - 2; shift >= 0; shift -= 2) {
      std::uint64_t sums[3] = {};
      each(0, columns, [&](float x, int id) {
        const std::uint32_t own = Order<T>::of(x);
        if (own >> shift >> 2 != order || place(own, id) < last) return;
        const std::uint64_t w = weight(x);
        for_constants<3>([&](auto i) { sums[i] += (own >> shift & 3) == 3 - i ? w : 0; });
      });
      order = order * 4 + 3 - static_cast<unsigned>(part_that_passes(sums, rest));
    }
    return find(order, 0, columns, rest);
  }

  /// The same among the tokens [begin, end) of this order.
  __device__ std::uint64_t find(std::uint32_t order, int begin, int end, std::uint64_t rest) const {
    const std::uint64_t w = weight(Order<T>::number(order));
    while (end - begin > 1) {  // of equal logits the smallest id comes first
      const int left = end - begin, quarter = left > 4 * width ? (left / 4 / width + 1) * width : (left + 3) / 4;
      std::uint64_t sums[3] = {};
      each(begin, end, [&](float x, int id) {
        if (Order<T>::of(x) != order) return;  // those that are left come first
        for_constants<3>([&](auto i) {
          const int first = begin + i * quarter;
          sums[i] += id >= first && id < first + quarter ? w : 0;
        });
      });
      begin = std::min(begin + part_that_passes(sums, rest) * quarter, end - 1);
      end = std::min(begin + quarter, end);
    }
    return place(order, begin);
  }

  /// A token by a random word, which the team's members but the first know as 0; -1 where the largest logit is not
  /// finite.
  __device__ int draw(std::uint32_t word) {
    std::uint64_t best = 0;
    each(0, columns, [&](float x, int id) { best = std::max(best, place(Order<T>::of(x), id)); });
    best = Team::reduce(best, Max());
    const auto order = static_cast<std::uint32_t>(best >> 32);
    if (!Order<T>::finite(order)) return -1;
    if (settings.top_k == 1) return id_of(best);
    top = Order<T>::number(order);
    word = Team::reduce(word, Max());
    for (int c = 0; c < cuts; ++c) {
      const auto cut = static_cast<Cut>(c);
      if (!settings.has(cut, columns)) continue;
      begin(cut);
      last = find(target(cut, counted ? 0 : total(), word));
    }
    return id_of(last);
  }
};

}  // namespace plinth::cuda
