// SPDX-License-Identifier: MIT
// The key-value cache: keys and values of tokens already seen, so that a model computes those of new tokens alone.
// B batch, G key heads, T new tokens, S all tokens, D head size.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include <plinth/ops/heads.hpp>

namespace plinth {

/// Keys and values of a sequence, split into heads.
template <class T, class D = Cpu>
struct KeyValues {
  Tensor<T, D> keys,  ///< (B, G, S, D)
      values;         ///< (B, G, S, D)
};

/// Keys and values of every layer. Rows of the batch may hold different numbers of tokens: token i of row b has the
/// place i, which is also its position. A model appends in each layer and then advances by the new tokens; when it
/// fails in between, the cache is as before. A copy shares the memory: of both, go on with one.
/// Pope et al. 2022 (arXiv:2211.05102), section 2.1.
///
/// After a first step, in which layers take their memory, a step can be recorded in a graph, for what changes from step
/// to step is read from the device. The recording counts the tokens as a step does, so the first replay comes at once:
///   cache.show_whole(true);
///   cache.prepare(1);
///   const graph<Cuda> step([&] { logits = model(token, {}, &cache); });
///   step.replay();
///   while (...) { (write the next token); cache.prepare(1); step.replay(); cache.advance(1); }
template <class T, class D = Cpu>
class KeyValueCache {
 public:
  /// Room for `capacity` tokens in each of `batch` rows; a layer takes its memory when it first appends.
  /// Throws ArgumentError for a negative size.
  KeyValueCache(std::int64_t batch, std::int64_t capacity) : capacity_(capacity) {
    detail::require<ArgumentError>(batch >= 0 && capacity >= 0, "cache: batch ", batch, " and capacity ", capacity,
                                   " must not be negative");
    lengths_.assign(static_cast<std::size_t>(batch), 0);
  }

  /// The number of rows.
  std::int64_t batch() const { return static_cast<std::int64_t>(lengths_.size()); }
  /// How many tokens each row has room for.
  std::int64_t capacity() const { return capacity_; }
  /// How many tokens each row holds.
  const std::vector<std::int64_t>& lengths() const { return lengths_; }
  /// How many tokens the row with the most of them holds; 0 without rows.
  std::int64_t longest() const { return lengths_.empty() ? 0 : *std::max_element(lengths_.begin(), lengths_.end()); }

  /// Whether append returns all of the capacity, whatever the rows hold, so that each step has the same shapes: for
  /// steps that are recorded. The mask hides what is not held.
  void show_whole(bool whole) { whole_ = whole; }

  /// Sends to the device what a step of T tokens reads there: where they stand, and what they see; unless rows are
  /// reordered, always to the same addresses. A model's call does this by itself where it can: not in a recording.
  void prepare(std::int64_t tokens) const {
    if (prepared_ == tokens) return;
    std::vector<std::int32_t> positions, rows;
    for (const std::int64_t length : lengths_) {
      for (std::int64_t i = 0; i < tokens; ++i) positions.push_back(static_cast<std::int32_t>(length + i));
      rows.insert(rows.end(), {static_cast<std::int32_t>(length), 0, static_cast<std::int32_t>(length + tokens)});
    }
    write(positions, batch() * std::max(capacity_, tokens), positions_);
    write(rows, batch() * 3, rows_);
    prepared_ = tokens;
  }

  /// The positions (B, T) of the next T tokens; the next step changes them.
  Tensor<std::int32_t, D> next_positions(std::int64_t tokens) const {
    prepare(tokens);
    return detail::TensorAccess::view(positions_, {batch(), tokens}, {tokens, 1});
  }

  /// The positions (1, S) of the keys that append returns with the next T tokens.
  Tensor<std::int32_t, D> key_positions(std::int64_t tokens) const {
    if (!places_.defined()) places_ = detail::counted<D>(capacity_);
    return detail::TensorAccess::view(places_, {1, shown(tokens)}, {capacity_, 1});
  }

  /// AttentionMask::rows of the next T tokens: they see what their row holds, and each other; the next step changes
  /// them.
  Tensor<std::int32_t, D> mask_rows(std::int64_t tokens) const {
    prepare(tokens);
    return detail::TensorAccess::view(rows_, {batch(), 3}, {3, 1});
  }

