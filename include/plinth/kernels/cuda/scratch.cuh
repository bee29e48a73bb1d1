// SPDX-License-Identifier: MIT
// Memory of the device that the kernels of one call hand to each other.
#pragma once

#include <cstddef>
#include <cstdint>

#include <plinth/kernels/cuda/memory.cuh>

namespace plinth::cuda {

/// Room for some T. It goes back to the pool before the kernels have run: whoever gets it queues behind them.
template <class T>
class Scratch {
 public:
  /// Throws MemoryError.
  explicit Scratch(std::int64_t count)
      : bytes_(static_cast<std::size_t>(count) * sizeof(T)), data_(static_cast<T*>(memory<Cuda>::allocate(bytes_))) {}
  ~Scratch() { memory<Cuda>::release(data_, bytes_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  T* data() const { return data_; }

 private:
  std::size_t bytes_;
  T* data_;
};

}  // namespace plinth::cuda
