// SPDX-License-Identifier: MIT
// The linear layer, with an activation fused into it where the backend can.
#pragma once

#include <cstdint>
#include <tuple>

#include <plinth/layers/packed_weight.hpp>
#include <plinth/ops/matmul.hpp>
#include <plinth/ops/arithmetic.hpp>

namespace plinth {

namespace detail {

/// The number of rows, also of rows without elements.
inline std::int64_t leading_count(const Shape& shape) {
  Shape leading = shape;
  leading[-1] = 1;
  return element_count(leading);
}

/// Throws ShapeError unless x W^T + b has a meaning.
template <class T, class D>
void require_linear(const Shape& x, const Tensor<T, D>& weight, const Tensor<T, D>& bias) {
  require<ShapeError>(weight.rank() == 2 && x.rank() >= 1 && x[-1] == weight.size(1) &&
                          (!bias.defined() || bias.shape() == Shape({weight.size(0)})),
                      "linear: x ", x, ", weight ", weight.shape(), " and bias ", bias.shape(), " do not fit");
}

/// What the gradients of z = x W^T + b need, whatever follows z.
template <class T, class D>
struct AffineMap {
  Saved<T, D> x, weight;
  bool has_bias = false;

  /// The product dz W of so many rows.
  GemmShape input_product(const char* name, std::int64_t rows) const {
    const auto& w = weight.get(name);
    const std::int64_t outputs = w.size(0), inputs = w.size(1);
    return {1, rows, inputs, outputs, {outputs, 1, 0}, {w.strides()[0], w.strides()[1], 0}, {inputs, 1, 0}};
  }

  /// dx = dz W, dW = dz^T x, db = the sum of dz over rows.
  std::tuple<Tensor<T, D>, Tensor<T, D>, Tensor<T, D>> gradients(const char* name, const Tensor<T, D>& dz,
                                                                 Needed<3> needed) const {
    auto& q = queue<D>::current();
    const auto &input = x.get(name), &w = weight.get(name);
    const std::int64_t inputs = w.size(1), outputs = w.size(0), rows = leading_count(dz.shape());
    Tensor<T, D> dx, dw, db;
    if (needed[0]) {
      dx = Tensor<T, D>(input.shape());
      kernels<D>::gemm(q, input_product(name, rows), dz.data(), w.data(), dx.mutable_data(), false);
    }
    const bool sums = needed[2] && has_bias;
    if (needed[1]) dw = Tensor<T, D>(w.shape());
    if (sums) db = Tensor<T, D>({outputs});
    if constexpr (FusedLinearBackward<kernels<D>, D, T>)
      if (needed[1] && sums) {
        kernels<D>::linear_weight_backward(q, rows, outputs, inputs, dz.data(), input.data(), dw.mutable_data(),
                                           db.mutable_data());
        return {dx, dw, db};
      }
    if (needed[1])
      kernels<D>::gemm(q, {1, outputs, inputs, rows, {1, outputs, 0}, {inputs, 1, 0}, {inputs, 1, 0}}, dz.data(),
                       input.data(), dw.mutable_data(), false);
    if (sums) kernels<D>::reduce_sum(q, 1, rows, outputs, dz.data(), db.mutable_data());
    return {dx, dw, db};
  }
};

}  // namespace detail

/// y = F(z) with z = x W^T + b, and dz = F.backward(z, dy).
template <class F, class T, class D>
struct LinearOp {
  static constexpr const char* name = "linear";
  static constexpr int required_inputs = 2;  ///< the bias may be undefined
  F formula;                                 ///< of the activation; Identity: none
  detail::AffineMap<T, D> map;               ///< x, W and whether there is a b
  Saved<T, D> z;                             ///< (..., out), kept where the activation needs it
  const void* packed = nullptr;              ///< W as the backend packed it, or null; forward's alone

  /// input (..., in), w (out, in), bias (out) or undefined -> (..., out)
  Tensor<T, D> forward(const Tensor<T, D>& input, const Tensor<T, D>& w, const Tensor<T, D>& bias) {
    const auto values = detail::dense(input);
    Shape shape = input.shape();
    shape[-1] = w.size(0);
    Tensor<T, D> y(shape);
    const bool recorded = needs_gradient(input) || needs_gradient(w) || needs_gradient(bias);
    Tensor<T, D> pre_activation;
    if (recorded && !std::same_as<F, Identity>) pre_activation = Tensor<T, D>(shape);
    run(values, w, bias.defined() ? detail::dense(bias) : bias, y, pre_activation);
    packed = nullptr;
    if (recorded) map = {values, w, bias.defined()};
    if (pre_activation.defined()) z = pre_activation;
    return y;
  }

