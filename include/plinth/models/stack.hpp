// SPDX-License-Identifier: MIT
// A stack of transformer blocks, and the positions that its attention knows of.
// B batch, T sequence, S keys, C channels, H heads.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <plinth/attention/probe.hpp>
#include <plinth/autograd/checkpoint.hpp>
#include <plinth/models/block.hpp>
#include <plinth/position/alibi.hpp>

namespace plinth {

/// The blocks of an encoder or a decoder, with the norm behind the last where each block begins with one.
template <class T, class D = Cpu>
struct TransformerStack {
  RotaryTable<T, D> rotary;                         ///< for rotary positions; else undefined
  std::optional<RelativeBias<T, D>> relative_bias;  ///< for relative positions, of all layers
  std::optional<AlibiBias<T, D>> alibi_bias;        ///< for ALiBi, of all layers
  std::vector<TransformerBlock<T, D>> blocks;       ///< in the order of the pass
  std::optional<Norm<T, D>> final_norm;             ///< (C), where norms are pre
  std::int64_t blocks_per_checkpoint = 0;  ///< in training; 0: no gradient checkpoints, see checkpoint_sequence

  /// Of a completed config. A causal stack counts distances to earlier tokens only.
  TransformerStack(const TransformerConfig& config, bool causal, bool with_memory) {
    if (config.position == PositionKind::rotary)
      rotary = {config.context, config.head_size, config.rope_theta, config.rope_layout, config.rope_scaling};
    if (config.position == PositionKind::relative)
      relative_bias.emplace(config.heads, RelativeBuckets{config.relative_buckets, config.relative_distance, !causal});
    if (config.position == PositionKind::alibi) alibi_bias.emplace(config.heads);
    for (std::int64_t i = 0; i < config.layers; ++i) blocks.emplace_back(config, with_memory);
    if (config.norm_placement == NormPlacement::pre)
      final_norm.emplace(config.norm, config.hidden, config.bias, config.norm_epsilon);
  }

  /// x (B, T, C) at positions (B, T) -> (B, T, C). With a cache the tokens are appended to it. A probe is told of every
  /// layer.
  Tensor<T, D> operator()(Tensor<T, D> x, const Tensor<std::int32_t, D>& positions, AttentionMask<T, D> mask,
                          KeyValueCache<T, D>* cache = nullptr, Probe<T, D>* probe = nullptr,
                          const Memory<T, D>* memory = nullptr) const {
    add_position_bias(mask, positions, cache);
    const auto step = [=, table = rotary, seen = memory ? std::optional(*memory) : std::nullopt](
                          const auto& block, std::int64_t layer, const Tensor<T, D>& h) {
      if (probe) probe->hidden_states.push_back(detach(h));
      const auto* turns = table.values.defined() ? &table : nullptr;
      return block(h, mask, {positions, turns, cache, layer, probe}, seen ? &*seen : nullptr);
    };
    const bool once = cache || probe;  // a replay would append and tell once more
    x = checkpoint_sequence(blocks, once ? 0 : blocks_per_checkpoint, x, step);
    if (final_norm) x = (*final_norm)(x);
    if (probe) probe->hidden_states.push_back(detach(x));
    if (cache) cache->advance(x.size(1));
    return x;
  }

  static void visit(auto& self, auto&& f) {
    f("relative_bias", self.relative_bias);
    f("blocks", self.blocks);
    f("final_norm", self.final_norm);
  }

 private:
  void add_position_bias(AttentionMask<T, D>& mask, const Tensor<std::int32_t, D>& positions,
                         const KeyValueCache<T, D>* cache) const {
    if (!relative_bias && !alibi_bias) return;
    const auto keys = cache ? cache->key_positions(positions.size(1)) : positions;  // (B, S), or (1, S)
    const auto bias = relative_bias ? (*relative_bias)(positions, keys) : (*alibi_bias)(positions, keys);
    mask.bias = mask.bias.defined() ? mask.bias + bias : bias;  // (B, H, T, S)
  }
};

}  // namespace plinth
