// SPDX-License-Identifier: MIT
// CUDA's kernels on rows in every element type against plain loops: norms, losses, tables, rotations, masks.
#include "kernels/cuda/against_plain_device.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace plinth;

TEMPLATE_TEST_CASE("cuda norms", "[cuda]", float, double, bfloat16, plinth::half) {
  using T = TestType;
  using A = accumulator_t<T>;
  using namespace on_devices;
  for (const auto& [r, c] : rows_and_columns()) {
    const Count rows = r, columns = c;
    if (columns == 1) continue;  // the gradient is what rounding leaves
    const auto x = numbers::normal<T>(rows * columns, 1, 2, 0.3), dy = numbers::normal<T>(rows * columns, 2),
               gain = numbers::normal<T>(columns, 3, 0.2, 1), bias = numbers::normal<T>(columns, 4);
    for (const bool with_bias : {true, false})
      agree<T>("layer_norm", rows, columns, [&]<class D>(D) {
        auto& q = queue<D>::current();
        auto on_x = placed<D>(x), on_dy = placed<D>(dy), on_gain = placed<D>(gain), on_bias = placed<D>(bias);
        auto mean = nothing<D, A>(rows), inverse = nothing<D, A>(rows);
        auto y = nothing<D, T>(rows * columns), dx = nothing<D, T>(rows * columns), dgain = nothing<D, T>(columns),
             dbias = nothing<D, T>(columns);
        kernels<D>::layer_norm(q, rows, columns, 1e-5, on_x.data(), on_gain.data(), with_bias ? on_bias.data() : nullptr,
                               y.data(), mean.data(), inverse.data());
        kernels<D>::layer_norm_backward(q, rows, columns, on_x.data(), on_gain.data(), mean.data(), inverse.data(),
                                        on_dy.data(), dx.data(), dgain.data(), with_bias ? dbias.data() : nullptr);
        return std::vector<std::vector<T>>{y.values(), dx.values(), dgain.values(), dbias.values()};
      });
    agree<T>("rms_norm", rows, columns, [&]<class D>(D) {
      auto& q = queue<D>::current();
      auto on_x = placed<D>(x), on_dy = placed<D>(dy), on_gain = placed<D>(gain);
      auto inverse = nothing<D, A>(rows);
      auto y = nothing<D, T>(rows * columns), dx = nothing<D, T>(rows * columns), dgain = nothing<D, T>(columns);
      kernels<D>::rms_norm(q, rows, columns, 1e-5, on_x.data(), on_gain.data(), y.data(), inverse.data());
      kernels<D>::rms_norm_backward(q, rows, columns, on_x.data(), on_gain.data(), inverse.data(), on_dy.data(), dx.data(),
                                    dgain.data());
      return std::vector<std::vector<T>>{y.values(), dx.values(), dgain.values()};
    });
  }
}

TEMPLATE_TEST_CASE("cuda cross-entropy", "[cuda]", float, double, bfloat16, plinth::half) {
  using T = TestType;
  using A = accumulator_t<T>;
  using namespace on_devices;
  for (const auto& [r, c] : rows_and_columns())
    for (const double smoothing : {0.0, 0.1}) {
      const Count rows = r, columns = c;
      const auto logits = numbers::normal<T>(rows * columns, 1, 2, 0.3);
      auto targets = numbers::below(static_cast<std::int32_t>(columns), rows, 5);
      for (std::size_t i = 0; i < targets.size(); i += 3) targets[i] = -1;
      agree<T>("cross_entropy", rows, columns, [&]<class D>(D) {
        auto& q = queue<D>::current();
        auto on_logits = placed<D>(logits);
        auto on_targets = placed<D>(targets);
        auto log_sum_exp = nothing<D, A>(rows), loss = nothing<D, A>(1), used = nothing<D, A>(1);
        auto dloss = placed<D>(std::vector<A>{static_cast<A>(rows)});  // keeps the gradients in half's range
        kernels<D>::cross_entropy(q, rows, columns, smoothing, on_logits.data(), on_targets.data(), log_sum_exp.data(),
                                  loss.data(), used.data());
        kernels<D>::cross_entropy_backward(q, rows, columns, smoothing, on_logits.data(), on_targets.data(),
                                           log_sum_exp.data(), used.data(), dloss.data(), on_logits.data());
        const auto narrowed = [](const std::vector<A>& values) {
          std::vector<T> result;
          for (const A value : values) result.push_back(static_cast<T>(value));
          return result;
        };
        return std::vector<std::vector<T>>{on_logits.values(), narrowed(log_sum_exp.values()), narrowed(loss.values()),
                                           narrowed(used.values())};
      });
    }
}

