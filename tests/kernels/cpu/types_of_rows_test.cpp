// SPDX-License-Identifier: MIT
// The primitives of the CPU that work on rows, in every element type, against plain loops on random sizes.
#include <plinth/kernels/cpu.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/against_plain.hpp"

using namespace plinth;
using against_plain::agree;
using against_plain::joined;
using against_plain::nothing;
using against_plain::rows_and_columns;

namespace {

using Count = std::int64_t;

template <class D, class T>
std::vector<T> layer_norm(Count rows, Count columns, const std::vector<T>& x, const std::vector<T>& dy) {
  const auto gain = numbers::normal<T>(columns, 3, 0.2, 1), bias = numbers::normal<T>(columns, 4);
  auto mean = nothing<accumulator_t<T>>(rows), inverse = mean;
  auto y = nothing<T>(rows * columns), dx = y, dgain = nothing<T>(columns), dbias = dgain;
  auto& q = queue<D>::current();
  kernels<D>::layer_norm(q, rows, columns, 1e-5, x.data(), gain.data(), bias.data(), y.data(), mean.data(), inverse.data());
  kernels<D>::layer_norm_backward(q, rows, columns, x.data(), gain.data(), mean.data(), inverse.data(), dy.data(), dx.data(),
                                  dgain.data(), dbias.data());
  return joined(joined(y, dx), joined(dgain, dbias));
}

template <class D, class T>
std::vector<T> rms_norm(Count rows, Count columns, const std::vector<T>& x, const std::vector<T>& dy) {
  const auto gain = numbers::normal<T>(columns, 3, 0.2, 1);
  auto inverse = nothing<accumulator_t<T>>(rows);
  auto y = nothing<T>(rows * columns), dx = y, dgain = nothing<T>(columns);
  auto& q = queue<D>::current();
  kernels<D>::rms_norm(q, rows, columns, 1e-5, x.data(), gain.data(), y.data(), inverse.data());
  kernels<D>::rms_norm_backward(q, rows, columns, x.data(), gain.data(), inverse.data(), dy.data(), dx.data(), dgain.data());
  return joined(joined(y, dx), dgain);
}

/// The gradient in logits; loss and log-sum-exp rounded to T, in front.
template <class D, class T>
std::vector<T> cross_entropy(Count rows, Count columns, const std::vector<T>& logits) {
  using A = accumulator_t<T>;
  auto targets = numbers::below(static_cast<std::int32_t>(columns), rows, 5);
  for (std::size_t i = 0; i < targets.size(); i += 3) targets[i] = -1;
  auto log_sum_exp = nothing<A>(rows);
  std::vector<A> results(2);
  auto dlogits = nothing<T>(rows * columns);
  const A dloss = static_cast<A>(rows);  // keeps the gradients in half's range
  const double smoothing = 0.1;
  auto& q = queue<D>::current();
  kernels<D>::cross_entropy(q, rows, columns, smoothing, logits.data(), targets.data(), log_sum_exp.data(), results.data(), results.data() + 1);
  kernels<D>::cross_entropy_backward(q, rows, columns, smoothing, logits.data(), targets.data(), log_sum_exp.data(), results.data() + 1,
                                     &dloss, dlogits.data());
  auto all = nothing<T>(rows + 2);
  all[0] = static_cast<T>(results[0]);
  all[1] = static_cast<T>(results[1]);
  for (std::size_t i = 0; i < log_sum_exp.size(); ++i) all[i + 2] = static_cast<T>(log_sum_exp[i]);
  return joined(all, dlogits);
}

/// x turned by positions below table_rows.
template <class D, class T>
std::vector<T> rotate(const RotaryShape& shape, const std::vector<T>& x) {
  using A = accumulator_t<T>;
  std::vector<A> table;
  for (Count i = 0; i < shape.table_rows * shape.rotated; ++i) {
    const double angle = static_cast<double>(i / shape.rotated) / static_cast<double>(1 + i % (shape.rotated / 2));
    table.push_back(static_cast<A>(i % shape.rotated < shape.rotated / 2 ? std::cos(angle) : std::sin(angle)));
  }
  const auto positions = numbers::below(static_cast<std::int32_t>(shape.table_rows), shape.batch * shape.time, 6);
  auto y = nothing<T>(static_cast<Count>(x.size()));
  kernels<D>::rotate(queue<D>::current(), shape, x.data(), positions.data(), table.data(), y.data());
  return y;
}

}  // namespace

