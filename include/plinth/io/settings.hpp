// SPDX-License-Identifier: MIT
// What a training run is made with, as JSON: a checkpoint holds it, and a run that goes on must be made with the same.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include <plinth/models/config.hpp>
#include <plinth/train/trainer.hpp>

namespace plinth {

namespace detail {

/// The name of an enumerator, of all of them in order. Throws ArgumentError for a value that is none.
template <class E, std::size_t N>
std::string name_of(E value, const std::string_view (&names)[N]) {
  require<ArgumentError>(static_cast<std::size_t>(value) < N, "settings: there is no value ", static_cast<int>(value),
                         " of what is one of ", names[0], " and ", N - 1, " others");
  return std::string(names[static_cast<std::size_t>(value)]);
}

}  // namespace detail

/// The options that decide a run's bits, its schedule among them, but for the seed, which is part of its state, and for
/// those of the optimiser, which tells them itself. With another schedule:
///   auto settings = settings_of(options);
///   settings.update(settings_of(schedule));
inline nlohmann::json settings_of(const TrainerOptions& options) {
  return {{"steps", options.steps},
          {"batch", options.batch},
          {"context", options.context},
          {"accumulation", options.accumulation},
          {"learning_rate", options.learning_rate},
          {"final_learning_rate", options.final_learning_rate},
          {"warmup_steps", options.warmup_steps},
          {"clip_norm", options.clip_norm}};
}

/// What a schedule is.
/// @{
inline nlohmann::json settings_of(const ConstantSchedule& schedule) {
  return {{"schedule", "constant"}, {"learning_rate", schedule.peak_rate}, {"warmup_steps", schedule.warmup_steps}};
}
inline nlohmann::json settings_of(const LinearSchedule& schedule) {
  return {{"schedule", "linear"},
          {"learning_rate", schedule.peak_rate},
          {"final_learning_rate", schedule.final_rate},
          {"warmup_steps", schedule.warmup_steps},
          {"schedule_steps", schedule.steps}};
}
inline nlohmann::json settings_of(const CosineSchedule& schedule) {
  return {{"schedule", "cosine"},
          {"learning_rate", schedule.peak_rate},
          {"final_learning_rate", schedule.final_rate},
          {"warmup_steps", schedule.warmup_steps},
          {"schedule_steps", schedule.steps}};
}
inline nlohmann::json settings_of(const InverseSquareRootSchedule& schedule) {
  return {{"schedule", "inverse square root"},
          {"learning_rate", schedule.peak_rate},
          {"warmup_steps", schedule.warmup_steps}};
}
inline nlohmann::json settings_of(const StableSchedule& schedule) {
  return {{"schedule", "stable"},
          {"learning_rate", schedule.peak_rate},
          {"final_learning_rate", schedule.final_rate},
          {"warmup_steps", schedule.warmup_steps},
          {"decay_steps", schedule.decay_steps},
          {"schedule_steps", schedule.steps}};
}
/// @}

/// All of a model's shape, but for the seed and the deviation of its first weights.
inline nlohmann::json settings_of(const TransformerConfig& config) {
  using detail::name_of;
  return {{"vocabulary", config.vocabulary},
          {"context", config.context},
          {"hidden", config.hidden},
          {"layers", config.layers},
          {"heads", config.heads},
          {"key_heads", config.key_heads},
          {"head_size", config.head_size},
          {"feed_forward", config.feed_forward},
          {"segments", config.segments},
          {"norm", name_of(config.norm, {"layer", "rms"})},
          {"norm_placement", name_of(config.norm_placement, {"pre", "post"})},
          {"norm_epsilon", config.norm_epsilon},
          {"embedding_norm", config.embedding_norm},
          {"activation", name_of(config.activation, {"relu", "gelu", "gelu_tanh", "silu", "swish", "sigmoid"})},
          {"gated", config.gated},
          {"position", name_of(config.position, {"learned", "sinusoidal", "rotary", "alibi", "relative", "none"})},
          {"rope_theta", config.rope_theta},
          {"rope_layout", name_of(config.rope_layout, {"half_split", "interleaved"})},
          {"rope_scaling", name_of(config.rope_scaling.kind, {"none", "linear", "dynamic_ntk", "yarn", "llama3"})},
          {"rope_factor", config.rope_scaling.factor},
          {"rope_original_context", config.rope_scaling.original_context},
          {"rope_low_frequency_factor", config.rope_scaling.low_frequency_factor},
          {"rope_high_frequency_factor", config.rope_scaling.high_frequency_factor},
          {"rope_beta_fast", config.rope_scaling.beta_fast},
          {"rope_beta_slow", config.rope_scaling.beta_slow},
          {"rope_attention_factor", config.rope_scaling.attention_factor},
          {"relative_buckets", config.relative_buckets},
          {"relative_distance", config.relative_distance},
          {"window", config.window},
          {"attention_scale", config.attention_scale},
          {"logit_scale", config.logit_scale},
          {"bias", config.bias},
          {"tied_head", config.tied_head},
          {"dropout", config.dropout},
          {"attention_dropout", config.attention_dropout}};
}

}  // namespace plinth
