// SPDX-License-Identifier: MIT
// Sinusoidal position encodings: a fixed vector for each position, added to the token embeddings.
// B batch, T sequence, C channels.
#pragma once

#include <cmath>
#include <cstdint>

#include <plinth/ops/create.hpp>
#include <plinth/ops/gather.hpp>

namespace plinth {

/// PE(p, 2i) = sin(p / 10000^(2i / C)), PE(p, 2i + 1) = cos(p / 10000^(2i / C)); of an odd C the last channel is a
/// sine. Vaswani et al. 2017, section 3.5. Added to embeddings that were multiplied by sqrt(C) (section 3.4).
template <Real T, class D = Cpu>
struct SinusoidalTable {
  Tensor<T, D> values;  ///< (positions, C)

  SinusoidalTable() = default;
  /// Throws ArgumentError for sizes that are not positive.
  SinusoidalTable(std::int64_t positions, std::int64_t channels) {
    detail::require<ArgumentError>(positions > 0 && channels > 0, "sinusoidal: ", positions, " positions of ", channels,
                                   " channels; both must be positive");
    values = detail::tabulate<T, D>({positions, channels}, [=](std::int64_t element) {
      const std::int64_t p = element / channels, c = element % channels;
      const double pair = static_cast<double>(c - c % 2) / static_cast<double>(channels);
      const double angle = static_cast<double>(p) / std::pow(10000.0, pair);
      return static_cast<T>(static_cast<accumulator_t<T>>(c % 2 == 0 ? std::sin(angle) : std::cos(angle)));
    });
  }

  /// positions (B, T) -> encodings (B, T, C). Throws ArgumentError for a position outside the table.
  Tensor<T, D> operator()(const Tensor<std::int32_t, D>& positions) const { return gather_rows(values, positions); }
};

}  // namespace plinth