  /// Puts the next tokens (B, G, T, D) of a layer behind those that each row holds, and returns all of the layer, of
  /// shape (B, G, longest + T, D), after show_whole(true) (B, G, capacity, D), as a view that the next append may
  /// change. Layers come in order. Throws ShapeError, ArgumentError when the capacity is exceeded, GradientError for
  /// tensors that need a gradient: none passes the cache.
  KeyValues<T, D> append(std::int64_t layer, const KeyValues<T, D>& next) {
    check(layer, next);
    KeyValues<T, D>& held = at(layer).own;
    const std::int64_t tokens = next.keys.size(2);
    if (!held.keys.defined()) {  // zeros: what is hidden is multiplied by 0, which must not meet a NaN
      Shape shape = next.keys.shape();
      shape[2] = capacity_;
      held = {zeros<T, D>(shape), zeros<T, D>(shape)};
    }
    append(next.keys, held.keys);
    append(next.values, held.values);
    return {slice(held.keys, 2, 0, shown(tokens)), slice(held.values, 2, 0, shown(tokens))};
  }

  /// Counts the tokens that all layers have appended. Throws ArgumentError when there is no room for them.
  void advance(std::int64_t tokens) {
    detail::require<ArgumentError>(tokens >= 0 && longest() + tokens <= capacity_, "cache: ", tokens, " tokens after ",
                                   longest(), " exceed the capacity of ", capacity_);
    for (std::int64_t& length : lengths_) length += tokens;
    prepared_ = -1;
  }

  /// Forgets the tokens of row b from lengths[b] on. Throws ArgumentError for another number of rows, or for a length
  /// that is negative or beyond what the row holds; then nothing is forgotten.
  void truncate(const std::vector<std::int64_t>& lengths) {
    detail::require<ArgumentError>(lengths.size() == lengths_.size(), "cache: ", lengths.size(), " lengths for ",
                                   batch(), " rows");
    for (std::size_t b = 0; b < lengths.size(); ++b)
      detail::require<ArgumentError>(lengths[b] >= 0 && lengths[b] <= lengths_[b], "cache: row ", b, " holds ",
                                     lengths_[b], " tokens and cannot be truncated to ", lengths[b]);
    lengths_ = lengths;
    prepared_ = -1;
  }

  /// Row b becomes what row sources[b] was; the batch becomes as large as sources, as beam search and batches that
  /// shrink need it. Throws ArgumentError for a row that is not there, MemoryError; then nothing has changed.
  void reorder(const std::vector<std::int64_t>& sources) {
    for (const std::int64_t source : sources)
      detail::require<ArgumentError>(source >= 0 && source < batch(), "cache: there is no row ", source, " of ",
                                     batch());
    std::vector<Layer> layers;
    const auto rows = [&](const KeyValues<T, D>& x, std::int64_t tokens) {
      return KeyValues<T, D>{rows_of(x.keys, sources, tokens), rows_of(x.values, sources, tokens)};
    };
    for (const auto& [own, memory] : layers_)
      layers.push_back({rows(own, longest()), rows(memory, memory.keys.defined() ? memory.keys.size(2) : 0)});
    std::vector<std::int64_t> lengths;
    for (const std::int64_t source : sources) lengths.push_back(lengths_[static_cast<std::size_t>(source)]);
    layers_ = std::move(layers);
    lengths_ = std::move(lengths);
    prepared_ = -1;
  }

  /// Forgets all tokens and memories; the room for tokens stays.
  void clear() {
    lengths_.assign(lengths_.size(), 0);
    prepared_ = -1;
    for (Layer& layer : layers_) layer.memory = {};
  }

  /// What the layer's cross-attention looks at, undefined until it is set. Throws ArgumentError when a layer before it
  /// was not asked for yet.
  KeyValues<T, D>& memory(std::int64_t layer) { return at(layer).memory; }

 private:
  struct Layer {
    KeyValues<T, D> own, memory;
  };

