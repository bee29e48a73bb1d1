// SPDX-License-Identifier: MIT
// The embedding layer: a row of a table for each token.
#pragma once

#include <cstdint>

#include <plinth/ops/gather.hpp>

namespace plinth {

/// A table of V vectors of C channels. Its weights are zero until they are drawn (initialise), loaded or set.
/// PyTorch: nn.Embedding.
template <class T, class D = Cpu>
struct Embedding {
  Tensor<T, D> weight;  ///< (V, C)

  Embedding() = default;
  /// V rows of C channels, all zero. Throws ShapeError for a negative number.
  Embedding(std::int64_t rows, std::int64_t channels) : weight(zeros<T, D>({rows, channels})) {
    require_gradient(weight);
  }

  /// ids (B, T) -> (B, T, C). Throws ArgumentError for an id outside [0, V).
  Tensor<T, D> operator()(const Tensor<std::int32_t, D>& ids) const { return gather_rows(weight, ids); }
  static void visit(auto& self, auto&& f) { f("weight", self.weight); }
};

}  // namespace plinth
