// SPDX-License-Identifier: MIT
// Numbers to feed kernels with, distances between results, and a check that bits depend on values alone.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <new>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

#include <plinth/tensor/random.hpp>

namespace numbers {

/// n numbers of the normal distribution, the same in every run.
template <class T>
std::vector<T> normal(std::int64_t n, std::uint32_t site, double deviation = 1, double mean = 0) {
  const plinth::RandomStream stream{7, plinth::RandomPurpose::initialise, site};
  std::vector<T> values(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<T>(static_cast<float>(mean + deviation * stream.normal(i)));
  return values;
}

/// n integers in [0, limit).
inline std::vector<std::int32_t> below(std::int32_t limit, std::int64_t n, std::uint32_t site) {
  const plinth::RandomStream stream{7, plinth::RandomPurpose::sample, site};
  std::vector<std::int32_t> values(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<std::int32_t>(stream.word(i, 0) % static_cast<std::uint32_t>(limit));
  return values;
}

/// |a - b| / |b| in the 2-norm; |a| where b is zero.
template <class A, class B>
double distance(const std::vector<A>& a, const std::vector<B>& b) {
  double difference = 0, norm = 0;
  if (a.size() != b.size()) return INFINITY;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    difference += (x - y) * (x - y);
    norm += y * y;
  }
  return std::sqrt(norm > 0 ? difference / norm : difference);
}

/// Values that begin `offset` elements behind a 64-byte boundary, in memory that ends with them.
template <class T>
class Placed {
 public:
  Placed(const std::vector<T>& values, std::size_t offset) : size_(values.size()) {
    const std::size_t bytes = (offset + size_) * sizeof(T);
    block_ = static_cast<char*>(::operator new(bytes + (bytes == 0), std::align_val_t(64)));
    data_ = reinterpret_cast<T*>(block_) + offset;
    if (size_) std::memcpy(static_cast<void*>(data_), values.data(), size_ * sizeof(T));
  }
  Placed(const Placed&) = delete;
  Placed& operator=(const Placed&) = delete;
  ~Placed() { ::operator delete(block_, std::align_val_t(64)); }

  T* data() { return data_; }
  std::vector<T> values() const { return std::vector<T>(data_, data_ + size_); }

 private:
  char* block_;
  T* data_;
  std::size_t size_;
};

/// Whether f(offset), which computes something from memory placed at that offset, returns the same bytes for all
/// offsets and numbers of threads.
template <class F>
bool bits_depend_on_values_alone(const F& f) {
  const auto same = [](const auto& a, const auto& b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof a[0]) == 0);
  };
  const auto first = f(std::size_t{0});
  bool good = true;
#ifdef _OPENMP
  const int before = omp_get_max_threads();
  for (const int threads : {1, 2, 3, 4}) {
    omp_set_num_threads(threads);
    good = good && same(f(std::size_t{0}), first);
  }
  omp_set_num_threads(before);
#endif
  for (const int offset : {1, 2, 3, 5, 8}) good = good && same(f(static_cast<std::size_t>(offset)), first);
  return good;
}

}  // namespace numbers
