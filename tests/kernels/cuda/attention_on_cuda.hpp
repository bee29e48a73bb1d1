// SPDX-License-Identifier: MIT
// Attention and its gradients by CUDA's kernels, from problems in the program's memory.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/attention_definition.hpp"
#include "kernels/cuda/device_array.hpp"

/// Values on the device behind `offset` others.
template <class T>
class Shifted {
 public:
  Shifted(std::vector<T> values, std::size_t offset) : offset_(offset), array_(with_front(std::move(values), offset)) {}
  T* data() const { return array_.data() + offset_; }
  std::vector<T> values() const {
    auto all = array_.values();
    all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(offset_));
    return all;
  }

 private:
  static std::vector<T> with_front(std::vector<T> values, std::size_t offset) {
    values.insert(values.begin(), offset, T(7.0f));
    return values;
  }

  std::size_t offset_;
  DeviceArray<T> array_;
};

/// How many logarithms of sums are off; of a query that sees no key it is -inf.
inline std::size_t wrong_log2_sums(const std::vector<float>& found, const std::vector<double>& wanted) {
  std::size_t wrong = 0;
  for (std::size_t r = 0; r < wanted.size(); ++r)
    wrong += std::isinf(wanted[r]) ? found[r] != -INFINITY : !(std::abs(double(found[r]) - wanted[r]) < 1e-5);
  return wrong;
}

/// What the kernels compute; before, their outputs are NaN.
template <class T>
struct AttentionOnCuda {
  std::vector<T> output, dquery, dkey, dvalue;
  std::vector<float> log2_sum;

  /// Operands lie `offset` elements behind aligned addresses.
  explicit AttentionOnCuda(const attention_definition::Problem<T>& p, std::size_t offset = 0) {
    auto& gpu = plinth::queue<plinth::Cuda>::current();
    using kernels = plinth::kernels<plinth::Cuda>;
    const T unset = static_cast<T>(std::numeric_limits<float>::quiet_NaN());
    const Shifted<T> q(p.query, offset), k(p.key, offset), v(p.value, offset), dy(p.doutput, offset);
    const Shifted<T> y(std::vector<T>(p.query.size(), unset), offset), dq(y.values(), offset);
    const Shifted<T> dk(std::vector<T>(p.key.size(), unset), offset), dv(dk.values(), offset);
    const DeviceArray<float> sums(
        std::vector<float>(static_cast<std::size_t>(p.shape.batch * p.shape.heads * p.shape.queries),
                           std::numeric_limits<float>::quiet_NaN()));
    const DeviceArray<std::int32_t> on_rows(p.rows);
    const std::int32_t* const rows = p.rows.empty() ? nullptr : on_rows.data();
    kernels::attention(gpu, p.shape, rows, q.data(), k.data(), v.data(), y.data(), sums.data());
    kernels::attention_backward(gpu, p.shape, rows, q.data(), k.data(), v.data(), y.data(), sums.data(), dy.data(),
                                dq.data(), dk.data(), dv.data());
    output = y.values(), dquery = dq.values(), dkey = dk.values(), dvalue = dv.values(), log2_sum = sums.values();
  }

  /// The bits of all results.
  std::vector<std::uint16_t> bits() const {
    std::vector<std::uint16_t> all;
    for (const auto* part : {&output, &dquery, &dkey, &dvalue})
      for (const T value : *part) all.push_back(value.bits);
    for (const float value : log2_sum)
      for (const int shift : {0, 16})
        all.push_back(static_cast<std::uint16_t>(__builtin_bit_cast(std::uint32_t, value) >> shift));
    return all;
  }
};
