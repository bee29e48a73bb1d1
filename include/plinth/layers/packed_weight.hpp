// SPDX-License-Identifier: MIT
// The weight of a linear layer laid out once for many products, where the backend has such a layout.
#pragma once

#include <cstdint>
#include <utility>

#include <plinth/autograd/apply.hpp>
#include <plinth/autograd/module.hpp>
#include <plinth/kernels/contract.hpp>
#include <plinth/tensor/shared.hpp>

namespace plinth {

namespace detail {

/// The product x W^T of x (rows, in), dense, with a weight W (out, in).
template <class T, class D>
GemmShape linear_product(std::int64_t rows, const Tensor<T, D>& weight) {
  const std::int64_t inputs = weight.size(1), outputs = weight.size(0);
  return {1, rows, outputs, inputs, {inputs, 1, 0}, {weight.strides()[1], weight.strides()[0], 0}, {outputs, 1, 0}};
}

}  // namespace detail

/// Nothing, or a copy of a weight in the layout of the backend's matrix product.
template <class T, class D>
class PackedWeight {
 public:
  PackedWeight() = default;
  /// Of weight (out, in). Nothing where the backend has no layout of its own. Throws ShapeError, MemoryError.
  explicit PackedWeight(const Tensor<T, D>& weight) {
    if constexpr (PackedGemm<kernels<D>, D, T>) {
      const std::int64_t bytes = kernels<D>::template packed_bytes<T>(weight.size(0), weight.size(1));
      Tensor<T, D> panels({(bytes + std::int64_t{sizeof(T)} - 1) / std::int64_t{sizeof(T)}});
      kernels<D>::pack_b(queue<D>::current(), detail::linear_product(1, weight), weight.data(), panels.mutable_data());
      copy_ = detail::Shared<Copy>(new Copy(panels, weight));
    }
  }

  /// The copy, or null where there is none of this weight as it is now.
  const void* of(const Tensor<T, D>& weight) const { return copy_ ? copy_->of(weight) : nullptr; }

 private:
  /// The copy, and what it was made from.
  struct Copy : detail::Counted {
    Tensor<T, D> panels, source;
    std::uint64_t version;

    Copy(const Tensor<T, D>& panels_, const Tensor<T, D>& weight)
        : panels(panels_), source(detach(weight)), version(weight.version()) {}

    [[gnu::noinline]] const void* of(const Tensor<T, D>& weight) const {
      const bool current = source.data() == weight.data() && source.strides() == weight.strides() &&
                           source.shape() == weight.shape() && version == weight.version();
      return current ? panels.data() : nullptr;
    }
  };

  detail::Shared<Copy> copy_;
};

/// Lays the weights of a model's linear layers out for products once and for all, beside the weights themselves: a
/// prompt, or a token of each of several sequences, is then read faster, by the same bits. A language model's head, of
/// which generation computes one row, is left as it is. A weight that mutable_data() opens later, of any tensor that
/// shares its storage, is used as if it had not been packed. Costs the memory of the weights once more, in float for
/// half, and for bfloat16 where the processor does not multiply it. Throws MemoryError; what was packed by then stays
/// so.
template <ModelPart M>
void pack_weights(M& model) {
  walk("", model, [](const std::string&, auto& part) {
    if constexpr (requires { part.pack_weight(); }) part.pack_weight();
  });
}

}  // namespace plinth