TEST_CASE("cuda cross-entropy of infinities and NaNs", "[cuda]") {
  constexpr float none = -std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<std::vector<float>> rows = {{none, 1, 2, none}, {3e38f, 0, -3e38f, 0}, {0, nan, 0, 0}};
  for (const auto& row : rows) {
    const auto on = [&]<class D>(D) {
      auto logits = on_devices::placed<D>(row);
      auto targets = on_devices::placed<D>(std::vector<std::int32_t>{1});
      auto log_sum_exp = on_devices::nothing<D, float>(1), loss = on_devices::nothing<D, float>(1),
           used = on_devices::nothing<D, float>(1);
      kernels<D>::cross_entropy(queue<D>::current(), 1, 4, 0.0, logits.data(), targets.data(), log_sum_exp.data(),
                                loss.data(), used.data());
      return loss.values()[0];
    };
    const float on_cuda = on(Cuda()), on_plain = on(Plain());
    CHECK((on_cuda == Approx(on_plain) || (std::isnan(on_cuda) && std::isnan(row[1]))));
  }
}

TEMPLATE_TEST_CASE("cuda table rows", "[cuda]", float, double, bfloat16, plinth::half) {
  using T = TestType;
  using namespace on_devices;
  for (const auto& [r, c] : rows_and_columns())
    for (const std::int32_t table_rows : {1, 11, 300}) {
      const Count rows = r, columns = c;
      const auto ids = numbers::below(table_rows, rows, 5);
      const auto table = numbers::normal<T>(table_rows * columns, 1), dy = numbers::normal<T>(rows * columns, 2);
      agree<T>("gather_rows, scatter_add_rows", rows, columns, [&]<class D>(D) {
        auto& q = queue<D>::current();
        auto on_table = placed<D>(table), on_dy = placed<D>(dy), y = nothing<D, T>(rows * columns);
        auto on_ids = placed<D>(ids);
        kernels<D>::gather_rows(q, rows, table_rows, columns, on_table.data(), on_ids.data(), y.data());
        kernels<D>::scatter_add_rows(q, rows, table_rows, columns, on_ids.data(), on_dy.data(), on_table.data());
        return std::vector<std::vector<T>>{y.values(), on_table.values()};
      });
    }
}

TEMPLATE_TEST_CASE("cuda rotations", "[cuda]", float, double, bfloat16, plinth::half) {
  using T = TestType;
  using A = accumulator_t<T>;
  using namespace on_devices;
  for (const Count head_size : {2, 7, 64})
    for (const bool interleaved : {false, true}) {
      const Count heads = 3, time = 5, row = heads * head_size, rotated = std::max<Count>(2, head_size / 4 * 2);
      const HeadLayout layout{time * row, head_size, row}, heads_apart{time * row, time * head_size, head_size};
      const RotaryShape shape{.batch = 2, .heads = heads, .time = time, .head_size = head_size, .rotated = rotated,
                              .table_rows = 40, .x = layout, .y = heads_apart, .interleaved = interleaved,
                              .inverse = interleaved};
      std::vector<A> table;
      for (Count i = 0; i < shape.table_rows * rotated; ++i) {
        const double angle = static_cast<double>(i / rotated) / static_cast<double>(1 + i % (rotated / 2));
        table.push_back(static_cast<A>(i % rotated < rotated / 2 ? std::cos(angle) : std::sin(angle)));
      }
      const auto positions = numbers::below(40, 2 * time, 6);
      const auto x = numbers::normal<T>(2 * time * row, 3);
      agree<T>("rotate", 2 * time, head_size, [&]<class D>(D) {
        auto on_x = placed<D>(x), y = nothing<D, T>(2 * time * row);
        auto on_positions = placed<D>(positions);
        auto on_table = placed<D>(table);
        kernels<D>::rotate(queue<D>::current(), shape, on_x.data(), on_positions.data(), on_table.data(), y.data());
        return std::vector<std::vector<T>>{y.values()};
      });
    }
}

TEMPLATE_TEST_CASE("cuda attention masks", "[cuda]", float, double, bfloat16, plinth::half) {
  using T = TestType;
  const std::vector<std::int32_t> rows = {2, 0, 9, 4, 3, 8};
  for (const bool causal : {false, true})
    for (const std::int64_t window : {0, 3})
      for (const bool given : {false, true}) {
        const AttentionShape shape{.batch = 2, .heads = 1, .key_heads = 1, .queries = 5, .keys = 9, .causal = causal, .window = window};
        const auto on = [&]<class D>(D) {
          auto on_rows = on_devices::placed<D>(rows);
          auto mask = on_devices::nothing<D, T>(2 * 5 * 9);
          kernels<D>::attention_mask(queue<D>::current(), shape, given ? on_rows.data() : nullptr, mask.data());
          std::vector<double> values;
          for (const T value : mask.values()) values.push_back(static_cast<double>(value));
          return values;
        };
        CHECK(on(Cuda()) == on(Plain()));
      }
}

