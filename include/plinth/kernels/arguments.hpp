// SPDX-License-Identifier: MIT
// Sizes and strides that the larger kernels take. Strides are in elements; sizes may be zero.
#pragma once

#include <cstdint>

#include <plinth/tensor/host_device.hpp>

namespace plinth {

/// Where element (i, j) of matrix number n lies: n * batch + i * row + j * column. A transposed operand is one with
/// row and column exchanged; a batch stride of 0 shares the matrix.
struct MatrixLayout {
  std::int64_t row = 0, column = 1, batch = 0;
};

/// Sizes of C (M, N) = A (M, K) B (K, N), `batch` times. C's columns are contiguous (c.column == 1).
struct GemmShape {
  std::int64_t batch = 1, M = 0, N = 0, K = 0;
  MatrixLayout a, b, c;
};

/// y = x: the formula of a product without an activation.
struct Identity {
  static constexpr const char* name = "identity";
  template <class T>
  PLINTH_HD static T forward(T x) {
    return x;
  }
  template <class T>
  PLINTH_HD static T backward(T, T dy) {
    return dy;
  }
};

/// Where channel d of (batch b, head h, time t) lies: b * batch + h * head + t * time + d.
struct HeadLayout {
  std::int64_t batch = 0, head = 0, time = 0;
};

/// Sizes of attention: query (B, H, queries, D), key and value (B, key_heads, keys, D), output as query.
/// Query head h reads key head h / (heads / key_heads). Which keys a query sees is said by VisibleKeys; a query that
/// sees none yields zeros.
struct AttentionShape {
  std::int64_t batch = 0, heads = 0, key_heads = 0, queries = 0, keys = 0, head_size = 0;
  HeadLayout query = {}, key = {}, value = {}, output = {};
  bool causal = false;
  std::int64_t window = 0;  // of causal attention; 0: no limit
  double scale = 1;
};

/// The keys that query i of one batch row sees: those of [first(i), past(i)), none where that is empty. The query
/// stands at key place + i; causal: it sees no key after that one, and with a window only the last `window` up to it.
struct VisibleKeys {
  std::int64_t begin, end;                // of the batch row
  std::int64_t window_begin, causal_end;  // of query 0, far away where there is no limit; one more for each query

  /// rows (B, 3) holds place, begin and end of each batch row b; null: keys - queries, 0 and keys.
  PLINTH_HD VisibleKeys(const AttentionShape& s, const std::int32_t* rows, std::int64_t b)
      : begin(rows ? rows[3 * b + 1] : 0), end(rows ? rows[3 * b + 2] : s.keys) {
    constexpr std::int64_t far = std::int64_t{1} << 62;
    const std::int64_t next = (rows ? rows[3 * b] : s.keys - s.queries) + 1;
    window_begin = s.causal && s.window > 0 ? next - s.window : -far;
    causal_end = s.causal ? next : far;
  }

  PLINTH_HD std::int64_t first(std::int64_t i) const { return window_begin + i > begin ? window_begin + i : begin; }
  PLINTH_HD std::int64_t past(std::int64_t i) const { return causal_end + i < end ? causal_end + i : end; }
};

/// Sizes of a rotary embedding over x (B, H, T, D), of which the first `rotated` channels of each head turn.
/// interleaved: the pairs are (2i, 2i + 1); otherwise (i, i + rotated / 2).
struct RotaryShape {
  std::int64_t batch = 0, heads = 0, time = 0, head_size = 0, rotated = 0, table_rows = 0;
  HeadLayout x, y;
  bool interleaved = false;
  bool inverse = false;
};

/// Constants of stochastic gradient descent; what changes from step to step is read from device memory.
struct SgdSettings {
  double momentum = 0, weight_decay = 0;
  bool nesterov = false;
};

/// Constants of Adam and AdamW; what changes from step to step is read from device memory.
struct AdamSettings {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0;
};

}  // namespace plinth
