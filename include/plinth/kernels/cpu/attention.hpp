// SPDX-License-Identifier: MIT
// Attention of the CPU backend, without the (queries, keys) matrix in memory, and the mask of the form with it.
#pragma once

#include <cstdint>
#include <limits>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cpu/attention_backward.hpp>
#include <plinth/kernels/cpu/attention_forward.hpp>
#include <plinth/tensor/element.hpp>
#include <plinth/tensor/error.hpp>
#include <plinth/tensor/queue.hpp>

namespace plinth::cpu {

struct CpuAttention {
  /// mask (batch, queries, keys) = 0 where the query sees the key, else -inf. rows: as in VisibleKeys. Throws
  /// ArgumentError for rows that end outside the keys, as do the others here.
  template <class T>
  static void attention_mask(queue<Cpu>& queue, const AttentionShape& shape, const std::int32_t* rows, T* mask) {
    check(shape, rows);
    queue.parallel(shape.batch * shape.queries, [=](std::int64_t line) {
      const VisibleKeys visible(shape, rows, line / shape.queries);
      const std::int64_t i = line % shape.queries, first = visible.first(i), past = visible.past(i);
      for (std::int64_t j = 0; j < shape.keys; ++j)
        mask[line * shape.keys + j] = T(j >= first && j < past ? 0.0f : -std::numeric_limits<float>::infinity());
    });
  }

  /// log2_sum (B, H, queries) may be null. Throws MemoryError when there is no scratch memory.
  template <class T>
  static void attention(queue<Cpu>& queue, const AttentionShape& shape, const std::int32_t* rows, const T* query,
                        const T* key, const T* value, T* output, accumulator_t<T>* log2_sum) {
    check(shape, rows);
    AttentionForward<T>(queue, instruction_set(), shape, rows).run(query, key, value, output, log2_sum);
  }

  /// Overwrites dquery, dkey and dvalue, which lie as query, key and value do; doutput lies as output.
  template <class T>
  static void attention_backward(queue<Cpu>& queue, const AttentionShape& shape, const std::int32_t* rows,
                                 const T* query, const T* key, const T* value, const T* output,
                                 const accumulator_t<T>* log2_sum, const T* doutput, T* dquery, T* dkey, T* dvalue) {
    check(shape, rows);
    AttentionBackward<T>(queue, instruction_set(), shape, rows,
                         {query, key, value, output, log2_sum, doutput, dquery, dkey, dvalue})
        .run();
  }

 private:
  static void check(const AttentionShape& shape, const std::int32_t* rows) {
    for (std::int64_t b = 0; rows && b < shape.batch; ++b)
      detail::require<ArgumentError>(rows[3 * b + 1] >= 0 && rows[3 * b + 2] <= shape.keys, "attention: row ", b,
                                     " sees keys [", rows[3 * b + 1], ", ", rows[3 * b + 2], ") of ", shape.keys);
  }
};

}  // namespace plinth::cpu
