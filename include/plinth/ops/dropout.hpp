// SPDX-License-Identifier: MIT
// Dropout with masks that are a function of the step and the layer's name, not of a generator's state.
#pragma once

#include <cstdint>
#include <tuple>

#include <plinth/ops/create.hpp>

namespace plinth {

/// dx = dy / (1 - probability) where x was kept, else 0
template <class T, class D>
struct DropoutOp {
  static constexpr const char* name = "dropout";
  double probability = 0;         ///< that an element is dropped
  RandomStream stream;            ///< of masks
  Tensor<std::int32_t, D> clock;  ///< (1), the step

  /// x masked
  Tensor<T, D> forward(const Tensor<T, D>& x) { return masked(x); }
  /// {dy masked}: the mask is drawn again, not kept
  std::tuple<Tensor<T, D>> backward(const Tensor<T, D>& dy) const { return {masked(dy)}; }

 private:
  Tensor<T, D> masked(const Tensor<T, D>& x) const {
    const auto values = detail::dense(x);
    Tensor<T, D> y(x.shape());
    kernels<D>::dropout(queue<D>::current(), y.count(), probability, stream, clock.data(), values.data(),
                        y.mutable_data());
    return y;
  }
};

/// Inside a TrainingScope: each element is 0 with the given probability, else x / (1 - probability); outside: x.
/// `site` tells apart the places in a model. Srivastava et al. 2014, section 4.  PyTorch: dropout(x, probability).
/// Throws ArgumentError for a probability outside [0, 1].
template <Real T, class D>
Tensor<T, D> dropout(const Tensor<T, D>& x, double probability, std::uint32_t site) {
  detail::require<ArgumentError>(probability >= 0 && probability <= 1, "dropout: probability ", probability,
                                 " is outside [0, 1]");
  const auto* scope = TrainingScope<D>::current();
  if (!scope || probability == 0) return x;
  return apply(DropoutOp<T, D>{probability, scope->stream(site), scope->clock()}, x);
}

}  // namespace plinth
