// SPDX-License-Identifier: MIT
// What dropout does to one element, the same on every device.
#pragma once

#include <cstdint>

#include <plinth/tensor/element.hpp>
#include <plinth/tensor/host_device.hpp>

namespace plinth::detail {

/// x / (1 - probability) where its random word is at least probability 2^32, else 0.
template <class T>
struct DropoutElement {
  using A = accumulator_t<T>;
  std::uint64_t threshold;
  A factor;

  explicit DropoutElement(double probability)
      : threshold(static_cast<std::uint64_t>(probability * 4294967296.0)),
        factor(probability < 1 ? static_cast<A>(1 / (1 - probability)) : A(0)) {}

  PLINTH_HD T operator()(std::uint32_t word, T x) const {
    return word >= threshold ? static_cast<T>(static_cast<A>(x) * factor) : static_cast<T>(A(0));
  }
};

}  // namespace plinth::detail
