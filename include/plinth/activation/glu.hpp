// SPDX-License-Identifier: MIT
// Gated linear units: one half of the channels decides how much of the other half passes.
#pragma once

#include <cstdint>

#include <plinth/activation/gelu.hpp>
#include <plinth/activation/relu.hpp>
#include <plinth/activation/sigmoid.hpp>
#include <plinth/activation/silu.hpp>
#include <plinth/ops/arithmetic.hpp>
#include <plinth/ops/shape.hpp>

namespace plinth {

namespace detail {

/// x (..., 2 C) as its halves: values, then gates, each (..., C).
template <class T, class D>
struct GluHalves {
  Tensor<T, D> value, gate;

  GluHalves(const char* name, const Tensor<T, D>& x) {
    require<ShapeError>(x.rank() >= 1 && x.size(-1) % 2 == 0, name, ": the last axis of ", x.shape(),
                        " has no two halves");
    const std::int64_t half_size = x.size(-1) / 2;
    value = slice(x, -1, 0, half_size);
    gate = slice(x, -1, half_size, 2 * half_size);
  }
};

}  // namespace detail

/// y = sigma(gate) value. Dauphin et al. 2016 (arXiv:1612.08083); this and the three that follow: Shazeer 2020
/// (arXiv:2002.05202), eq. (5). Shapes are equal or broadcast; throws ShapeError naming both.
template <Real T, class D>
Tensor<T, D> glu(const Tensor<T, D>& gate, const Tensor<T, D>& value) {
  return sigmoid(gate) * value;
}
/// y = relu(gate) value.  Shazeer 2020, eq. (5). Shapes as for glu; throws as it does.
template <Real T, class D>
Tensor<T, D> reglu(const Tensor<T, D>& gate, const Tensor<T, D>& value) {
  return relu(gate) * value;
}
/// y = gelu(gate) value, with the exact GELU.  Shazeer 2020, eq. (5). Shapes as for glu; throws as it does.
template <Real T, class D>
Tensor<T, D> geglu(const Tensor<T, D>& gate, const Tensor<T, D>& value) {
  return gelu(gate) * value;
}
/// y = silu(gate) value.  Shazeer 2020, eq. (5). Shapes as for glu; throws as it does.
template <Real T, class D>
Tensor<T, D> swiglu(const Tensor<T, D>& gate, const Tensor<T, D>& value) {
  return silu(gate) * value;
}

/// glu of x (..., 2 C), whose last axis holds the values, then the gates -> (..., C).  PyTorch: glu(x).
/// Throws ShapeError when the last axis is odd.
template <Real T, class D>
Tensor<T, D> glu(const Tensor<T, D>& x) {
  const detail::GluHalves<T, D> halves("glu", x);
  return glu(halves.gate, halves.value);
}
/// reglu of x (..., 2 C): the values, then the gates -> (..., C). Throws ShapeError when the last axis is odd.
template <Real T, class D>
Tensor<T, D> reglu(const Tensor<T, D>& x) {
  const detail::GluHalves<T, D> halves("reglu", x);
  return reglu(halves.gate, halves.value);
}
/// geglu of x (..., 2 C): the values, then the gates -> (..., C). Throws ShapeError when the last axis is odd.
template <Real T, class D>
Tensor<T, D> geglu(const Tensor<T, D>& x) {
  const detail::GluHalves<T, D> halves("geglu", x);
  return geglu(halves.gate, halves.value);
}
/// swiglu of x (..., 2 C): the values, then the gates -> (..., C). Throws ShapeError when the last axis is odd.
template <Real T, class D>
Tensor<T, D> swiglu(const Tensor<T, D>& x) {
  const detail::GluHalves<T, D> halves("swiglu", x);
  return swiglu(halves.gate, halves.value);
}

}  // namespace plinth
