// SPDX-License-Identifier: MIT
// Attention backward in tiles: the probabilities are computed again, block by block, from the logarithms of the sums.
//
// With S = scale Q K^T, P = 2^(S / ln 2 - log2_sum), dP = dO V^T and delta = the sum over channels of dO O:
//   dS = P (dP - delta), dV = P^T dO, dK = scale dS^T Q, dQ = scale dS K.   Dao 2023 (arXiv:2307.08691), algorithm 2.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>

#include <plinth/kernels/cpu/attention_blocks.hpp>
#include <plinth/kernels/cpu/lanes.hpp>
#include <plinth/tensor/queue.hpp>
#include <plinth/tensor/scalar_math.hpp>

namespace plinth::cpu {

/// Turns scores, which are logarithms to base 2, into P and dP into dS for queries one below the other and a block of
/// keys; zeros where a query does not see the key, also in columns that no query here sees.
template <class A>
struct ProbabilitiesAgain {
  A *scores, *dprobabilities;
  std::int64_t score_row, rows;
  std::int64_t seen, columns;  // columns that a query here sees, and all of the block
  VisibleColumns visible;
  const A *log2_sum, *delta;  // of each row

  template <InstructionSet Set>
  [[gnu::always_inline]] inline void run() const {
    for (std::int64_t r = 0; r < rows; ++r) {
      A *p = scores + r * score_row, *dp = dprobabilities + r * score_row;
      const A shift = log2_sum[r], mean = delta[r], spoilt = math::spoilt_by(shift);
      // That they are whole rounds is news to the compiler.
      independently(0, whole_rounds(seen), [=](std::int64_t j) {
        p[j] = math::exp2_negative(p[j] - shift) + spoilt;
        dp[j] = p[j] * (dp[j] - mean);
      });
      for (std::int64_t j = visible.first(r, seen) - 1; j >= 0; --j) p[j] = dp[j] = A(0);
      for (std::int64_t j = visible.past(r, seen); j < columns; ++j) p[j] = dp[j] = A(0);
    }
  }
};

/// sum[i] = the sum over channels of x[i][d] y[i][d].
template <class T>
struct ProductsOfRows {
  using A = accumulator_t<T>;
  const T* x;
  std::int64_t x_row;
  const A* y;
  std::int64_t y_row, rows, channels;
  A* sum;

  template <InstructionSet Set>
  [[gnu::always_inline]] inline void run() const {
    for (std::int64_t i = 0; i < rows; ++i) {
      const T* left = x + i * x_row;
      const A* right = y + i * y_row;
      sum[i] = lane_sum<A>(channels, [=](std::int64_t d) { return static_cast<A>(left[d]) * right[d]; });
    }
  }
};

/// The gradients of AttentionForward. A thread takes a key head with all its query heads, so that each sum over queries
/// runs in one order.
template <class T>
class AttentionBackward {
  using A = accumulator_t<T>;
  static constexpr std::int64_t tiles_of_queries = 8;
  static constexpr std::int64_t tiles_of_few_queries = 2;  // of a sequence of up to one block of keys

 public:
  struct Operands {
    const T *query, *key, *value, *output;
    const A* log2_sum;
    const T* doutput;
    T *dquery, *dkey, *dvalue;
  };

  /// rows as in AttentionForward.
  AttentionBackward(queue<Cpu>& queue, InstructionSet set, const AttentionShape& shape, const std::int32_t* rows,
                    const Operands& operands)
      : queue_(queue),
        set_(set),
        s_(shape),
        rows_(rows),
        o_(operands),
        blocks_(set, shape, shape.keys > AttentionBlocks<A>::key_unit ? tiles_of_queries : tiles_of_few_queries, 1) {}

  void run() {
    const std::int64_t groups = s_.batch * s_.key_heads;
    const std::int64_t own = scratch(nullptr).elements;
    auto* all = static_cast<A*>(queue_.scratch(static_cast<std::size_t>(own * queue_.threads()) * sizeof(A)));
    queue_.each_thread(groups, [&](int thread, std::int64_t begin, std::int64_t end) {
      const Scratch mine = scratch(all + thread * own);
      for (std::int64_t group = begin; group < end; ++group)
        run_group(mine, group / s_.key_heads, group % s_.key_heads);
    });
  }

