// SPDX-License-Identifier: MIT
// Rotary position embedding (RoPE): queries and keys turn by an angle proportional to their position.
// B batch, H heads, T sequence, D head size.
#pragma once

#include <cmath>
#include <cstdint>
#include <tuple>

#include <plinth/ops/create.hpp>
#include <plinth/ops/heads.hpp>
#include <plinth/position/rope_scaling.hpp>

namespace plinth {

/// Which channels form a pair.
enum class RotaryLayout {
  half_split,  ///< (i, i + D/2), as in Hugging Face's Llama and NeoX
  interleaved  ///< (2i, 2i + 1), as in the paper
};

/// The cosines and sines of all positions: angle = position theta_i, theta_i from rope_frequencies; both are multiplied
/// by rope_attention_factor.
template <class T, class D>
struct RotaryTable {
  Tensor<accumulator_t<T>, D> values;              ///< (positions, D): cosines, then sines
  RotaryLayout layout = RotaryLayout::half_split;  ///< of the heads that it turns

  RotaryTable() = default;
  /// A scaling that depends on the length (dynamic_ntk) is the one for `positions`.
  /// Throws ArgumentError as rope_frequencies does.
  RotaryTable(std::int64_t positions, std::int64_t head_size, double theta, RotaryLayout pairs,
              const RopeScaling& scaling = {})
      : layout(pairs) {
    using A = accumulator_t<T>;
    const auto frequencies = rope_frequencies(head_size, theta, scaling, positions);
    const double factor = rope_attention_factor(scaling);
    const std::int64_t half = head_size / 2;
    values = detail::tabulate<A, D>({positions, head_size}, [&](std::int64_t element) {
      const std::int64_t p = element / head_size, i = element % head_size;
      const double angle = static_cast<double>(p) * frequencies[static_cast<std::size_t>(i % half)];
      return static_cast<A>(factor * (i < half ? std::cos(angle) : std::sin(angle)));
    });
  }
};

/// dx = dy turned back by the same angles, and multiplied by the same factor
template <class T, class D>
struct RopeOp {
  static constexpr const char* name = "rope";
  RotaryTable<T, D> table;           ///< of cosines and sines
  Saved<std::int32_t, D> positions;  ///< (B, T)

  /// x (B, H, T, D), at (B, T) -> (B, H, T, D)
  Tensor<T, D> forward(const Tensor<T, D>& x, const Tensor<std::int32_t, D>& at) {
    positions = detail::dense(at);
    return turned(x, false);
  }
  /// {dx, nothing}
  std::tuple<Tensor<T, D>, Tensor<std::int32_t, D>> backward(const Tensor<T, D>& dy) const {
    return {turned(dy, true), {}};
  }

 private:
  Tensor<T, D> turned(const Tensor<T, D>& input, bool inverse) const {
    const auto x = detail::with_dense_heads(input);
    auto y = detail::heads_like(x);
    const RotaryShape shape{.batch = x.size(0), .heads = x.size(1), .time = x.size(2), .head_size = x.size(3),
                            .rotated = table.values.size(1), .table_rows = table.values.size(0),
                            .x = detail::head_layout(x), .y = detail::head_layout(y),
                            .interleaved = table.layout == RotaryLayout::interleaved, .inverse = inverse};
    kernels<D>::rotate(queue<D>::current(), shape, x.data(), positions.get(name).data(), table.values.data(),
                       y.mutable_data());
    return y;
  }
};

/// Turns each pair of channels of x (B, H, T, D) by the angle of its position (B, T):
/// y1 = x1 cos - x2 sin, y2 = x1 sin + x2 cos. Keeps norms, and query . key depends on the distance alone.
/// Su et al. 2021 (arXiv:2104.09864), section 3.4.2, eq. (34). Apply to queries and keys of every layer, never values.
/// Throws ShapeError, and ArgumentError for a position outside the table.
template <Real T, class D>
Tensor<T, D> rope(const Tensor<T, D>& x, const Tensor<std::int32_t, D>& positions, const RotaryTable<T, D>& table) {
  detail::require<ShapeError>(x.rank() == 4 && x.size(3) >= table.values.size(1), "rope: shape ", x.shape(),
                              " is not (B, H, T, D) with D of at least ", table.values.size(1));
  detail::require<ShapeError>(positions.shape() == Shape({x.size(0), x.size(2)}), "rope: x ", x.shape(),
                              " and positions ", positions.shape(), " do not fit");
  return apply(RopeOp<T, D>{table, {}}, x, positions);
}

}  // namespace plinth