  Layer& at(std::int64_t layer) {
    const auto known = static_cast<std::int64_t>(layers_.size());
    detail::require<ArgumentError>(layer >= 0 && layer <= known, "cache: layer ", layer, " comes after layer ", known);
    if (layer == known) layers_.emplace_back();
    return layers_[static_cast<std::size_t>(layer)];
  }

  void check(std::int64_t layer, const KeyValues<T, D>& next) {
    const Tensor<T, D>&k = next.keys, &v = next.values, &held = at(layer).own.keys;
    detail::require<ShapeError>(k.rank() == 4 && k.shape() == v.shape() && k.size(0) == batch(), "cache: keys ",
                                k.shape(), " and values ", v.shape(), " are not (B, G, T, D) with B ", batch());
    detail::require<ShapeError>(!held.defined() || (k.size(1) == held.size(1) && k.size(3) == held.size(3)),
                                "cache: keys ", k.shape(), " do not fit those of layer ", layer, ", ", held.shape());
    detail::require<ArgumentError>(longest() + k.size(2) <= capacity_, "cache: ", k.size(2), " tokens after ",
                                   longest(), " exceed the capacity of ", capacity_);
    detail::require<GradientError>(!needs_gradient(k) && !needs_gradient(v),
                                   "cache: no gradient passes it; use it under NoGradient");
  }

  /// How many places append returns with the next T tokens.
  std::int64_t shown(std::int64_t tokens) const { return whole_ ? capacity_ : longest() + tokens; }

  /// x (B, G, T, D) goes behind what each row holds in y (B, G, capacity, D).
  void append(const Tensor<T, D>& x, Tensor<T, D>& y) const {
    const auto from = detail::with_whole_channels(x);
    const AppendShape shape{.batch = batch(), .heads = x.size(1), .time = x.size(2), .head_size = x.size(3),
                            .capacity = capacity_, .x = detail::head_layout(from), .y = detail::head_layout(y)};
    kernels<D>::append_rows(queue<D>::current(), shape, mask_rows(x.size(2)).data(), from.data(), y.mutable_data());
  }

  /// The values at the beginning of a tensor with room for so many.
  static void write(const std::vector<std::int32_t>& values, std::int64_t room, Tensor<std::int32_t, D>& to) {
    if (!to.defined() || to.count() < room) to = Tensor<std::int32_t, D>({room});
    plinth::memory<D>::copy_from_host(to.mutable_data(), values.data(), values.size() * sizeof(std::int32_t));
  }

  /// The first `tokens` times of row a of x become those from `to` on of row b of y.
  static void copy_row(const Tensor<T, D>& x, std::int64_t a, Tensor<T, D>& y, std::int64_t b, std::int64_t to,
                       std::int64_t tokens) {
    const Shape &s = x.strides(), &t = y.strides();
    kernels<D>::copy(queue<D>::current(), {x.size(1), tokens, x.size(3)}, {s[1], s[2], s[3]}, x.data() + a * s[0],
                     {t[1], t[2], t[3]}, y.mutable_data() + b * t[0] + to * t[2]);
  }

  /// The rows of x (B, G, S, D), of which the first `tokens` times count: the others are zeros.
  static Tensor<T, D> rows_of(const Tensor<T, D>& x, const std::vector<std::int64_t>& sources, std::int64_t tokens) {
    if (!x.defined()) return {};
    const auto rows = static_cast<std::int64_t>(sources.size());
    auto y = zeros<T, D>({rows, x.size(1), x.size(2), x.size(3)});
    for (std::int64_t b = 0; b < rows; ++b) copy_row(x, sources[static_cast<std::size_t>(b)], y, b, 0, tokens);
    return y;
  }

  std::int64_t capacity_;
  std::vector<std::int64_t> lengths_;
  bool whole_ = false;
  mutable Tensor<std::int32_t, D> positions_, rows_;  // (B, T) and (B, 3) of the next tokens, with room
  mutable Tensor<std::int32_t, D> places_;            // (capacity), 0, 1, 2 ..., where anybody asked for them
  mutable std::int64_t prepared_ = -1;                // for how many tokens; -1: the lengths have changed since
  std::vector<Layer> layers_;
};

}  // namespace plinth
