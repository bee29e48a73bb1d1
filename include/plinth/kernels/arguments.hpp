// SPDX-License-Identifier: MIT
// Sizes, strides and settings that the larger kernels take. Strides are in elements; sizes may be zero.
#pragma once

#include <cstdint>

#include <plinth/tensor/element.hpp>
#include <plinth/tensor/host_device.hpp>

namespace plinth {

/// Where element (i, j) of matrix number n lies: n * batch + i * row + j * column. A transposed operand is one with
/// row and column exchanged; a batch stride of 0 shares the matrix.
struct MatrixLayout {
  std::int64_t row = 0,  ///< from a row to the next
      column = 1,        ///< from a column to the next
      batch = 0;         ///< from a matrix to the next
};

/// Sizes of C (M, N) = A (M, K) B (K, N), `batch` times. C's columns are contiguous (c.column == 1).
struct GemmShape {
  std::int64_t batch = 1,  ///< products
      M = 0,               ///< rows of A and C
      N = 0,               ///< columns of B and C
      K = 0;               ///< columns of A, rows of B
  MatrixLayout a,          ///< of A
      b,                   ///< of B
      c;                   ///< of C
};

/// y = x: the formula of a product without an activation.
struct Identity {
  static constexpr const char* name = "identity";
  /// y = x
  template <class T>
  PLINTH_HD static T forward(T x) {
    return x;
  }
  /// dx = dy
  template <class T>
  PLINTH_HD static T backward(T, T dy) {
    return dy;
  }
};

namespace detail {

/// Whether F is GELU in its tanh form, which libraries of products have built in; the formula says it of itself.
template <class F>
inline constexpr bool is_gelu_tanh = false;

}  // namespace detail

/// Where channel d of (batch b, head h, time t) lies: b * batch + h * head + t * time + d.
struct HeadLayout {
  std::int64_t batch = 0,  ///< from a row of the batch to the next
      head = 0,            ///< from a head to the next
      time = 0;            ///< from a token to the next
};

/// Sizes of attention: query (B, H, queries, D), key and value (B, key_heads, keys, D), output as query.
/// Query head h reads key head h / (heads / key_heads). Which keys a query sees is said by VisibleKeys; a query that
/// sees none yields zeros.
struct AttentionShape {
  std::int64_t batch = 0,   ///< B
      heads = 0,            ///< H, of the queries
      key_heads = 0,        ///< of keys and values, a divisor of heads
      queries = 0,          ///< tokens that ask
      keys = 0,             ///< tokens that are asked
      head_size = 0;        ///< D, channels of a head
  HeadLayout query = {},    ///< (B, H, queries, D)
      key = {},             ///< (B, key_heads, keys, D)
      value = {},           ///< (B, key_heads, keys, D)
      output = {};          ///< (B, H, queries, D)
  bool causal = false;      ///< whether a query sees no key after its own place
  std::int64_t window = 0;  ///< of causal attention; 0: no limit
  double scale = 1;         ///< factor of the scores
};

/// The keys that query i of one batch row sees: those of [first(i), past(i)), none where that is empty. The query
/// stands at key place + i; causal: it sees no key after that one, and with a window only the last `window` up to it.
struct VisibleKeys {
  std::int64_t begin,         ///< the first key of the batch row
      end;                    ///< behind its last
  std::int64_t window_begin,  ///< the first key in the window of query 0, one more for each query; -2^62 without one
      causal_end;             ///< behind the last key up to query 0, one more for each query; 2^62 when not causal

  /// rows (B, 3) holds place, begin and end of each batch row b; null: keys - queries, 0 and keys.
  PLINTH_HD VisibleKeys(const AttentionShape& s, const std::int32_t* rows, std::int64_t b)
      : begin(rows ? rows[3 * b + 1] : 0), end(rows ? rows[3 * b + 2] : s.keys) {
    constexpr std::int64_t unlimited = std::int64_t{1} << 62;
    const std::int64_t next = (rows ? rows[3 * b] : s.keys - s.queries) + 1;
    window_begin = s.causal && s.window > 0 ? next - s.window : -unlimited;
    causal_end = s.causal ? next : unlimited;
  }