  /// {dx, dW, db}: dx = dz W, dW = dz^T x, db = the sum of dz over rows; those that are needed
  std::tuple<Tensor<T, D>, Tensor<T, D>, Tensor<T, D>> backward(const Tensor<T, D>& dy, Needed<3> needed) const {
    const Tensor<T, D> given = detail::dense(dy);
    if constexpr (std::same_as<F, Identity>) {
      return map.gradients(name, given, needed);
    } else {
      Tensor<T, D> dz(dy.shape());
      kernels<D>::pointwise_backward(queue<D>::current(), dz.count(), formula, z.get(name).data(), given.data(),
                                     dz.mutable_data());
      return map.gradients(name, dz, needed);
    }
  }

 private:
  void run(const Tensor<T, D>& values, const Tensor<T, D>& w, const Tensor<T, D>& bias, Tensor<T, D>& y,
           Tensor<T, D>& pre_activation) const {
    auto& q = queue<D>::current();
    const std::int64_t outputs = w.size(0), rows = detail::leading_count(y.shape());
    const GemmShape shape = detail::linear_product(rows, w);
    if constexpr (PackedGemm<kernels<D>, D, T>) {
      kernels<D>::gemm_bias_activation(q, shape, formula, values.data(), w.data(), bias.data(), y.mutable_data(),
                                       pre_activation.mutable_data(), packed);
    } else if constexpr (FusedGemm<kernels<D>, D, T>) {
      kernels<D>::gemm_bias_activation(q, shape, formula, values.data(), w.data(), bias.data(), y.mutable_data(),
                                       pre_activation.mutable_data());
    } else {
      kernels<D>::gemm(q, shape, values.data(), w.data(), y.mutable_data(), false);
      if (bias.defined()) {
        const Shape sizes{rows, outputs};
        kernels<D>::binary(q, sizes, detail::Plus{}, contiguous_strides(sizes), y.data(), {0, 1}, bias.data(),
                           y.mutable_data());
      }
      if (pre_activation.defined())
        kernels<D>::copy(q, {y.count()}, {1}, y.data(), {1}, pre_activation.mutable_data());
      if constexpr (!std::same_as<F, Identity>)
        kernels<D>::pointwise(q, y.count(), formula, y.data(), y.mutable_data());
    }
  }
};

/// y (..., out) = activation(x (..., in) weight^T + bias); weight (out, in), bias (out) or undefined.
/// packed: what was packed of the weight, if anything.  PyTorch: activation(linear(x, weight, bias)). Throws ShapeError.
template <class F = Identity, Real T, class D>
Tensor<T, D> linear(const Tensor<T, D>& x, const Tensor<T, D>& weight, const Tensor<T, D>& bias = {},
                    F activation = {}, const PackedWeight<T, D>& packed = {}) {
  detail::require_linear(x.shape(), weight, bias);
  return apply(LinearOp<F, T, D>{activation, {}, {}, packed.of(weight)}, x, weight, bias);
}

/// A linear layer. Its weights are zero until they are drawn (initialise), loaded or set.  PyTorch: nn.Linear.
template <class T, class D = Cpu>
struct Linear {
  Tensor<T, D> weight;        ///< (out, in)
  Tensor<T, D> bias;          ///< (out), or undefined
  PackedWeight<T, D> packed;  ///< of the weight, from pack_weight() on; {}: nothing

  Linear() = default;
  /// From so many inputs to so many outputs, all weights zero. Throws ShapeError for a negative number.
  Linear(std::int64_t inputs, std::int64_t outputs, bool with_bias = true) : weight(zeros<T, D>({outputs, inputs})) {
    require_gradient(weight);
    if (!with_bias) return;
    bias = zeros<T, D>({outputs});
    require_gradient(bias);
  }

  /// x (..., in) -> activation(x weight^T + bias) (..., out). Throws ShapeError.
  template <class F = Identity>
  Tensor<T, D> operator()(const Tensor<T, D>& x, F activation = {}) const {
    return linear(x, weight, bias, activation, packed);
  }
  /// Packs the weight, as pack_weights does for all layers of a model. Throws MemoryError; then nothing is packed.
  void pack_weight() {
    packed = {};
    if (weight.defined()) packed = PackedWeight<T, D>(weight);
  }
  static void visit(auto& self, auto&& f) {
    f("weight", self.weight);
    f("bias", self.bias);
  }
};

}  // namespace plinth