TEST_CASE("cuda: an index outside its table yields NaN, and touches nothing else", "[cuda]") {
  auto& q = queue<Cuda>::current();
  const DeviceArray<std::int32_t> ids({1, 3, -1, 0});
  const DeviceArray<float> table({1, 2, 3, 4, 5, 6}), y(std::vector<float>(8)), logits(std::vector<float>(8, 0.5f));
  kernels<Cuda>::gather_rows(q, 4, 3, 2, table.data(), ids.data(), y.data());
  const auto gathered = y.values();
  CHECK((gathered[0] == 3 && gathered[1] == 4 && gathered[6] == 1 && gathered[7] == 2));
  for (const std::size_t i : {2u, 3u, 4u, 5u}) CHECK(std::isnan(gathered[i]));
  kernels<Cuda>::scatter_add_rows(q, 4, 3, 2, ids.data(), logits.data(), table.data());
  const auto sums = table.values();
  CHECK((std::isnan(sums[0]) && std::isnan(sums[1])));
  CHECK((sums[2] == 3.5f && sums[3] == 4.5f && sums[4] == 5 && sums[5] == 6));

  const DeviceArray<float> log_sum_exp(std::vector<float>(4)), loss({0}), used({0}), dloss({1}), dlogits(std::vector<float>(8));
  kernels<Cuda>::cross_entropy(q, 4, 2, 0.0, logits.data(), ids.data(), log_sum_exp.data(), loss.data(), used.data());
  kernels<Cuda>::cross_entropy_backward(q, 4, 2, 0.0, logits.data(), ids.data(), log_sum_exp.data(), used.data(), dloss.data(),
                                        dlogits.data());
  CHECK(std::isnan(loss.values()[0]));
  const auto gradients = dlogits.values();
  CHECK((std::isnan(gradients[2]) && std::isnan(gradients[3]) && gradients[4] == 0 && gradients[5] == 0));
  CHECK(gradients[0] == Approx(0.5 / 3));

  const DeviceArray<std::int32_t> rows({0, 0, 2, 0, 0, 3});  // of the second the end lies outside
  const DeviceArray<float> mask(std::vector<float>(4));
  kernels<Cuda>::attention_mask(q, {.batch = 2, .heads = 1, .key_heads = 1, .queries = 1, .keys = 2}, rows.data(), mask.data());
  const auto seen = mask.values();
  CHECK((seen[0] == 0 && seen[1] == 0 && std::isnan(seen[2]) && std::isnan(seen[3])));

  const HeadLayout layout{4, 4, 4};
  const RotaryShape shape{.batch = 1, .heads = 1, .time = 2, .head_size = 4, .rotated = 2, .table_rows = 3, .x = layout, .y = layout};
  const DeviceArray<std::int32_t> positions({2, 3});
  const DeviceArray<float> angles({1, 0, 1, 0, 1, 0}), turned(std::vector<float>(8));
  kernels<Cuda>::rotate(q, shape, logits.data(), positions.data(), angles.data(), turned.data());
  const auto values = turned.values();
  CHECK((values[0] == 0.5f && values[1] == 0.5f && std::isnan(values[4]) && std::isnan(values[5]) && values[6] == 0.5f));
}

TEMPLATE_TEST_CASE("cuda: rows are appended behind what the device says is there", "[cuda]", float, bfloat16) {
  using T = TestType;
  const AppendShape shape{.batch = 3, .heads = 2, .time = 2, .head_size = 5, .capacity = 7, .x = {20, 5, 10}, .y = {70, 35, 5}};
  const std::vector<std::int32_t> places = {0, 0, 2, 5, 0, 7, 3, 0, 5};
  const auto on = [&]<class D>(D) {
    auto rows = on_devices::placed<D>(places);
    auto x = on_devices::placed<D>(numbers::normal<T>(60, 1)), y = on_devices::placed<D>(numbers::normal<T>(210, 2));
    kernels<D>::append_rows(queue<D>::current(), shape, rows.data(), x.data(), y.data());
    return y.values();
  };
  CHECK(numbers::distance(on(Cuda()), on(Plain())) == 0);
}
