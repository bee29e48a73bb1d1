// SPDX-License-Identifier: MIT
// The CPU's kernels on rows on thousands of random problems, against plain loops in double.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/random_operands.hpp"

using namespace plinth;
using namespace random_operands;

namespace {

/// Multiplies the values and returns the largest difference between two of them.
template <class T>
double spread(Random& random, Operand<T>& x, Count n) {
  const double factor = std::exp2(2 * static_cast<double>(random.below(3)));
  for (Count i = 0; i < n; ++i) x.set(i, factor * x.exact(i));
  return 4 * factor;
}

/// Puts -inf in the place of some or all elements of some rows.
template <class T>
void hide_some(Random& random, Operand<T>& x, Count rows, Count columns) {
  constexpr double hidden = -std::numeric_limits<double>::infinity();
  for (Count r = 0; r < rows; ++r) {
    if (!random.one_in(4)) continue;
    const Count first = random.below(columns), past = random.one_in(2) ? columns : first + 1;
    for (Count i = random.one_in(2) ? 0 : first; i < past; ++i) x.set(r * columns + i, hidden);
  }
}

template <class T>
void check_layer_norm(Random& random, Count rows, Count columns) {
  using A = accumulator_t<T>;
  const bool has_bias = random.one_in(2);
  const double epsilon = 1e-5;
  auto x = read<T>(random, rows * columns), dy = read<T>(random, rows * columns), gain = read<T>(random, columns),
       bias = read<T>(random, columns);
  auto y = written<T>(random, rows * columns), dx = written<T>(random, rows * columns),
       dgain = written<T>(random, columns), dbias = written<T>(random, has_bias ? columns : 0);
  auto mean = written<A>(random, rows), inverse = written<A>(random, rows);
  on_both([&]<class D>(D d) {
    kernels<D>::layer_norm(queue<D>::current(), rows, columns, epsilon, x.at(d), gain.at(d),
                           has_bias ? bias.at(d) : nullptr, y.at(d), mean.at(d), inverse.at(d));
  });
  // The mean is off by a rounding of x; in a row of numbers that are almost the same, that is much of its deviation.
  const auto of_inverse = [&](Count r) { return inverse.exact(r) * inverse.exact(r); };
  const auto of_y = [&](Count i) { return 4 + 4 * inverse.exact(i / columns); };
  const std::string forward = mean.wrong("mean", 1) + inverse.wrong("inverse", of_inverse) + y.wrong("y", of_y);
  mean.adopt();
  inverse.adopt();
  on_both([&]<class D>(D d) {
    kernels<D>::layer_norm_backward(queue<D>::current(), rows, columns, x.at(d), gain.at(d), mean.at(d), inverse.at(d),
                                    dy.at(d), dx.at(d), dgain.at(d), has_bias ? dbias.at(d) : nullptr);
  });
  const double all_rows = 4 * std::sqrt(static_cast<double>(rows));
  INFO("layer norm, " << rows << " x " << columns << (has_bias ? ", bias" : ""));
  CHECK(forward + dx.wrong("dx", [&](Count i) { return 8 * inverse.exact(i / columns); }) +
            dgain.wrong("dgain", all_rows) + dbias.wrong("dbias", all_rows) ==
        "");
}

template <class T>
void check_rms_norm(Random& random, Count rows, Count columns) {
  auto x = read<T>(random, rows * columns), dy = read<T>(random, rows * columns), gain = read<T>(random, columns);
  auto y = written<T>(random, rows * columns), dx = written<T>(random, rows * columns),
       dgain = written<T>(random, columns);
  auto inverse = written<accumulator_t<T>>(random, rows);
  on_both([&]<class D>(D d) {
    kernels<D>::rms_norm(queue<D>::current(), rows, columns, 1e-5, x.at(d), gain.at(d), y.at(d), inverse.at(d));
  });
  const std::string forward = inverse.wrong("inverse", 0) + y.wrong("y", 0);
  inverse.adopt();
  on_both([&]<class D>(D d) {
    kernels<D>::rms_norm_backward(queue<D>::current(), rows, columns, x.at(d), gain.at(d), inverse.at(d), dy.at(d),
                                  dx.at(d), dgain.at(d));
  });
  INFO("RMS norm, " << rows << " x " << columns);
  CHECK(forward + dx.wrong("dx", [&](Count i) { return 8 * inverse.exact(i / columns); }) +
            dgain.wrong("dgain", 4 * std::sqrt(static_cast<double>(rows))) ==
        "");
}

/// Tokens before heads in memory or behind them, dense or with gaps.
HeadLayout layout(Random& random, Count heads, Count time, Count head_size) {
  const Count row = head_size + random.below(3);
  return random.one_in(2) ? HeadLayout{heads * time * row, row, heads * row}
                          : HeadLayout{heads * time * row, time * row, row};
}

}  // namespace

