// SPDX-License-Identifier: MIT
// Attention forward in tiles: scores of a few queries with a block of keys stay in the L2 cache, and the softmax is
// corrected from block to block.
//
// Milakov & Gimelshein 2018 (arXiv:1805.02867), algorithm 3, is the running softmax; Dao et al. 2022 (arXiv:2205.14135)
// attention on top of it. Memory beyond the operands is linear in the numbers of queries and keys.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numbers>

#include <plinth/kernels/cpu/attention_blocks.hpp>
#include <plinth/kernels/cpu/attention_single_query.hpp>
#include <plinth/kernels/cpu/lanes.hpp>
#include <plinth/tensor/queue.hpp>
#include <plinth/tensor/scalar_math.hpp>

namespace plinth::cpu {

/// One block of keys of the running softmax, for rows one below the other: scores, which are logarithms to base 2,
/// become 2^(score - top), and what was gathered under the old top is scaled to the new one. First all tops, then the
/// rest: a row does not wait for its own. Infinity or a NaN among a row's scores stays its top, whatever the sum is.
template <class A>
struct RunningSoftmax {
  static constexpr std::int64_t most_rows = lane_count;
  A* scores;
  std::int64_t score_row, rows, columns;  // whole rounds of lanes
  VisibleColumns visible;
  A *top, *sum, *output;                    // of row 0 on
  std::int64_t output_row, output_columns;  // columns 0: there is no output yet

  template <InstructionSet Set>
  [[gnu::always_inline]] inline void run() const {
    static_assert(GemmTile<Set>::rows <= most_rows);
    constexpr A lowest = -std::numeric_limits<A>::infinity();
    A shift[most_rows] = {}, factor[most_rows] = {};
    for (std::int64_t r = 0; r < rows; ++r) {
      A* const s = scores + r * score_row;
      for (std::int64_t j = visible.first(r, columns) - 1; j >= 0; --j) s[j] = lowest;
      for (std::int64_t j = visible.past(r, columns); j < columns; ++j) s[j] = lowest;
      const A now = lane_max<A, true>(columns, top[r], [=](std::int64_t j) { return s[j]; });
      shift[r] = now == lowest ? A(0) : now;
      factor[r] = top[r] - shift[r];
      top[r] = now;
    }
    for (A& one : factor) one = math::exp2_negative(one);
    for (std::int64_t r = 0; r < rows; ++r) {
      A *const s = scores + r * score_row, *const y = output + r * output_row;
      const A from = shift[r], by = factor[r];
      sum[r] = sum[r] * by +
               lane_sum<A, true>(columns, [=](std::int64_t j) { return s[j] = math::exp2_negative(s[j] - from); });
      independently(0, output_columns, [=](std::int64_t d) { y[d] *= by; });
    }
  }
};

/// output (B, H, T, D) = softmax(scale query key^T + mask) value and, unless null, log2_sum as in the contract.
template <class T>
class AttentionForward {
  using A = accumulator_t<T>;
  static constexpr std::int64_t tiles_of_queries = 4;
  static constexpr std::int64_t units_of_keys = 4;  // few corrections are worth more than scores in the L1 cache

 public:
  /// rows: place, begin and end of the keys of each batch row, or null, as in VisibleKeys.
  AttentionForward(queue<Cpu>& queue, InstructionSet set, const AttentionShape& shape, const std::int32_t* rows)
      : queue_(queue), set_(set), s_(shape), rows_(rows), blocks_(set, shape, tiles_of_queries, units_of_keys) {}

  void run(const T* query, const T* key, const T* value, T* output, A* log2_sum) {
    if (s_.queries == 1) return run_single(query, key, value, output, log2_sum);
    const std::int64_t groups = s_.batch * s_.key_heads, query_blocks = divide_up(s_.queries, blocks_.queries);
    key_elements_ = blocks_.panel_elements(s_.head_size, s_.keys);
    value_elements_ = blocks_.panel_elements(s_.keys, s_.head_size);
    const std::int64_t rows = round_up(blocks_.queries, blocks_.tile.rows);
    const std::int64_t own = round_up(2 * rows * blocks_.row + blocks_.tile.rows * blocks_.score_row + 2 * rows, 64);
    // A thread packs the keys and values of a head just before it needs them, so that they are in its cache. Where
    // threads are more than heads and would pack the same ones, all are packed first.
    const bool shared = queue_.threads() > groups;
    const std::int64_t packed = round_up((shared ? groups : queue_.threads()) * (key_elements_ + value_elements_), 64);
    packed_ = static_cast<A*>(queue_.scratch(static_cast<std::size_t>(packed + own * queue_.threads()) * sizeof(A)));

    if (shared)
      queue_.each_thread(groups, [&](int, std::int64_t begin, std::int64_t end) {
        for (std::int64_t group = begin; group < end; ++group) pack(group, key, value, keys_at(group));
      });
    queue_.each_thread(s_.batch * s_.heads * query_blocks, [&](int thread, std::int64_t begin, std::int64_t end) {
      A* scratch = packed_ + packed + thread * own;
      std::int64_t last = -1;
      for (std::int64_t task = begin; task < end; ++task) {
        const std::int64_t batch_head = task / query_blocks, group = batch_head / (s_.heads / s_.key_heads);
        A* const keys = keys_at(shared ? group : thread);
        if (!shared && group != last) pack(group, key, value, keys);
        last = group;
        // Late blocks see more keys than early ones: they alternate, so that threads get the same work.
        const std::int64_t n = task % query_blocks, block = n % 2 == 0 ? n / 2 : query_blocks - 1 - n / 2;
        run_block(batch_head, block * blocks_.queries, query, keys, output, log2_sum, scratch);
      }
    });
  }

