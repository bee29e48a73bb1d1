// SPDX-License-Identifier: MIT
// The meta device: tensors with shapes and no memory, kernels that compute nothing. What runs on it costs no time and
// no bytes, and is counted: the bytes that another device would have handed out, and the arithmetic of products.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include <plinth/kernels/contract.hpp>
#include <plinth/tensor/memory.hpp>
#include <plinth/tensor/queue.hpp>

namespace plinth {

/// PyTorch: device="meta".
struct Meta {
  static constexpr const char* name = "meta";
};

namespace detail {

/// Hands out addresses that nobody may follow, each one once. Its pool calls it under a lock.
struct NoMemory {
  static constexpr const char* name = "meta memory";
  static void* allocate(std::size_t bytes) {
    static std::uintptr_t next = 64;
    return reinterpret_cast<void*>(std::exchange(next, next + bytes));
  }
  static void release(void*) {}
};

}  // namespace detail

/// A pool that counts as memory<Cpu> does. What is read from the device is zeros.
template <>
struct memory<Meta> {
  /// What memory<Cpu> calls the same.
  /// @{
  static constexpr bool keeps_values = false;
  static void* allocate(std::size_t bytes) { return pool().allocate(bytes); }
  static void release(void* block, std::size_t bytes) noexcept { pool().release(block, bytes); }
  static MemoryUse use() { return pool().use(); }
  static void reset_peak() { pool().reset_peak(); }
  static void set_budget(std::size_t bytes) { pool().set_budget(bytes); }
  static void trim() { pool().trim(); }
  static void fail_after(std::int64_t allocations) { pool().fail_after(allocations); }
  static void copy_from_host(void*, const void*, std::size_t) {}
  static void copy_to_host(void* destination, const void*, std::size_t bytes) {
    if (bytes) std::memset(destination, 0, bytes);
  }

  /// @}
 private:
  static detail::Pool<detail::NoMemory>& pool() {
    static auto& instance = *new detail::Pool<detail::NoMemory>;
    return instance;
  }
};

/// Counts the floating-point operations of matrix products and attention, a multiplication and an addition each being one.
template <>
class queue<Meta> {
 public:
  /// The queue of this thread.
  static queue& current() {
    thread_local queue instance;
    return instance;
  }
  /// Returns at once: there is nothing to wait for.
  void synchronize() {}

  double flops = 0;  ///< of this thread since it began; a program may set it back
};

/// Every primitive, and the fused forms that kernels<Cpu> has, so that both hand out the same memory.
template <>
struct kernels<Meta> {
  /// The first argument of every kernel.
  using Queue = queue<Meta>;

  /// 2 M N K operations for each matrix of the batch.
  /// @{
  static void gemm(Queue& queue, const GemmShape& s, const auto&...) { queue.flops += product(s); }
  static void gemm_bias_activation(Queue& queue, const GemmShape& s, const auto&...) { queue.flops += product(s); }
  /// @}
  /// Two products over the pairs of a query and a key that it sees.
  static void attention(Queue& queue, const AttentionShape& s, const auto&...) { queue.flops += 2 * pairs(s); }
  /// Five products: the scores are computed again.
  static void attention_backward(Queue& queue, const AttentionShape& s, const auto&...) { queue.flops += 5 * pairs(s); }

  /// Nothing: the contract says what these would compute.
  /// @{
  static void fill(Queue&, const auto&...) {}
  static void copy(Queue&, const Shape&, const Shape&, const void*, const Shape&, void*) {}
  static void cast(Queue&, const auto&...) {}
  static void accumulate(Queue&, const auto&...) {}
  static void scale(Queue&, const auto&...) {}
  static void pointwise(Queue&, const auto&...) {}
  static void pointwise_backward(Queue&, const auto&...) {}
  static void binary(Queue&, const Shape&, const auto&, const Shape&, const void*, const Shape&, const void*, void*) {}
  static void reduce_sum(Queue&, const auto&...) {}
  static void squared_norm(Queue&, const auto&...) {}
  static void softmax(Queue&, const auto&...) {}
  static void softmax_backward(Queue&, const auto&...) {}
  static void attention_mask(Queue&, const auto&...) {}
  static void layer_norm(Queue&, const auto&...) {}
  static void layer_norm_backward(Queue&, const auto&...) {}
  static void rms_norm(Queue&, const auto&...) {}
  static void rms_norm_backward(Queue&, const auto&...) {}
  static void gather_rows(Queue&, const auto&...) {}
  static void scatter_add_rows(Queue&, const auto&...) {}
  static void append_rows(Queue&, const auto&...) {}
  static void dropout(Queue&, const auto&...) {}
  static void cross_entropy(Queue&, const auto&...) {}
  static void cross_entropy_backward(Queue&, const auto&...) {}
  static void rotate(Queue&, const auto&...) {}
  static void sgd(Queue&, const auto&...) {}
  static void adam(Queue&, const auto&...) {}

  /// @}
 private:
  static double product(const GemmShape& s) {
    return 2.0 * static_cast<double>(s.batch) * static_cast<double>(s.M) * static_cast<double>(s.N) * static_cast<double>(s.K);
  }
  /// A product's operations over the pairs of a query and a key that it sees, as VisibleKeys says without rows, which no
  /// memory holds here: causal query i sees the last keys - queries + i + 1 keys at most, or the window.
  static double pairs(const AttentionShape& s) {
    const auto sum_to = [window = static_cast<double>(s.window > 0 ? s.window : s.keys)](std::int64_t past) {
      const double n = static_cast<double>(past), rising = n < window ? n : window;  // 1 + 2 + ... up to the window
      return rising * (rising + 1) / 2 + (n - rising) * window;
    };
    const std::int64_t hidden = s.keys > s.queries ? s.keys - s.queries : 0;  // from the first query's row on
    const double seen = s.causal ? sum_to(s.keys) - sum_to(hidden)
                                 : static_cast<double>(s.queries) * static_cast<double>(s.keys);
    return 2 * static_cast<double>(s.batch * s.heads) * seen * static_cast<double>(s.head_size);
  }
};

static_assert(RequiredKernels<kernels<Meta>, Meta, float>);
static_assert(FusedGemm<kernels<Meta>, Meta, float>);
static_assert(FusedAttention<kernels<Meta>, Meta, float>);

}  // namespace plinth
