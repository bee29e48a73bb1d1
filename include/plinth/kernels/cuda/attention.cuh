// SPDX-License-Identifier: MIT
// The mask of attention in its composed form.
#pragma once

#include <cstdint>
#include <limits>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cuda/elementwise.cuh>

namespace plinth::cuda {

template <class T>
struct MaskElement {
  AttentionShape shape;
  const std::int32_t* rows;
  T* mask;

  __device__ void operator()(std::int64_t at) const {
    const std::int64_t j = at % shape.keys, i = at / shape.keys % shape.queries;
    const VisibleKeys visible(shape, rows, at / shape.keys / shape.queries);
    const bool seen = j >= visible.first(i) && j < visible.past(i), inside = visible.begin >= 0 && visible.end <= shape.keys;
    mask[at] = inside ? rounded<T>(seen ? 0.0f : -std::numeric_limits<float>::infinity()) : no_value<T>();
  }
};

struct CudaAttention {
  /// mask (batch, queries, keys) = 0 where the query sees the key, else -inf. rows: as in VisibleKeys; NaN where they end
  /// outside the keys.
  template <class T>
  static void attention_mask(queue<Cuda>& queue, const AttentionShape& shape, const std::int32_t* rows, T* mask) {
    for_each_index(queue, shape.batch * shape.queries * shape.keys, MaskElement<T>{shape, rows, mask});
  }
};

}  // namespace plinth::cuda
