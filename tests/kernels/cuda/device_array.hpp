// SPDX-License-Identifier: MIT
// Values in the GPU's memory for tests. Each array is its own exact block, so that an access beyond its end is seen.
#pragma once

#include <cstdint>
#include <vector>

#include <plinth/kernels/cuda.cuh>
#include <plinth/tensor/random.hpp>

#include "tolerances.hpp"

template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(const std::vector<T>& values) : count_(values.size()) {
    void* block = nullptr;
    plinth::cuda::check(cudaMalloc(&block, count_ ? count_ * sizeof(T) : 1), "allocating memory for a test");
    data_ = static_cast<T*>(block);
    plinth::memory<plinth::Cuda>::copy_from_host(data_, values.data(), count_ * sizeof(T));
  }
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() const { return data_; }
  std::vector<T> values() const {
    std::vector<T> result(count_);
    plinth::memory<plinth::Cuda>::copy_to_host(result.data(), data_, count_ * sizeof(T));
    return result;
  }

 private:
  std::size_t count_;
  T* data_ = nullptr;
};

/// Reproducible values in [-1, 1), rounded to T.
template <class T>
std::vector<T> test_values(std::int64_t count, std::uint32_t site) {
  const plinth::RandomStream stream{.seed = 7, .site = site};
  std::vector<T> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<T>(plinth::accumulator_t<T>(2 * stream.uniform(i) - 1));
  return values;
}

/// How much a result of T may differ from that of double arithmetic, relative to a magnitude of about 1.
template <class T>
constexpr double tolerance = tolerance_of<plinth::Cuda, T>.terms;