 private:
  /// Where a thread keeps what. Keys and values of the head: turned for the scores, straight for dQ; their gradients.
  /// Of a block of queries: rows for products from the left, panels for those from the right.
  struct Scratch {
    A *turned_key, *turned_value, *key, *dkey, *dvalue;
    A *query, *doutput, *query_panels, *doutput_panels, *dquery, *log2_sum, *delta;
    A *scores, *dscores;
    std::int64_t elements;
  };

  Scratch scratch(A* memory) const {
    Scratch mine{};
    const auto take = [&](A*& part, std::int64_t elements) {
      part = memory ? memory + mine.elements : nullptr;
      mine.elements += round_up(elements, 64);
    };
    const std::int64_t rows = round_up(blocks_.queries, blocks_.tile.rows);
    take(mine.turned_key, blocks_.panel_elements(s_.head_size, s_.keys));
    take(mine.turned_value, blocks_.panel_elements(s_.head_size, s_.keys));
    take(mine.key, blocks_.panel_elements(s_.keys, s_.head_size));
    take(mine.dkey, s_.keys * blocks_.head_size);
    take(mine.dvalue, s_.keys * blocks_.head_size);
    for (A** part : {&mine.query, &mine.doutput, &mine.dquery}) take(*part, rows * blocks_.row);
    for (A** part : {&mine.query_panels, &mine.doutput_panels})
      take(*part, blocks_.panel_elements(blocks_.queries, s_.head_size));
    for (A** part : {&mine.log2_sum, &mine.delta}) take(*part, rows);
    for (A** part : {&mine.scores, &mine.dscores}) take(*part, rows * blocks_.score_row);
    return mine;
  }

  void run_group(const Scratch& mine, std::int64_t b, std::int64_t g) const {
    const T *key = o_.key + b * s_.key.batch + g * s_.key.head,
            *value = o_.value + b * s_.value.batch + g * s_.value.head;
    pack_columns(set_, key, 1, s_.key.time, s_.keys, s_.head_size, blocks_.tile.columns, mine.turned_key);
    pack_columns(set_, value, 1, s_.value.time, s_.keys, s_.head_size, blocks_.tile.columns, mine.turned_value);
    pack_columns(set_, key, s_.key.time, 1, s_.head_size, s_.keys, blocks_.tile.columns, mine.key);
    std::fill(mine.dkey, mine.dkey + s_.keys * blocks_.head_size, A(0));
    std::fill(mine.dvalue, mine.dvalue + s_.keys * blocks_.head_size, A(0));
    const std::int64_t heads = s_.heads / s_.key_heads;
    for (std::int64_t h = g * heads; h < (g + 1) * heads; ++h)
      for (std::int64_t i = 0; i < s_.queries; i += blocks_.queries)
        run_block(mine, b, h, i, std::min(blocks_.queries, s_.queries - i));
    write(mine.dkey, blocks_.head_size, static_cast<A>(std::numbers::ln2), s_.keys, s_.key.time,
          o_.dkey + b * s_.key.batch + g * s_.key.head);
    write(mine.dvalue, blocks_.head_size, A(1), s_.keys, s_.value.time,
          o_.dvalue + b * s_.value.batch + g * s_.value.head);
  }

