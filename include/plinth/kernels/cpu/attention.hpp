// SPDX-License-Identifier: MIT
// Attention of the CPU backend, without the (queries, keys) matrix in memory.
#pragma once

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cpu/attention_backward.hpp>
#include <plinth/kernels/cpu/attention_forward.hpp>
#include <plinth/tensor/element.hpp>
#include <plinth/tensor/queue.hpp>

namespace plinth::cpu {

struct CpuAttention {
  /// log_sum_exp (B, H, queries) may be null. Throws MemoryError when there is no scratch memory.
  template <class T>
  static void attention(queue<Cpu>& queue, const AttentionShape& shape, const T* query, const T* key, const T* value,
                        T* output, accumulator_t<T>* log_sum_exp) {
    AttentionForward<T>(queue, instruction_set(), shape).run(query, key, value, output, log_sum_exp);
  }

  /// Overwrites dquery, dkey and dvalue, which lie as query, key and value do; doutput lies as output.
  template <class T>
  static void attention_backward(queue<Cpu>& queue, const AttentionShape& shape, const T* query, const T* key,
                                 const T* value, const T* output, const accumulator_t<T>* log_sum_exp, const T* doutput,
                                 T* dquery, T* dkey, T* dvalue) {
    AttentionBackward<T>(queue, instruction_set(), shape,
                         {query, key, value, output, log_sum_exp, doutput, dquery, dkey, dvalue})
        .run();
  }
};

}  // namespace plinth::cpu
