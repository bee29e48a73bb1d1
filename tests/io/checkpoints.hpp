// SPDX-License-Identifier: MIT
// A small run whose checkpoints are known by heart: saved at a step, found and compared again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

#include <plinth/io/checkpoint.hpp>

#include "catch.hpp"

namespace checkpoints {

struct Net {
  using element = float;
  using device = plinth::Cpu;
  plinth::Tensor<float> weight, bias;

  explicit Net(float first = 0, const plinth::Shape& shape = {2, 3})
      : weight(shape, std::vector<float>(static_cast<std::size_t>(plinth::element_count(shape)), first)),
        bias({2}, {first, 1}) {}
  static void visit(auto& self, auto&& f) {
    f("weight", self.weight);
    f("bias", self.bias);
  }
};

/// An optimiser as far as checkpoints know one.
struct Momentum {
  plinth::Tensor<float> velocity;
  std::int64_t taken;

  explicit Momentum(float first = 0, std::int64_t steps = 0) : velocity({3}, {first, 2, 3}), taken(steps) {}
  std::int64_t steps() const { return taken; }
  void set_steps(std::int64_t steps) { taken = steps; }
  static void visit(auto& self, auto&& f) { f("weight.velocity", self.velocity); }
};

inline const nlohmann::json settings = {{"batch", 8}, {"learning_rate", 0.001}, {"text", "abc"}};

/// Saves what belongs to a step: all values are the step's number.
inline std::filesystem::path save(const std::filesystem::path& folder, std::int64_t step, std::size_t keep = 3) {
  const auto value = static_cast<float>(step);
  return plinth::save_checkpoint(folder, Net(value), Momentum(value, step + 1), {step, 7}, settings, keep);
}

/// The step of the newest whole checkpoint, all of which is what `save` saved; -1 where there is none.
inline std::int64_t newest(const std::filesystem::path& folder, std::size_t skipped = 0) {
  const auto found = plinth::latest_checkpoint(folder);
  CHECK(found.skipped.size() == skipped);
  if (!found.checkpoint) return -1;
  Net net;
  Momentum momentum;
  const plinth::TrainerState state = found.checkpoint->load(net, momentum, settings);
  const auto value = static_cast<float>(state.next_step);
  CHECK(state.seed == 7);
  CHECK(net.weight.to_vector() == std::vector<float>(6, value));
  CHECK(net.bias.to_vector() == std::vector<float>{value, 1});
  CHECK(momentum.velocity.to_vector() == std::vector<float>{value, 2, 3});
  CHECK(momentum.steps() == state.next_step + 1);
  return state.next_step;
}

}  // namespace checkpoints