  /// `count` queries from query i on, against all keys that they see.
  void run_block(const Scratch& mine, std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t count) const {
    load(mine, b, h, i, count);
    std::fill(mine.dquery, mine.dquery + round_up(count, blocks_.tile.rows) * blocks_.row, A(0));
    const VisibleKeys visible(s_, rows_, b);
    const std::int64_t start = blocks_.first_block(visible, i), stop = visible.past(i + count - 1);
    for (std::int64_t j = start; j < stop; j += blocks_.keys) {
      const std::int64_t keys = std::min(blocks_.keys, stop - j);
      const VisibleColumns seen{visible, i, j};
      // Tiles of queries with the keys that the last of them sees.
      const auto seen_by = [&](std::int64_t r, std::int64_t height) { return seen.past(r + height - 1, keys); };
      blocks_.each_span(count, seen_by, [&](std::int64_t r, std::int64_t rows, std::int64_t columns) {
        score(mine, j, r, rows, columns, keys, seen);
        multiply_panels(set_, blocks_.tile, rows, blocks_.head_size, columns,
                        {mine.dscores + r * blocks_.score_row, blocks_.score_row, 1},
                        mine.key + j * blocks_.tile.columns, s_.keys, mine.dquery + r * blocks_.row, blocks_.row, true);
      });
      // Tiles of keys with the queries from the first on that sees one of them.
      const auto first_of = [&](std::int64_t k, std::int64_t) {
        return std::clamp<std::int64_t>(visible.first_query(j + k) - i, 0, count);
      };
      blocks_.each_span(keys, first_of, [&](std::int64_t k, std::int64_t rows, std::int64_t r) {
        const auto gather = [&](const A* left, const A* right, A* to) {
          multiply_panels(set_, blocks_.tile, rows, blocks_.head_size, count - r,
                          {left + r * blocks_.score_row + k, 1, blocks_.score_row}, right + r * blocks_.tile.columns,
                          count, to + (j + k) * blocks_.head_size, blocks_.head_size, true, /*far*/ true);
        };
        gather(mine.scores, mine.doutput_panels, mine.dvalue);
        gather(mine.dscores, mine.query_panels, mine.dkey);
      });
    }
    write(mine.dquery, blocks_.row, static_cast<A>(s_.scale), count, s_.query.time,
          o_.dquery + b * s_.query.batch + h * s_.query.head + i * s_.query.time);
  }

  /// P and dS of `rows` queries from the block's row r on, with the first `columns` keys of the block from key j on.
  void score(const Scratch& mine, std::int64_t j, std::int64_t r, std::int64_t rows, std::int64_t columns,
             std::int64_t keys, const VisibleColumns& seen) const {
    A *const p = mine.scores + r * blocks_.score_row, *const dp = mine.dscores + r * blocks_.score_row;
    const std::int64_t key = j * s_.head_size, query = r * blocks_.row;
    multiply_heads(set_, blocks_, s_.head_size, mine.query + query, rows, mine.turned_key + key, columns, p);
    multiply_heads(set_, blocks_, s_.head_size, mine.doutput + query, rows, mine.turned_value + key, columns, dp);
    run_job(set_, ProbabilitiesAgain<A>{p, dp, blocks_.score_row, rows, columns, keys,
                                        VisibleColumns{seen.keys, seen.query + r, seen.key}, mine.log2_sum + r,
                                        mine.delta + r});
  }

  /// The block's queries (times scale, to base 2) and output gradients, and delta.
  void load(const Scratch& mine, std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t count) const {
    const std::int64_t rows = round_up(count, blocks_.tile.rows), place = b * s_.output.batch + h * s_.output.head;
    copy_rows(set_, o_.query + b * s_.query.batch + h * s_.query.head + i * s_.query.time, s_.query.time, count,
              s_.head_size, static_cast<A>(s_.scale * std::numbers::log2e), rows, blocks_.row, mine.query);
    copy_rows(set_, o_.doutput + place + i * s_.output.time, s_.output.time, count, s_.head_size, A(1), rows,
              blocks_.row, mine.doutput);
    pack_columns(set_, mine.query, blocks_.row, 1, s_.head_size, count, blocks_.tile.columns, mine.query_panels);
    pack_columns(set_, mine.doutput, blocks_.row, 1, s_.head_size, count, blocks_.tile.columns, mine.doutput_panels);
    std::copy_n(o_.log2_sum + (b * s_.heads + h) * s_.queries + i, count, mine.log2_sum);
    run_job(set_, ProductsOfRows<T>{o_.output + place + i * s_.output.time, s_.output.time, mine.doutput, blocks_.row,
                                    count, s_.head_size, mine.delta});
  }

  void write(const A* from, std::int64_t from_row, A factor, std::int64_t rows, std::int64_t to_row, T* to) const {
    run_job(set_, ScaleRows<A, T, A>{from, from_row, to, to_row, rows, s_.head_size, &factor, 0});
  }

  queue<Cpu>& queue_;
  InstructionSet set_;
  AttentionShape s_;
  const std::int32_t* rows_;
  Operands o_;
  AttentionBlocks<A> blocks_;
};

}  // namespace plinth::cpu