  /// The first key that query i sees.
  PLINTH_HD std::int64_t first(std::int64_t i) const { return window_begin + i > begin ? window_begin + i : begin; }
  /// The key behind the last that query i sees.
  PLINTH_HD std::int64_t past(std::int64_t i) const { return causal_end + i < end ? causal_end + i : end; }
  /// The first query that key j, which is not beyond `end`, is not too late for; 0 and less where all are.
  PLINTH_HD std::int64_t first_query(std::int64_t j) const { return j + 1 - causal_end; }
};

/// Sizes of appending x (B, H, T, D) to what each row of the batch holds in y (B, H, capacity, D).
struct AppendShape {
  std::int64_t batch = 0,  ///< B
      heads = 0,           ///< H
      time = 0,            ///< T
      head_size = 0,       ///< D
      capacity = 0;        ///< places of y
  HeadLayout x,            ///< of what is appended
      y;                   ///< of what it is appended to
};

/// Sizes of a rotary embedding over x (B, H, T, D), of which the first `rotated` channels of each head turn.
/// interleaved: the pairs are (2i, 2i + 1); otherwise (i, i + rotated / 2).
struct RotaryShape {
  std::int64_t batch = 0,    ///< B
      heads = 0,             ///< H
      time = 0,              ///< T
      head_size = 0,         ///< D
      rotated = 0,           ///< channels that turn, even and at most D
      table_rows = 0;        ///< positions that the table has
  HeadLayout x,              ///< of the input
      y;                     ///< of the output
  bool interleaved = false;  ///< which channels are pairs, see above
  bool inverse = false;      ///< whether they turn back, as gradients do
};

/// `count` elements of T side by side: one item of a list that a kernel takes in one call.
template <class T>
struct DenseArray {
  std::int64_t count = 0;   ///< elements
  const T* data = nullptr;  ///< the first
};

/// What a group of parameters has of its own: its rate is rate_factor times the step's.
struct ParameterGroup {
  double rate_factor = 1,  ///< 0: the group stays as it is
      weight_decay = 0;    ///< in place of that of the settings
};

/// One parameter of an optimiser's step: its group, and where its numbers lie, `count` of each.
template <class T>
struct TrainedParameter {
  std::int64_t count = 0;            ///< elements
  ParameterGroup group = {};         ///< whose rate factor and decay it has
  const T* gradient = nullptr;       ///< read
  accumulator_t<T>*first = nullptr,  ///< Adam's first moment; the velocity of descent, null without momentum
      *second = nullptr,             ///< Adam's second moment
          *master = nullptr;         ///< what weights of 16 bits are the rounded copies of; else null
  T* weight = nullptr;               ///< what the model computes with
};

/// Constants of stochastic gradient descent; what changes from step to step is read from device memory.
struct SgdSettings {
  double momentum = 0,    ///< 0: none
      weight_decay = 0;   ///< of parameters in no group; those with one axis have none
  bool nesterov = false;  ///< whether the step looks ahead along the velocity
};

/// Constants of Adam and AdamW; what changes from step to step is read from device memory.
struct AdamSettings {
  double beta1 = 0.9,    ///< decay of the first moment, in [0, 1)
      beta2 = 0.999,     ///< decay of the second moment, in [0, 1)
      epsilon = 1e-8,    ///< added to the square root
      weight_decay = 0;  ///< of parameters in no group; those with one axis have none
};

/// How to choose: the repetition penalty changes the logits, temperature makes them probabilities, and each further
/// field drops tokens from what those before it left. transformers: the LogitsProcessors of the same names.
struct SamplingOptions {
  /// Probabilities are softmax(logits / temperature); 0 takes the most likely token.
  double temperature = 1;
  /// Keeps the k most likely tokens; 0: all. Fan et al. 2018 (arXiv:1805.04833), section 5.4.
  std::int64_t top_k = 0;
  /// Keeps the fewest of the most likely tokens that together are at least this probable; 1: all.
  /// Holtzman et al. 2019 (arXiv:1904.09751), section 3.1.
  double top_p = 1;
  /// Keeps the tokens at least this many times as probable as the most likely one; 0: all.
  /// Nguyen et al. 2024 (arXiv:2407.01082), section 3.
  double min_p = 0;
  /// Divides positive logits of tokens already seen, and multiplies negative ones; 1: no penalty.
  /// Keskar et al. 2019 (arXiv:1909.05858), section 4.1, for logits of both signs.
  double repetition_penalty = 1;
};

}  // namespace plinth
