// SPDX-License-Identifier: MIT
// What a thread is doing: whether it records operations for gradients, and whether it trains.
#pragma once

#include <cstdint>
#include <utility>

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

namespace detail {

/// While it lives, operations of this thread are recorded, whatever scope is around it.
class Recording {
 public:
  Recording() : before_(recording) { recording = true; }
  ~Recording() { recording = before_; }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

 private:
  bool before_;
};

}  // namespace detail

/// While it lives, this thread trains: dropout is active, and its masks are a function of (seed, rank, step,
/// micro_step) and of each layer's name. Outside every scope dropout is the identity.  PyTorch: model.train().
template <class D>
class TrainingScope {
 public:
  /// What masks are drawn from; outside every scope the clock is undefined.
  struct Key {
    std::uint64_t seed = 0;         ///< the seed, moved by rank and micro-step
    Tensor<std::int32_t, D> clock;  ///< (1), the step
  };

  /// Training in this micro-step, counted from 0 in each step, of this process of a group, rank 0 when there is one.
  /// Throws ArgumentError for a step outside [0, 2^31).
  TrainingScope(std::uint64_t seed, std::int64_t step, std::int64_t micro_step = 0, std::int64_t rank = 0)
      : before_(current_) {
    detail::require<ArgumentError>(step >= 0 && step < std::int64_t{1} << 31, "training: step ", step,
                                   " is outside [0, 2^31)");
    // The step is the counter; micro-steps and ranks move the key, each by an odd number of its own.
    key_.seed = seed + static_cast<std::uint64_t>(rank) * 0x9E3779B97F4A7C15u + static_cast<std::uint64_t>(micro_step) * 0xD1B54A32D192ED03u;
    key_.clock = Tensor<std::int32_t, D>({1}, {static_cast<std::int32_t>(step)});
    current_ = this;
  }
  /// A scope entered once more, or, with the key of none, no scope: for what is computed again.
  explicit TrainingScope(Key key) : key_(std::move(key)), before_(current_) { current_ = key_.clock.defined() ? this : nullptr; }
  ~TrainingScope() { current_ = before_; }
  TrainingScope(const TrainingScope&) = delete;
  TrainingScope& operator=(const TrainingScope&) = delete;

  /// The innermost scope of this thread, or null.
  static const TrainingScope* current() { return current_; }
  /// The key of this thread's innermost scope.
  static Key key() { return current_ ? current_->key_ : Key(); }
  /// What the dropout of this site draws its masks from; the counter is the step.
  RandomStream stream(std::uint32_t site) const { return {key_.seed, RandomPurpose::dropout, site}; }
  /// The step, in device memory.
  const Tensor<std::int32_t, D>& clock() const { return key_.clock; }

 private:
  Key key_;
  const TrainingScope* before_;
  static inline thread_local const TrainingScope* current_ = nullptr;
};

}  // namespace plinth
