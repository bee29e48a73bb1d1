// SPDX-License-Identifier: MIT
// What a thread is doing: whether it records operations for gradients, and whether it trains.
#pragma once

#include <cstdint>

#include <plinth/tensor/random.hpp>
#include <plinth/tensor/tensor.hpp>

namespace plinth {

namespace detail {
inline thread_local bool recording = true;
}  // namespace detail

/// While it lives, operations of this thread are not recorded.  PyTorch: no_grad.
class NoGradient {
 public:
  NoGradient() : before_(detail::recording) { detail::recording = false; }
  ~NoGradient() { detail::recording = before_; }
  NoGradient(const NoGradient&) = delete;
  NoGradient& operator=(const NoGradient&) = delete;

 private:
  bool before_;
};

/// While it lives, this thread trains: dropout is active, and its masks are a function of (seed, rank, step,
/// micro_step) and of each layer's name. Outside every scope dropout is the identity.  PyTorch: model.train().
template <class D>
class TrainingScope {
 public:
  TrainingScope(std::uint64_t seed, std::int64_t step, std::int64_t micro_step = 0, std::int64_t rank = 0)
      : seed_(seed), before_(current_) {
    detail::require<ArgumentError>(step >= 0 && step < std::int64_t{1} << 31, "training: step ", step,
                                   " is outside [0, 2^31)");
    // The step is the counter; micro-steps and ranks move the key, each by an odd number of its own.
    seed_ += static_cast<std::uint64_t>(rank) * 0x9E3779B97F4A7C15u + static_cast<std::uint64_t>(micro_step) * 0xD1B54A32D192ED03u;
    clock_ = Tensor<std::int32_t, D>({1}, {static_cast<std::int32_t>(step)});
    current_ = this;
  }
  ~TrainingScope() { current_ = before_; }
  TrainingScope(const TrainingScope&) = delete;
  TrainingScope& operator=(const TrainingScope&) = delete;

  /// The innermost scope of this thread, or null.
  static const TrainingScope* current() { return current_; }
  RandomStream stream(std::uint32_t site) const { return {seed_, RandomPurpose::dropout, site}; }
  /// The step, in device memory.
  const Tensor<std::int32_t, D>& clock() const { return clock_; }

 private:
  std::uint64_t seed_;
  Tensor<std::int32_t, D> clock_;
  const TrainingScope* before_;
  static inline thread_local const TrainingScope* current_ = nullptr;
};

}  // namespace plinth
