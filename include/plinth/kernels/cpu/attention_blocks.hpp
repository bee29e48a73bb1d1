// SPDX-License-Identifier: MIT
// What attention forward and backward share: blocks of queries and keys, and their products on the tiles of the matrix
// product.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cpu/gemm_pack.hpp>
#include <plinth/kernels/cpu/gemm_plan.hpp>
#include <plinth/kernels/cpu/gemm_tile.hpp>
#include <plinth/kernels/cpu/lanes.hpp>
#include <plinth/tensor/element.hpp>
#include <plinth/tensor/scalar_math.hpp>

namespace plinth::cpu {

/// Sizes of the blocks over A for an instruction set.
template <class A>
struct AttentionBlocks {
  static constexpr std::int64_t key_unit = 224;  // whole tiles of every set, both as rows and as columns
  static_assert(key_unit % lane_count == 0);     // a row of scores is worked on in whole rounds of lanes

  TileSize tile;
  std::int64_t lanes, queries, keys, head_size;  // queries and keys of a block; head size up to whole vectors
  std::int64_t row, score_row;                   // from row to row of a block of queries, and of its scores

  AttentionBlocks(InstructionSet set, const AttentionShape& shape, std::int64_t tiles_of_queries,
                  std::int64_t units_of_keys)
      : tile(tile_size<A>(set)),
        lanes(tile.columns / 2),
        queries(std::min(tiles_of_queries * tile.rows, std::max<std::int64_t>(shape.queries, 1))),
        keys(std::min(units_of_keys * key_unit, round_up(std::max<std::int64_t>(shape.keys, 1), key_unit))),
        head_size(round_up(shape.head_size, lanes)),
        row(odd_lines(head_size, sizeof(A))),
        score_row(odd_lines(keys, sizeof(A))) {}

  /// Where the first block of keys begins that query i sees anything of: at a panel's first column.
  std::int64_t first_block(const VisibleKeys& visible, std::int64_t i) const {
    return visible.first(i) / tile.columns * tile.columns;
  }

  /// Cuts `count` rows into spans of neighbouring tiles with the same value(first row, rows of the tile):
  /// body(first row, rows, value).
  template <class Value, class F>
  void each_span(std::int64_t count, const Value& value, const F& body) const {
    const RowTiling tiling(count, tile);
    const auto value_at = [&](std::int64_t i) { return value(i, std::min(tiling.height(i), count - i)); };
    for (std::int64_t first = 0, past; first < count; first = past) {
      const std::int64_t same = value_at(first);
      for (past = first + tiling.height(first); past < count && value_at(past) == same;) past += tiling.height(past);
      past = std::min(past, count);
      body(first, past - first, same);
    }
  }

  /// Elements of a packed right operand with `columns` columns.
  std::int64_t panel_elements(std::int64_t steps, std::int64_t columns) const {
    return round_up(columns, tile.columns) * steps;
  }
};

/// The left operand of a product: element (i, k) is at data[i * row + k * step].
template <class A>
struct LeftBlock {
  const A* data;
  std::int64_t row, step;
};

/// C (rows, columns) = A B (+ C) with B in panels, of each of which the first `steps` of `panel_steps` steps count.
/// A must be readable up to whole tiles of rows; columns is a whole number of vectors. `far`: C may not be in the cache
/// yet.
template <class A>
void multiply_panels(InstructionSet set, const TileSize& tile, std::int64_t rows, std::int64_t columns,
                     std::int64_t steps, const LeftBlock<A>& a, const A* b, std::int64_t panel_steps, A* c,
                     std::int64_t c_row, bool accumulate, bool far = false) {
  constexpr std::int64_t size = sizeof(A);
  TileOperands<A> tiles{a.data, size * a.row, size * a.step, b, steps, c, c_row, accumulate};
  if (far) tiles.set_goal(c, c_row, std::min(columns, tile.columns));
  run_job(set, PanelProduct<A>{tiles, a.row, RowTiling(rows, tile).full, rows, columns, tile.columns * panel_steps});
}

/// scores (rows, columns) = left right^T over the channels of a head, right in panels; columns up to whole vectors.
template <class A>
void multiply_heads(InstructionSet set, const AttentionBlocks<A>& blocks, std::int64_t channels, const A* left,
                    std::int64_t rows, const A* right, std::int64_t columns, A* scores) {
  multiply_panels(set, blocks.tile, rows, round_up(columns, blocks.lanes), channels, {left, blocks.row, 1}, right,
                  channels, scores, blocks.score_row, false);
}

/// y[i][d] = factor[i] x[i][d] for `rows` rows of so many channels; factor_step 0: one factor for all.
template <class X, class Y, class A>
struct ScaleRows {
  const X* x;
  std::int64_t x_row;
  Y* y;
  std::int64_t y_row, rows, channels;
  const A* factor;
  std::int64_t factor_step;

  template <InstructionSet Set>
  [[gnu::always_inline]] inline void run() const {
    for (std::int64_t i = 0; i < rows; ++i) {
      const X* from = x + i * x_row;
      Y* to = y + i * y_row;
      const A by = factor[i * factor_step];
      independently(0, channels, [=](std::int64_t d) { to[d] = static_cast<Y>(static_cast<A>(from[d]) * by); });
    }
  }
};

/// to[i][d] = factor x[i][d] for `count` rows, zero in the rows and channels beyond.
template <class T>
void copy_rows(InstructionSet set, const T* x, std::int64_t x_row, std::int64_t count, std::int64_t channels,
               accumulator_t<T> factor, std::int64_t rows, std::int64_t to_row, accumulator_t<T>* to) {
  using A = accumulator_t<T>;
  run_job(set, ScaleRows<T, A, A>{x, x_row, to, to_row, count, channels, &factor, 0});
  for (std::int64_t i = 0; i < count; ++i) std::fill(to + i * to_row + channels, to + (i + 1) * to_row, A(0));
  std::fill(to + count * to_row, to + rows * to_row, A(0));
}

/// What a row of the softmax ends with, of the sum of 2^(score - top) over its keys: 1 / sum, or 0 where it sees none,
/// and the logarithm to base 2 of the sum of 2^score. Both are NaN where the top is plus infinity or no number.
template <class A>
struct RowSum {
  A inverse, log2;

  RowSum(A top, A sum) {
    const bool empty = Order<A>::of(top) == 0;  // minus infinity
    const A spoilt = empty ? A(0) : math::spoilt_by(top);
    inverse = empty ? A(0) : A(1) / sum + spoilt;
    log2 = top + std::log2(sum) + spoilt;
  }
};

/// Which columns of a block of scores are visible: row r is query `query` + r, column c is key `key` + c.
struct VisibleColumns {
  VisibleKeys keys;
  std::int64_t query, key;

  std::int64_t first(std::int64_t r, std::int64_t columns) const {
    return std::clamp<std::int64_t>(keys.first(query + r) - key, 0, columns);
  }
  std::int64_t past(std::int64_t r, std::int64_t columns) const {
    return std::clamp<std::int64_t>(keys.past(query + r) - key, 0, columns);
  }
};

}  // namespace plinth::cpu