TEMPLATE_TEST_CASE("random softmax", "", float, bfloat16) {
  using T = TestType;
  Random random(11);
  for (int k = 0; k < shapes; ++k) {
    const auto [rows, columns] = random.matrix();
    auto x = read<T>(random, rows * columns), dy = read<T>(random, rows * columns);
    auto y = written<T>(random, rows * columns), dx = written<T>(random, rows * columns);
    const double range = spread(random, x, rows * columns);
    hide_some(random, x, rows, columns);
    on_both([&]<class D>(D d) { kernels<D>::softmax(queue<D>::current(), rows, columns, x.at(d), y.at(d)); });
    // What exp is given is rounded, which matters the more the larger it is.
    const std::string forward = y.wrong("y", [&](Count i) { return y.exact(i) * range / 16; });
    y.adopt();
    on_both([&]<class D>(D d) {
      kernels<D>::softmax_backward(queue<D>::current(), rows, columns, y.at(d), dy.at(d), dx.at(d));
    });
    INFO(rows << " x " << columns << ", range " << range);
    CHECK(forward + dx.wrong("dx", [&](Count i) { return 4 * y.exact(i); }) == "");
  }
}

TEMPLATE_TEST_CASE("random cross-entropy", "", float, bfloat16) {
  using T = TestType;
  using A = accumulator_t<T>;
  Random random(12);
  for (int k = 0; k < shapes; ++k) {
    const auto [rows, columns] = random.matrix();
    const bool in_place = random.one_in(4);
    const double smoothing = 0.1 * static_cast<double>(random.below(3));
    const Count missing = random.below(4);  // of four targets
    auto targets = random.integers(columns, rows);
    for (auto& target : targets)
      if (random.below(4) < missing) target = -1 - static_cast<std::int32_t>(random.below(100));
    auto logits = changed<T>(random, rows * columns), dlogits = written<T>(random, rows * columns);
    auto log_sum_exp = written<A>(random, rows), loss = written<A>(random, 1), rows_used = written<A>(random, 1),
         dloss = read<A>(random, 1);
    const double range = spread(random, logits, rows * columns);
    on_both([&]<class D>(D d) {
      kernels<D>::cross_entropy(queue<D>::current(), rows, columns, smoothing, logits.at(d), targets.data(),
                                log_sum_exp.at(d), loss.at(d), rows_used.at(d));
    });
    const std::string forward =
        log_sum_exp.wrong("log_sum_exp", 1) + loss.wrong("loss", range) + rows_used.wrong("rows_used");
    log_sum_exp.adopt();
    auto& gradient = in_place ? logits : dlogits;
    on_both([&]<class D>(D d) {
      kernels<D>::cross_entropy_backward(queue<D>::current(), rows, columns, smoothing, logits.at(d), targets.data(),
                                         log_sum_exp.at(d), rows_used.at(d), dloss.at(d), gradient.at(d));
    });
    const auto size = [&](Count i) {
      const bool wanted = targets[static_cast<std::size_t>(i / columns)] == i % columns;
      const double share = (wanted ? 1 : 0) + smoothing / static_cast<double>(columns);
      const double factor = std::abs(dloss.exact(0)) / std::max(rows_used.exact(0), 1.0);
      return (std::abs(gradient.exact(i)) + factor * share) * (1 + range / 16);
    };
    INFO(rows << " x " << columns << ", range " << range << ", smoothing " << smoothing << ", " << missing
              << " of 4 targets missing" << (in_place ? ", in place" : ""));
    CHECK(forward + gradient.wrong("dlogits", size) == "");
  }
}

TEMPLATE_TEST_CASE("random norms", "", float, bfloat16) {
  Random random(13);
  for (int k = 0; k < shapes; ++k) {
    const auto [rows, columns] = random.matrix();
    check_layer_norm<TestType>(random, rows, columns);
    check_rms_norm<TestType>(random, rows, columns);
  }
}

