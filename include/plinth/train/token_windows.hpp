// SPDX-License-Identifier: MIT
// Training data as windows of one long sequence of tokens.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include <plinth/tensor/random.hpp>
#include <plinth/tensor/tensor.hpp>

namespace plinth {

/// Token ids and what follows each of them, both (B, T).
template <class D>
struct Batch {
  Tensor<std::int32_t, D> inputs,  ///< (B, T)
      targets;                     ///< (B, T), each the token behind its input; negative: does not count
};

/// A long sequence of tokens, from which batches of windows are drawn.
class TokenWindows {
 public:
  /// Of the ids that a vocabulary encoded.
  explicit TokenWindows(std::vector<std::int32_t> tokens) : tokens_(std::move(tokens)) {}

  /// The whole sequence.
  const std::vector<std::int32_t>& tokens() const { return tokens_; }

  /// `rows` windows of `length` tokens at random places: a function of (seed, step, micro_step) alone.
  /// Throws ArgumentError when the sequence has no window of length + 1.
  template <class D = Cpu>
  Batch<D> batch(std::int64_t rows, std::int64_t length, std::uint64_t seed, std::int64_t step,
                 std::int64_t micro_step = 0) const {
    const auto places = static_cast<std::int64_t>(tokens_.size()) - length;
    detail::require<ArgumentError>(rows > 0 && length > 0 && places > 0, "token windows: ", rows, " windows of ",
                                   length, " + 1 tokens from a sequence of ", tokens_.size(),
                                   "; both numbers must be positive and the sequence at least one window long");
    const RandomStream stream{seed, RandomPurpose::batch, static_cast<std::uint32_t>(micro_step)};
    std::vector<std::int32_t> inputs, targets;
    for (std::int64_t row = 0; row < rows; ++row) {
      const RandomWords w = stream.words(static_cast<std::uint64_t>(row), static_cast<std::uint32_t>(step));
      const std::uint64_t word = static_cast<std::uint64_t>(w.word[0]) << 32 | w.word[1];
      const auto first = tokens_.begin() + static_cast<std::int64_t>(word % static_cast<std::uint64_t>(places));
      inputs.insert(inputs.end(), first, first + length);
      targets.insert(targets.end(), first + 1, first + length + 1);
    }
    return {Tensor<std::int32_t, D>({rows, length}, inputs), Tensor<std::int32_t, D>({rows, length}, targets)};
  }

 private:
  std::vector<std::int32_t> tokens_;
};

}  // namespace plinth