TEMPLATE_TEST_CASE("sums, softmax and losses in every type", "", float, double, bfloat16, half) {
  using T = TestType;
  for (const auto& [r, c] : rows_and_columns()) {
    const Count rows = r, columns = c, n = rows * columns;
    const auto x = numbers::normal<T>(n, 1, 2, 0.3), dy = numbers::normal<T>(n, 2);
    const auto run = [&](const char* kernel, const auto& f) { agree<T>(kernel, rows, columns, f); };
    run("reduce_sum", [&]<class D>(D) {
      auto along = nothing<T>(rows), across = nothing<T>(columns);
      kernels<D>::reduce_sum(queue<D>::current(), rows, columns, 1, x.data(), along.data());
      kernels<D>::reduce_sum(queue<D>::current(), 1, rows, columns, x.data(), across.data());
      return joined(along, across);
    });
    run("softmax", [&]<class D>(D) {
      auto y = nothing<T>(n), dx = y;
      kernels<D>::softmax(queue<D>::current(), rows, columns, x.data(), y.data());
      kernels<D>::softmax_backward(queue<D>::current(), rows, columns, x.data(), dy.data(), dx.data());  // any x will do
      return joined(y, dx);
    });
    run("cross_entropy", [&]<class D>(D) { return cross_entropy<D>(rows, columns, x); });
  }
}

TEMPLATE_TEST_CASE("norms in every type", "", float, double, bfloat16, half) {
  using T = TestType;
  for (const auto& [r, c] : rows_and_columns()) {
    const Count rows = r, columns = c;
    const auto x = numbers::normal<T>(rows * columns, 1, 2, 0.3), dy = numbers::normal<T>(rows * columns, 2);
    if (columns > 1) agree<T>("layer_norm", rows, columns, [&]<class D>(D) { return layer_norm<D>(rows, columns, x, dy); });
    agree<T>("rms_norm", rows, columns, [&]<class D>(D) { return rms_norm<D>(rows, columns, x, dy); });
  }
}

TEMPLATE_TEST_CASE("table rows and rotations in every type", "", float, double, bfloat16, half) {
  using T = TestType;
  for (const auto& [r, c] : rows_and_columns()) {
    const Count rows = r, columns = c;
    const auto ids = numbers::below(11, rows, 5);
    const auto table = numbers::normal<T>(11 * columns, 1), dy = numbers::normal<T>(rows * columns, 2);
    agree<T>("gather_rows, scatter_add_rows", rows, columns, [&]<class D>(D) {
      auto y = nothing<T>(rows * columns), sum = table;
      kernels<D>::gather_rows(queue<D>::current(), rows, 11, columns, table.data(), ids.data(), y.data());
      kernels<D>::scatter_add_rows(queue<D>::current(), rows, 11, columns, ids.data(), dy.data(), sum.data());
      return joined(y, sum);
    });
    for (const bool interleaved : {false, true}) {
      const Count heads = 3, head_size = 2 + columns % 60, row = heads * head_size;
      const Count rotated = std::max<Count>(2, head_size / 4 * 2);  // the half that turns
      const HeadLayout layout{rows * row, head_size, row};
      const RotaryShape shape{.batch = 2, .heads = heads, .time = rows, .head_size = head_size, .rotated = rotated,
                              .table_rows = 40, .x = layout, .y = layout, .interleaved = interleaved, .inverse = interleaved};
      const auto x = numbers::normal<T>(2 * rows * row, 3);
      agree<T>("rotate", rows, head_size, [&]<class D>(D) { return rotate<D>(shape, x); });
    }
  }
}
