// SPDX-License-Identifier: MIT
// What a backend must offer: kernels<D>, and the concepts that name a missing or ill-fitting member.
//
// A: accumulator_t<T>. All data is dense and row-major unless strides are given; x is read, y is written; pointers of
// one call do not overlap unless the comment says so. A list (DenseArray, TrainedParameter) lies in the program's memory
// and may be freed when the call returns; what its items point to lies in the device's. Rules for implementers:
// kernels/README.md.
#pragma once

#include <concepts>
#include <cstdint>

#include <plinth/kernels/arguments.hpp>
#include <plinth/tensor/element.hpp>
#include <plinth/tensor/queue.hpp>
#include <plinth/tensor/random.hpp>
#include <plinth/tensor/shape.hpp>

namespace plinth {

/// The kernels of device D: static member templates, specialised by each backend.
template <class D>
struct kernels;

/// The primitives a backend has, each a concept over its kernels K, its device D and an element type T.
namespace contract {

/// How many elements, rows or columns.
using Count = std::int64_t;

/// A formula for the concepts below: pointwise formulas have forward and backward, binary ones forward(a, b).
struct AnyFormula {
  /// Of one element.
  template <class T>
  PLINTH_HD static T forward(T x) {
    return x;
  }
  /// Of two.
  template <class T>
  PLINTH_HD static T forward(T a, T) {
    return a;
  }
  /// dx.
  template <class T>
  PLINTH_HD static T backward(T, T dy) {
    return dy;
  }
};

/// y = value
template <class K, class D, class T>
concept Fill = requires(queue<D>& q, Count n, T value, T* y) { K::fill(q, n, value, y); };

/// y[i, j, ...] = x[i, j, ...], both strided
template <class K, class D, class T>
concept Copy = requires(queue<D>& q, const Shape& sizes, const Shape& x_strides, const T* x, const Shape& y_strides,
                        T* y) { K::copy(q, sizes, x_strides, x, y_strides, y); };

/// y = To(x), where x may also be int32
template <class K, class D, class T>
concept Cast = requires(queue<D>& q, Count n, const T* x, float* y) { K::cast(q, n, x, y); };

/// y += T(x), where x may be of another real type
template <class K, class D, class T>
concept Accumulate = requires(queue<D>& q, Count n, const T* x, T* y) { K::accumulate(q, n, x, y); };

/// x *= *factor
template <class K, class D, class T>
concept Scale = requires(queue<D>& q, Count n, const accumulator_t<T>* factor, T* x) { K::scale(q, n, factor, x); };

/// y = f.forward(x); y may be x
template <class K, class D, class T>
concept Pointwise = requires(queue<D>& q, Count n, AnyFormula f, const T* x, T* y) { K::pointwise(q, n, f, x, y); };

/// dx = f.backward(x, dy); dx may be dy
template <class K, class D, class T>
concept PointwiseBackward =
    requires(queue<D>& q, Count n, AnyFormula f, const T* x, const T* dy, T* dx) { K::pointwise_backward(q, n, f, x, dy, dx); };

/// y[i, j, ...] = f.forward(a[i, j, ...], b[i, j, ...]) with y dense; a stride of 0 broadcasts; y may be a dense a
template <class K, class D, class T>
concept Binary = requires(queue<D>& q, const Shape& sizes, AnyFormula f, const Shape& a_strides, const T* a,
                          const Shape& b_strides, const T* b, T* y) {
  K::binary(q, sizes, f, a_strides, a, b_strides, b, y);
};

/// y[o, i] = sum over n of x[o, n, i]
template <class K, class D, class T>
concept ReduceSum = requires(queue<D>& q, Count outer, Count n, Count inner, const T* x, T* y) {
  K::reduce_sum(q, outer, n, inner, x, y);
};

/// *sum += the sum of x^2 over all x of n arrays
template <class K, class D, class T>
concept SquaredNorm = requires(queue<D>& q, Count n, const DenseArray<T>* arrays, accumulator_t<T>* sum) {
  K::squared_norm(q, n, arrays, sum);
};

/// C = A B, or C += A B
template <class K, class D, class T>
concept Gemm = requires(queue<D>& q, const GemmShape& shape, const T* a, const T* b, T* c, bool accumulate) {
  K::gemm(q, shape, a, b, c, accumulate);
};

/// Over each row: y = exp(x - max) / sum, zeros where all of x is -inf;  dx = y (dy - sum(dy y))
template <class K, class D, class T>
concept Softmax = requires(queue<D>& q, Count rows, Count columns, const T* x, const T* dy, T* y) {
  K::softmax(q, rows, columns, x, y);
  K::softmax_backward(q, rows, columns, x, dy, y);
};

/// mask[b, i, j] = 0 where query i of batch row b sees key j, else -inf; rows as in VisibleKeys
template <class K, class D, class T>
concept AttentionMask = requires(queue<D>& q, const AttentionShape& shape, const std::int32_t* rows, T* mask) {
  K::attention_mask(q, shape, rows, mask);
};

/// y = (x - mean) inverse_deviation gain + bias over each row; bias and dbias may be null.
/// Backward overwrites dx, dgain and dbias.
template <class K, class D, class T>
concept LayerNorm = requires(queue<D>& q, Count rows, Count columns, double epsilon, const T* x, const T* gain,
                             const T* bias, T* y, accumulator_t<T>* mean, accumulator_t<T>* inverse_deviation,
                             const accumulator_t<T>* saved, const T* dy, T* dx, T* dgain, T* dbias) {
  K::layer_norm(q, rows, columns, epsilon, x, gain, bias, y, mean, inverse_deviation);
  K::layer_norm_backward(q, rows, columns, x, gain, saved, saved, dy, dx, dgain, dbias);
};

/// y = x inverse_rms gain over each row. Backward overwrites dx and dgain.
template <class K, class D, class T>
concept RmsNorm = requires(queue<D>& q, Count rows, Count columns, double epsilon, const T* x, const T* gain, T* y,
                           accumulator_t<T>* inverse_rms, const accumulator_t<T>* saved, const T* dy, T* dx, T* dgain) {
  K::rms_norm(q, rows, columns, epsilon, x, gain, y, inverse_rms);
  K::rms_norm_backward(q, rows, columns, x, gain, saved, dy, dx, dgain);
};

/// y[i] = table[ids[i]] for rows of a table (table_rows, columns);  dtable[ids[i]] += dy[i]
template <class K, class D, class T>
concept GatherRows = requires(queue<D>& q, Count n, Count table_rows, Count columns, const T* table,
                              const std::int32_t* ids, T* y) {
  K::gather_rows(q, n, table_rows, columns, table, ids, y);
  K::scatter_add_rows(q, n, table_rows, columns, ids, table, y);
};

/// y[b, h, rows[3 b] + t] = x[b, h, t], head_size values each, where rows (B, 3) are those of VisibleKeys. A place
/// outside the capacity throws ArgumentError on the CPU; on a GPU nothing is written there.
template <class K, class D, class T>
concept AppendRows = requires(queue<D>& q, const AppendShape& shape, const std::int32_t* rows, const T* x, T* y) {
  K::append_rows(q, shape, rows, x, y);
};

/// y[i] = x[i] / (1 - probability) where stream.word(i, *step) is at least probability 2^32, else 0. y may be x.
template <class K, class D, class T>
concept Dropout = requires(queue<D>& q, Count n, double probability, const RandomStream& stream,
                           const std::int32_t* step, const T* x, T* y) {
  K::dropout(q, n, probability, stream, step, x, y);
};

/// *loss = the mean over rows with target >= 0 of log_sum_exp(row) - sum_c share(c) row[c], 0 when there is none;
/// *rows_used is their number; share(c) = (1 - smoothing) onehot(target)[c] + smoothing / columns.
/// dlogits = *dloss / *rows_used (softmax(row) - share), 0 where the target is negative; dlogits may be logits.
template <class K, class D, class T>
concept CrossEntropy = requires(queue<D>& q, Count rows, Count columns, double smoothing, const T* logits,
                                const std::int32_t* targets, accumulator_t<T>* log_sum_exp, accumulator_t<T>* loss, accumulator_t<T>* rows_used,
                                const accumulator_t<T>* saved, T* dlogits) {
  K::cross_entropy(q, rows, columns, smoothing, logits, targets, log_sum_exp, loss, rows_used);
  K::cross_entropy_backward(q, rows, columns, smoothing, logits, targets, saved, saved, saved, dlogits);
};

/// Each pair (x1, x2) turns by the angle of its position: y1 = x1 cos - x2 sin, y2 = x1 sin + x2 cos.
/// positions (B, T); table (table_rows, rotated): the cosines of a position, then its sines.
template <class K, class D, class T>
concept Rotate = requires(queue<D>& q, const RotaryShape& shape, const T* x, const std::int32_t* positions,
                          const accumulator_t<T>* table, T* y) { K::rotate(q, shape, x, positions, table, y); };

/// One update of n parameters by g = step_values[2] gradient; nothing changes where step_values[1] is 0.
/// sgd, with step_values {learning rate, proceed, gradient factor} and velocity v = first:
///   g += decay w;  v = momentum v + g;  w -= rate (nesterov ? g + momentum v : v)
/// adam, with moments m = first and v = second and step_values {..., 1 - beta1^t, 1 - beta2^t} behind these:
///   decoupled: w -= rate decay w, else g += decay w;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
///   w -= rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
/// where decay and rate = rate_factor step_values[0] are those of the parameter's group. Where T is narrower than A, w
/// is master[i], and weight its rounded copy; where it is not, somebody else wrote the weight, which then is w.
template <class K, class D, class T>
concept Optimizer = requires(queue<D>& q, Count n, const SgdSettings& sgd, const AdamSettings& adam,
                             const accumulator_t<T>* step_values, const TrainedParameter<T>* parameters) {
  K::sgd(q, n, sgd, step_values, parameters);
  K::adam(q, n, adam, true, step_values, parameters);
};

}  // namespace contract

/// The primitives every backend has.
template <class K, class D, class T>
concept RequiredKernels =
    contract::Fill<K, D, T> && contract::Copy<K, D, T> && contract::Cast<K, D, T> && contract::Accumulate<K, D, T> &&
    contract::Scale<K, D, T> && contract::Pointwise<K, D, T> && contract::PointwiseBackward<K, D, T> &&
    contract::Binary<K, D, T> && contract::ReduceSum<K, D, T> && contract::SquaredNorm<K, D, T> &&
    contract::Gemm<K, D, T> && contract::Softmax<K, D, T> && contract::AttentionMask<K, D, T> &&
    contract::LayerNorm<K, D, T> &&
    contract::RmsNorm<K, D, T> && contract::GatherRows<K, D, T> && contract::AppendRows<K, D, T> && contract::Dropout<K, D, T> &&
    contract::CrossEntropy<K, D, T> && contract::Rotate<K, D, T> && contract::Optimizer<K, D, T>;

/// Optional: C = f(A B + bias), pre_activation (may be null) = A B + bias; bias (N) may be null.
template <class K, class D, class T>
concept FusedGemm = requires(queue<D>& q, const GemmShape& shape, contract::AnyFormula f, const T* a, const T* b,
                             const T* bias, T* c, T* pre_activation) {
  K::gemm_bias_activation(q, shape, f, a, b, bias, c, pre_activation);
};

/// Optional: what the gradients of a linear layer take from their products on the way. C = f.backward(z, A B), with z as
/// C;  dW (outputs, inputs) = dz^T x and db = the sums of dz over its rows.
template <class K, class D, class T>
concept FusedLinearBackward = requires(queue<D>& q, const GemmShape& shape, contract::AnyFormula f, contract::Count n,
                                       const T* a, const T* b, const T* z, T* c, T* db) {
  K::gemm_activation_backward(q, shape, f, a, b, z, c);
  K::linear_weight_backward(q, n, n, n, z, a, c, db);
};

/// Optional, with FusedGemm: B laid out once for products with many A. pack_b writes packed_bytes<T>(N, K) bytes, which
/// gemm_bias_activation takes beside the B that they were made from.
template <class K, class D, class T>
concept PackedGemm =
    FusedGemm<K, D, T> && requires(queue<D>& q, const GemmShape& shape, contract::AnyFormula f, const T* a, const T* b,
                                   const T* bias, T* c, T* pre_activation, void* packed) {
      { K::template packed_bytes<T>(shape.N, shape.K) } -> std::same_as<contract::Count>;
      K::pack_b(q, shape, b, packed);
      K::gemm_bias_activation(q, shape, f, a, b, bias, c, pre_activation, packed);
    };

/// Optional: attention without the (queries, keys) matrix in memory. rows as in VisibleKeys; log2_sum (B, H, queries),
/// the logarithm to base 2 of each query's sum of exp(score), may be null.
template <class K, class D, class T>
concept FusedAttention = requires(queue<D>& q, const AttentionShape& shape, const std::int32_t* rows, const T* query,
                                  const T* key, const T* value, T* output, accumulator_t<T>* log2_sum,
                                  const accumulator_t<T>* saved, const T* doutput, T* dquery, T* dkey, T* dvalue) {
  K::attention(q, shape, rows, query, key, value, output, log2_sum);
  K::attention_backward(q, shape, rows, query, key, value, output, saved, doutput, dquery, dkey, dvalue);
};

/// Optional, where there is no FusedAttention: the same attention without its backward, of shapes that decodes() names,
/// those of few queries.
template <class K, class D, class T>
concept DecodeAttention = requires(queue<D>& q, const AttentionShape& shape, const std::int32_t* rows, const T* query,
                                   const T* key, const T* value, T* output, accumulator_t<T>* log2_sum) {
  { K::decodes(shape) } -> std::same_as<bool>;
  K::attention(q, shape, rows, query, key, value, output, log2_sum);
};

/// Optional: tokens[r] = what sample() of generate/ draws from row r of logits (rows, columns) by uniform number
/// drawn[r] of the stream, without a repetition penalty, up to the rounding of probabilities; -1 where the largest logit
/// is not finite. drawn[r] is raised by one.
template <class K, class D, class T>
concept SampleRows = requires(queue<D>& q, contract::Count rows, contract::Count columns,
                              const SamplingOptions& options, const RandomStream& stream, const T* logits,
                              std::int32_t* drawn, std::int32_t* tokens) {
  K::sample(q, rows, columns, options, stream, logits, drawn, tokens);
};

}  // namespace plinth
