// SPDX-License-Identifier: MIT
// Checks of the GPU's kernels against plain loops: what a kernel reads and writes lies in the memory of its device.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "kernels/cuda/device_array.hpp"
#include "kernels/numbers.hpp"
#include "kernels/plain_backend.hpp"
#include "tolerances.hpp"

namespace on_devices {

using Count = std::int64_t;
using plinth::accumulator_t;

/// Values in the memory of device D.
template <class D, class T>
class Array : public DeviceArray<T> {
 public:
  using DeviceArray<T>::DeviceArray;
};
template <class T>
class Array<Plain, T> {
 public:
  explicit Array(std::vector<T> values) : values_(std::move(values)) {}
  T* data() { return values_.data(); }
  const std::vector<T>& values() const { return values_; }

 private:
  std::vector<T> values_;
};

template <class D, class T>
Array<D, T> placed(const std::vector<T>& values) {
  return Array<D, T>(values);
}
/// Memory for results, filled with sevens.
template <class D, class T>
Array<D, T> nothing(Count n) {
  return Array<D, T>(std::vector<T>(static_cast<std::size_t>(n), static_cast<T>(7.0f)));
}

/// How far the results of a kernel may be apart, by the ratio of their norms.
template <class T>
constexpr double rounding = tolerance_of<plinth::Cuda, T>.norm;

/// f(device) returns arrays that the kernels of a device computed, one after the other; each is rounded to T.
template <class T, class F>
void agree(const char* kernel, Count rows, Count columns, const F& f) {
  INFO(kernel << ", " << rows << " x " << columns);
  const auto on_cuda = f(plinth::Cuda()), on_plain = f(Plain());
  REQUIRE(on_cuda.size() == on_plain.size());
  for (std::size_t i = 0; i < on_cuda.size(); ++i) {
    INFO("result " << i);
    CHECK(numbers::distance(on_cuda[i], on_plain[i]) < rounding<T>);
  }
}

/// Sizes around warps, blocks and the longest row of a warp.
inline std::vector<std::pair<Count, Count>> rows_and_columns() {
  return {{0, 7}, {1, 1}, {1, 31}, {2, 32}, {3, 33}, {9, 100}, {257, 5}, {40, 65}, {3, 1024}, {2, 1025}, {2, 3000}};
}

}  // namespace on_devices