TEMPLATE_TEST_CASE("random table rows", "", float, bfloat16) {
  using T = TestType;
  constexpr double rounding = std::is_same_v<T, float> ? 0x1p-24 : 0x1p-8;
  Random random(14);
  for (int k = 0; k < shapes; ++k) {
    const auto [n, columns] = random.matrix();
    const Count table_rows = random.length(std::min<Count>(300, 1 + 2 * random.most() / columns));
    const auto ids = random.integers(table_rows, n);
    auto table = read<T>(random, table_rows * columns), dy = read<T>(random, n * columns);
    auto y = written<T>(random, n * columns), dtable = changed<T>(random, table_rows * columns);
    on_both([&]<class D>(D d) {
      kernels<D>::gather_rows(queue<D>::current(), n, table_rows, columns, table.at(d), ids.data(), y.at(d));
      kernels<D>::scatter_add_rows(queue<D>::current(), n, table_rows, columns, ids.data(), dy.at(d), dtable.at(d));
    });
    // Each addition rounds to T a sum that wanders away as the root of their number, and the roundings wander likewise.
    std::vector<double> additions(static_cast<std::size_t>(table_rows));
    for (const std::int32_t id : ids) ++additions[static_cast<std::size_t>(id)];
    const auto size = [&](Count i) {
      return 4 * (1 + additions[static_cast<std::size_t>(i / columns)]) * rounding / of_float;
    };
    INFO(n << " x " << columns << " of " << table_rows);
    CHECK(y.wrong("gather") + dtable.wrong("scatter_add", size) == "");
  }
}

TEMPLATE_TEST_CASE("random rotations", "", float, bfloat16) {
  using T = TestType;
  Random random(15);
  for (int k = 0; k < shapes; ++k) {
    const Count time = random.one_in(50) ? 0 : random.length(60), heads = random.length(6),
                head_size = random.length(140);
    RotaryShape s{.batch = random.below(4),
                  .heads = heads,
                  .time = time,
                  .head_size = head_size,
                  .rotated = 2 * random.below(head_size / 2 + 1),
                  .table_rows = random.length(50),
                  .x = {},
                  .y = {},
                  .interleaved = random.one_in(2),
                  .inverse = random.one_in(2)};
    if (random.one_in(2)) s.rotated = head_size / 2 * 2;
    s.x = layout(random, heads, time, head_size);
    s.y = layout(random, heads, time, head_size);
    const auto positions = random.integers(s.table_rows, s.batch * time);
    auto x = read<T>(random, s.batch * s.x.batch), y = written<T>(random, s.batch * s.y.batch);
    auto table = read<accumulator_t<T>>(random, s.table_rows * s.rotated);
    on_both([&]<class D>(D d) {
      kernels<D>::rotate(queue<D>::current(), s, x.at(d), positions.data(), table.at(d), y.at(d));
    });
    INFO(s.batch << " x " << heads << " x " << time << " x " << head_size << ", rotated " << s.rotated << ", table "
                 << s.table_rows << ", x " << s.x.head << ' ' << s.x.time << ", y " << s.y.head << ' ' << s.y.time
                 << (s.interleaved ? ", interleaved" : "") << (s.inverse ? ", inverse" : ""));
    CHECK(y.wrong("y", 4) == "");
  }
}

TEMPLATE_TEST_CASE("random appended rows", "", float, bfloat16) {
  using T = TestType;
  Random random(16);
  for (int k = 0; k < shapes; ++k) {
    const Count heads = random.length(6), time = random.below(10), head_size = random.length(140),
                capacity = time + random.below(20), batch = random.below(4);
    const AppendShape s{.batch = batch,
                        .heads = heads,
                        .time = time,
                        .head_size = head_size,
                        .capacity = capacity,
                        .x = layout(random, heads, time, head_size),
                        .y = layout(random, heads, capacity, head_size)};
    const auto rows = random.integers(capacity - time + 1, 3 * batch);
    auto x = read<T>(random, batch * s.x.batch), y = changed<T>(random, batch * s.y.batch);
    on_both([&]<class D>(D d) { kernels<D>::append_rows(queue<D>::current(), s, rows.data(), x.at(d), y.at(d)); });
    INFO(batch << " x " << heads << " x " << time << " x " << head_size << " of " << capacity);
    CHECK(y.wrong("y", 0) == "");
  }
}