 private:
  /// Sequences of one query.
  void run_single(const T* query, const T* key, const T* value, T* output, A* log2_sum) {
    const std::int64_t own = round_up(s_.keys, 64) + round_up(s_.head_size, 64);
    auto* all = static_cast<A*>(queue_.scratch(static_cast<std::size_t>(own * queue_.threads()) * sizeof(A)));
    queue_.each_thread(s_.batch * s_.heads, [&](int thread, std::int64_t begin, std::int64_t end) {
      A *scores = all + thread * own, *gathered = scores + round_up(s_.keys, 64);
      for (std::int64_t n = begin; n < end; ++n) {
        const std::int64_t b = n / s_.heads, h = n % s_.heads, g = h / (s_.heads / s_.key_heads);
        const VisibleKeys visible(s_, rows_, b);
        const std::int64_t first = std::min(visible.first(0), s_.keys);
        const std::int64_t count = std::max<std::int64_t>(0, visible.past(0) - first);
        run_job(set_,
                SingleQuery<T>{query + b * s_.query.batch + h * s_.query.head,
                               key + b * s_.key.batch + g * s_.key.head + first * s_.key.time,
                               value + b * s_.value.batch + g * s_.value.head + first * s_.value.time, s_.key.time,
                               s_.value.time, count, s_.head_size, static_cast<A>(s_.scale * std::numbers::log2e),
                               output + b * s_.output.batch + h * s_.output.head, log2_sum ? log2_sum + n : nullptr,
                               scores, gathered});
      }
    });
  }

  /// Packed keys, behind which are the values.
  A* keys_at(std::int64_t place) const { return packed_ + place * (key_elements_ + value_elements_); }

  void pack(std::int64_t group, const T* key, const T* value, A* keys) const {
    const std::int64_t b = group / s_.key_heads, g = group % s_.key_heads;
    pack_columns(set_, key + b * s_.key.batch + g * s_.key.head, 1, s_.key.time, s_.keys, s_.head_size,
                 blocks_.tile.columns, keys);
    pack_columns(set_, value + b * s_.value.batch + g * s_.value.head, s_.value.time, 1, s_.head_size, s_.keys,
                 blocks_.tile.columns, keys + key_elements_);
  }

  /// The queries of one head from query i on.
  void run_block(std::int64_t batch_head, std::int64_t i, const T* query, const A* keys, T* output, A* log2_sum,
                 A* scratch) const {
    const std::int64_t b = batch_head / s_.heads, h = batch_head % s_.heads,
                       count = std::min(blocks_.queries, s_.queries - i);
    const std::int64_t rows = round_up(count, blocks_.tile.rows);
    A *q = scratch, *y = q + rows * blocks_.row, *top = y + rows * blocks_.row, *sum = top + rows, *scores = sum + rows;
    copy_rows(set_, query + b * s_.query.batch + h * s_.query.head + i * s_.query.time, s_.query.time, count,
              s_.head_size, static_cast<A>(s_.scale * std::numbers::log2e), rows, blocks_.row, q);
    std::fill(top, top + rows, -std::numeric_limits<A>::infinity());
    std::fill(sum, sum + rows, A(0));
    const VisibleKeys visible(s_, rows_, b);
    const std::int64_t start = blocks_.first_block(visible, i), stop = visible.past(i + count - 1);
    for (std::int64_t j = start; j < stop; j += blocks_.keys)
      for (std::int64_t r = 0; r < count; r += blocks_.tile.rows) {
        const std::int64_t height = std::min(blocks_.tile.rows, count - r);
        const std::int64_t columns = std::min(blocks_.keys, visible.past(i + r + height - 1) - j);
        if (columns <= 0) continue;
        A* to = y + r * blocks_.row;
        multiply_heads(set_, blocks_, s_.head_size, q + r * blocks_.row, height, keys + j * s_.head_size, columns,
                       scores);
        const VisibleColumns seen{visible, i + r, j};
        run_job(set_, RunningSoftmax<A>{scores, blocks_.score_row, height, whole_rounds(columns), seen, top + r,
                                        sum + r, to, blocks_.row, j > start ? blocks_.head_size : 0});
        multiply_panels(set_, blocks_.tile, height, blocks_.head_size, columns, {scores, blocks_.score_row, 1},
                        keys + key_elements_ + j * blocks_.tile.columns, s_.keys, to, blocks_.row, j > start);
      }
    finish(b, h, i, count, y, top, sum, output, log2_sum);
  }

  /// Divides what was gathered by the sums, which are overwritten.
  void finish(std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t count, A* y, const A* top, A* sum, T* output,
              A* log2_sum) const {
    for (std::int64_t r = 0; r < count; ++r) {
      const RowSum<A> all(top[r], sum[r]);
      if (log2_sum) log2_sum[(b * s_.heads + h) * s_.queries + i + r] = all.log2;
      if (all.inverse == A(0)) std::fill_n(y + r * blocks_.row, s_.head_size, A(0));
      sum[r] = all.inverse;
    }
    T* to = output + b * s_.output.batch + h * s_.output.head + i * s_.output.time;
    run_job(set_, ScaleRows<A, T, A>{y, blocks_.row, to, s_.output.time, count, s_.head_size, sum, 1});
  }

  queue<Cpu>& queue_;
  InstructionSet set_;
  AttentionShape s_;
  const std::int32_t* rows_;
  AttentionBlocks<A> blocks_;
  std::int64_t key_elements_ = 0, value_elements_ = 0;
  A* packed_ = nullptr;
};

}  // namespace plinth::cpu
