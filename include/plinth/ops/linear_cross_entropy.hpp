// SPDX-License-Identifier: MIT
// The last layer of a language model and its loss in one operation, so that the logits of all tokens, mostly the
// largest tensor of a training step, never exist at once.
// C channels, V vocabulary.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <tuple>
#include <utility>

#include <plinth/ops/arithmetic.hpp>
#include <plinth/ops/cast.hpp>
#include <plinth/ops/cross_entropy.hpp>

namespace plinth {

namespace detail {

/// 1 for a target that counts, 0 for one that is ignored.
struct IsTarget {
  template <class T>
  PLINTH_HD static T forward(T id) {
    return id < T(0) ? T(0) : T(1);
  }
};

/// sum / count, 0 of none.
struct MeanOf {
  template <class T>
  PLINTH_HD static T forward(T sum, T count) {
    return count > T(0) ? sum / count : T(0);
  }
};

/// How many targets are not negative, on the device; in float exact up to 2^24 of them.
template <class A, class D>
Tensor<A, D> targets_used(const Tensor<std::int32_t, D>& targets) {
  auto& q = queue<D>::current();
  Tensor<A, D> used(targets.shape()), count{Shape()};
  kernels<D>::cast(q, used.count(), targets.data(), used.mutable_data());
  kernels<D>::pointwise(q, used.count(), IsTarget{}, used.data(), used.mutable_data());
  kernels<D>::reduce_sum(q, 1, used.count(), 1, used.data(), count.mutable_data());
  return count;
}

}  // namespace detail

/// With z = x W^T and dz the gradient of the cross-entropy: dx = dz W, dW = dz^T x. Both are gathered in the forward
/// pass, chunk by chunk of the rows, while a chunk's logits are there; what is left for the backward pass is a factor.
template <class T, class D>
struct LinearCrossEntropyOp {
  /// What losses are summed in.
  using A = accumulator_t<T>;
  static constexpr const char* name = "linear_cross_entropy";
  /// Whether the gradients of a mean over many rows are too small for T, so that the division is left to the end.
  static constexpr bool divides_last = std::same_as<T, half>;
  double smoothing = 0;             ///< label smoothing, in [0, 1]
  std::int64_t rows_at_once = 512;  ///< whose logits exist together
  Tensor<T, D> dx;                  ///< (..., C), of a loss with gradient 1; where it is needed
  Tensor<A, D> dweight,             ///< (V, C), likewise; in A, for it is summed over chunks
      used;                         ///< (), targets that count

  /// x (..., C), w (V, C), wanted (...) -> the loss ()
  Tensor<A, D> forward(const Tensor<T, D>& x, const Tensor<T, D>& w, const Tensor<std::int32_t, D>& wanted) {
    auto& q = queue<D>::current();
    const auto values = detail::dense(x), weight = detail::dense(w);
    const auto ids = detail::dense(wanted);
    const std::int64_t rows = ids.count(), V = w.size(0), C = w.size(1), most = std::min(rows_at_once, rows);
    if (needs_gradient(x)) dx = Tensor<T, D>(x.shape());
    if (needs_gradient(w)) dweight = rows > 0 ? Tensor<A, D>(w.shape()) : zeros<A, D>(w.shape());

    used = detail::targets_used<A>(ids);
    const Tensor<A, D> one = full<A, D>(Shape(), A(1)), divisor = divides_last ? one : used;
    Tensor<A, D> loss = zeros<A, D>(Shape()), part{Shape()}, part_used{Shape()}, log_sum_exp({most});
    Tensor<T, D> logits({most, V});  // and then their gradient
    for (std::int64_t first = 0; first < rows; first += most) {
      const std::int64_t n = std::min(most, rows - first);
      const T* const h = values.data() + first * C;
      const std::int32_t* const targets = ids.data() + first;
      kernels<D>::gemm(q, {1, n, V, C, {C, 1, 0}, {1, C, 0}, {V, 1, 0}}, h, weight.data(), logits.mutable_data(),
                       false);
      kernels<D>::cross_entropy(q, n, V, smoothing, logits.data(), targets, log_sum_exp.mutable_data(),
                                part.mutable_data(), part_used.mutable_data());
      kernels<D>::binary(q, Shape(), detail::Times{}, Shape(), part.data(), Shape(), part_used.data(),
                         part.mutable_data());
      kernels<D>::accumulate(q, 1, part.data(), loss.mutable_data());
      if (!dx.defined() && !dweight.defined()) continue;
      kernels<D>::cross_entropy_backward(q, n, V, smoothing, logits.data(), targets, log_sum_exp.data(), divisor.data(),
                                         one.data(), logits.mutable_data());
      if (dx.defined())
        kernels<D>::gemm(q, {1, n, C, V, {V, 1, 0}, {C, 1, 0}, {C, 1, 0}}, logits.data(), weight.data(),
                         dx.mutable_data() + first * C, false);
      if (dweight.defined()) add_product({1, V, C, n, {1, V, 0}, {C, 1, 0}, {C, 1, 0}}, logits.data(), h, first > 0);
    }
    kernels<D>::binary(q, Shape(), detail::MeanOf{}, Shape(), loss.data(), Shape(), used.data(), loss.mutable_data());
    return loss;
  }

