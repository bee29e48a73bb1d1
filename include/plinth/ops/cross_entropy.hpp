// SPDX-License-Identifier: MIT
// The loss of language models: mean negative log-likelihood of the target tokens.
#pragma once

#include <cstdint>
#include <tuple>

#include <plinth/ops/softmax.hpp>

namespace plinth {

/// dlogits = dloss / rows_used (softmax(logits) - share), 0 where the target is negative; share is what cross_entropy
/// takes of each class: (1 - smoothing) onehot(target) + smoothing / V
template <class T, class D>
struct CrossEntropyOp {
  /// What losses are summed in.
  using A = accumulator_t<T>;
  static constexpr const char* name = "cross_entropy";
  double smoothing = 0;            ///< label smoothing, in [0, 1]
  Saved<T, D> logits;              ///< (..., V)
  Saved<std::int32_t, D> targets;  ///< (...)
  Tensor<A, D> log_sum_exp,        ///< (...), of each row of logits
      rows_used;                   ///< (), targets that count

  /// x (..., V), wanted (...) -> the loss ()
  Tensor<A, D> forward(const Tensor<T, D>& x, const Tensor<std::int32_t, D>& wanted) {
    const auto values = detail::dense(x);
    const auto ids = detail::dense(wanted);
    log_sum_exp = Tensor<A, D>(wanted.shape());
    rows_used = Tensor<A, D>(Shape());
    Tensor<A, D> loss{Shape()};
    kernels<D>::cross_entropy(queue<D>::current(), wanted.count(), x.size(-1), smoothing, values.data(), ids.data(),
                              log_sum_exp.mutable_data(), loss.mutable_data(), rows_used.mutable_data());
    logits = values;
    targets = ids;
    return loss;
  }
  /// {dlogits, nothing}
  std::tuple<Tensor<T, D>, Tensor<std::int32_t, D>> backward(const Tensor<A, D>& dloss) const {
    const auto& x = logits.get(name);
    Tensor<T, D> dx(x.shape());
    kernels<D>::cross_entropy_backward(queue<D>::current(), log_sum_exp.count(), x.size(-1), smoothing,
                                       x.data(), targets.get(name).data(), log_sum_exp.data(), rows_used.data(),
                                       dloss.data(), dx.mutable_data());
    return {dx, {}};
  }
};

namespace detail {

/// Throws ShapeError unless logits (..., V) have a row for each of the targets (...).
inline void require_rows(const char* name, const Shape& logits, const Shape& targets) {
  bool fits = logits.rank() == targets.rank() + 1;
  for (int i = 0; fits && i < targets.rank(); ++i) fits = logits[i] == targets[i];
  require<ShapeError>(fits, name, ": logits ", logits, " and targets ", targets, " do not fit");
}

/// Throws ArgumentError unless it is a share.
inline void require_label_smoothing(const char* name, double label_smoothing) {
  require<ArgumentError>(label_smoothing >= 0 && label_smoothing <= 1, name, ": label_smoothing ", label_smoothing,
                         " is outside [0, 1]");
}

}  // namespace detail

/// The mean over all positions with target >= 0 of -log softmax(logits)[target], in nats, in float or wider; 0 when
/// every target is negative. logits (..., V), targets (...). Label smoothing e takes, in place of the target alone, the
/// target with weight 1 - e and every class with weight e / V.  Szegedy et al. 2016, section 7.
/// PyTorch: cross_entropy with ignore_index and label_smoothing.
/// Throws ShapeError, and ArgumentError for a target >= V or a label_smoothing outside [0, 1].
template <Real T, class D>
Tensor<accumulator_t<T>, D> cross_entropy(const Tensor<T, D>& logits, const Tensor<std::int32_t, D>& targets,
                                            double label_smoothing = 0) {
  detail::require_rows("cross_entropy", logits.shape(), targets.shape());
  detail::require_label_smoothing("cross_entropy", label_smoothing);
  return apply(CrossEntropyOp<T, D>{label_smoothing, {}, {}, {}, {}}, logits, targets);
}

}  // namespace plinth
