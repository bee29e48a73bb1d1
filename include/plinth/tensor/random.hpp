// SPDX-License-Identifier: MIT
// Counter-based random numbers: Philox 4x32-10. The same key and counter give the same number on every device, for any
// number of threads, in any order.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <string_view>

#include <plinth/tensor/host_device.hpp>

namespace plinth {

/// Four random words.
struct RandomWords {
  std::uint32_t word[4];  ///< each uniform over 32 bits
};

/// Philox 4x32-10.  Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3.
PLINTH_HD inline RandomWords philox(RandomWords counter, std::uint32_t key0, std::uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53u} * counter.word[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57u} * counter.word[2];
    counter = {{static_cast<std::uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0, static_cast<std::uint32_t>(product1),
                static_cast<std::uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1, static_cast<std::uint32_t>(product0)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/// What a stream of random numbers is for; streams of one seed with different purposes are independent.
enum class RandomPurpose : std::uint32_t {
  initialise = 1,  ///< first weights
  dropout = 2,     ///< masks
  batch = 3,       ///< which data a batch has
  sample = 4       ///< which token is drawn
};

/// FNV-1a, 32 bits: turns a dotted name into the site of a random stream.
constexpr std::uint32_t random_site(std::string_view name) {
  std::uint32_t hash = 2166136261u;
  for (const char letter : name) hash = (hash ^ static_cast<unsigned char>(letter)) * 16777619u;
  return hash;
}

/// A random stream: element i is a function of (seed, purpose, site, step, i) alone.
struct RandomStream {
  std::uint64_t seed = 0;                         ///< the key of Philox
  RandomPurpose purpose = RandomPurpose::sample;  ///< what is drawn
  std::uint32_t site = 0;                         ///< the place in the model, or in the program, that draws

  /// The four words of counter (index, step); the purpose is folded into the index's upper bits.
  PLINTH_HD RandomWords words(std::uint64_t index, std::uint32_t step) const {
    return philox({{static_cast<std::uint32_t>(index),
                    static_cast<std::uint32_t>(index >> 32) ^ (static_cast<std::uint32_t>(purpose) << 28), site, step}},
                  static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32));
  }
  /// Element `index`: a word uniform over 32 bits.
  PLINTH_HD std::uint32_t word(std::uint64_t index, std::uint32_t step) const {
    return words(index / 4, step).word[index % 4];
  }
  /// Element `index`: uniform in [0, 1), a multiple of 2^-24.
  PLINTH_HD float uniform(std::uint64_t index, std::uint32_t step = 0) const {
    return static_cast<float>(word(index, step) >> 8) * 0x1p-24f;
  }
  /// Element `index`: standard normal, by the Box-Muller transform in double.
  double normal(std::uint64_t index, std::uint32_t step = 0) const {
    const RandomWords w = words(index, step);
    const double u = (w.word[0] + 0.5) * 0x1p-32, angle = 2 * std::numbers::pi * (w.word[1] * 0x1p-32);
    return std::sqrt(-2 * std::log(u)) * std::cos(angle);
  }
};

}  // namespace plinth
