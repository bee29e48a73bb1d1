// SPDX-License-Identifier: MIT
// What random problems for kernels and ops are drawn from: sizes where loops, vectors and blocks end, and numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <random>
#include <utility>
#include <vector>

namespace random_operands {

using Count = std::int64_t;

/// Of each kernel.
inline constexpr int shapes = 2000;

/// Draws what a problem consists of.
class Random {
 public:
  /// Of problems with operands of up to so many elements; by itself two blocks of an elementwise loop, and some.
  explicit Random(unsigned seed, Count most = 17000) : most_(most), engine_(seed) {}

  Count most() const { return most_; }

  Count below(Count n) { return static_cast<Count>(engine_() % static_cast<std::uint64_t>(n)); }
  bool one_in(Count n) { return below(n) == 0; }

  /// 1, a prime, a number beside a multiple of 16, where vectors end, or thousands; any up to the limit if that is
  /// less.
  Count length(Count limit) {
    constexpr Count primes[] = {2,  3,  5,  7,  11, 13, 17, 19,  23,  29,  31,  37,
                                41, 47, 53, 61, 67, 71, 89, 113, 127, 131, 251, 257};
    const Count kind = below(8), beside = below(3) - 1;
    const Count n = kind == 0  ? 1
                    : kind < 4 ? primes[below(std::size(primes))]
                    : kind < 7 ? 16 * (1 + below(18)) + beside
                               : 1000 + below(16000);
    return n <= limit ? n : 1 + below(limit);
  }
  /// Elements, now and then none.
  Count elements() { return one_in(50) ? 0 : length(most_); }
  /// Rows, now and then none, and columns, of at most as many elements.
  std::pair<Count, Count> matrix() {
    const Count columns = length(most_);
    return {one_in(50) ? 0 : length(most_ / columns), columns};
  }

  /// Numbers in [-2, 2).
  template <class T>
  std::vector<T> values(Count n) {
    static const std::vector<float> pool = [] {
      std::mt19937 engine(1);
      std::vector<float> all(1 << 15);
      for (float& x : all) x = static_cast<float>(engine() >> 8) * 0x1p-22f - 2.0f;
      return all;
    }();
    std::vector<T> all(static_cast<std::size_t>(n));
    auto at = static_cast<std::size_t>(below(1 << 15));
    for (T& x : all) x = static_cast<T>(pool[at++ % pool.size()]);
    return all;
  }
  /// Integers in [0, limit).
  std::vector<std::int32_t> integers(Count limit, Count n) {
    std::vector<std::int32_t> all(static_cast<std::size_t>(n));
    for (std::int32_t& x : all) x = static_cast<std::int32_t>(below(limit));
    return all;
  }

 private:
  Count most_;
  std::mt19937 engine_;
};

}  // namespace random_operands