  /// {dx, dW, nothing}
  std::tuple<Tensor<T, D>, Tensor<T, D>, Tensor<std::int32_t, D>> backward(const Tensor<A, D>& dloss) const {
    auto& q = queue<D>::current();
    Tensor<A, D> factor = dloss;
    if (divides_last) {
      factor = Tensor<A, D>(Shape());
      kernels<D>::binary(q, Shape(), detail::MeanOf{}, Shape(), dloss.data(), Shape(), used.data(),
                         factor.mutable_data());
    }
    auto of_x = dx;
    auto of_weight = dweight;
    if (of_x.defined()) kernels<D>::scale(q, of_x.count(), factor.data(), of_x.mutable_data());
    if (!of_weight.defined()) return {of_x, {}, {}};
    kernels<D>::scale(q, of_weight.count(), factor.data(), of_weight.mutable_data());
    return {of_x, detail::converted<T>(of_weight), {}};
  }

 private:
  /// dweight = a b, or with `accumulate` dweight += a b, of operands in T.
  void add_product(const GemmShape& shape, const T* a, const T* b, bool accumulate) {
    auto& q = queue<D>::current();
    if constexpr (std::same_as<T, A>) {
      kernels<D>::gemm(q, shape, a, b, dweight.mutable_data(), accumulate);
    } else {
      Tensor<T, D> product(dweight.shape());
      kernels<D>::gemm(q, shape, a, b, product.mutable_data(), false);
      if (accumulate)
        kernels<D>::accumulate(q, product.count(), product.data(), dweight.mutable_data());
      else
        kernels<D>::cast(q, product.count(), product.data(), dweight.mutable_data());
    }
  }
};

/// cross_entropy(linear(x, weight), targets, label_smoothing) without the logits of all tokens at once: x (..., C),
/// weight (V, C), targets (...). The forward pass does the work of the backward pass, too.
/// PyTorch: cross_entropy(linear(x, weight), targets).
/// Throws ShapeError, and ArgumentError for a target >= V or a label_smoothing outside [0, 1].
template <Real T, class D>
Tensor<accumulator_t<T>, D> linear_cross_entropy(const Tensor<T, D>& x, const Tensor<T, D>& weight,
                                                 const Tensor<std::int32_t, D>& targets, double label_smoothing = 0) {
  detail::require<ShapeError>(weight.rank() == 2 && x.rank() >= 1 && x.size(-1) == weight.size(1),
                              "linear_cross_entropy: x ", x.shape(), " and weight ", weight.shape(), " do not fit");
  Shape logits = x.shape();
  logits[-1] = weight.size(0);
  detail::require_rows("linear_cross_entropy", logits, targets.shape());
  detail::require_label_smoothing("linear_cross_entropy", label_smoothing);
  LinearCrossEntropyOp<T, D> op;
  op.smoothing = label_smoothing;
  return apply(std::move(op), x, weight, targets);
}

}  // namespace plinth
