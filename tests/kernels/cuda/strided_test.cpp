// SPDX-License-Identifier: MIT
// Strided copies and broadcast binary formulas on CUDA against plain loops.
#include "kernels/cuda/device_array.hpp"

#include <algorithm>

#include "catch.hpp"
#include "kernels/plain_backend.hpp"

using namespace plinth;

namespace {

struct Minus {
  template <class T>
  PLINTH_HD static T forward(T a, T b) {
    return a - b;
  }
};

/// Elements that strides (none negative) reach.
std::int64_t reach(const Shape& sizes, const Shape& strides) {
  std::int64_t last = 0;
  for (int i = 0; i < sizes.rank(); ++i) last += (sizes[i] - 1) * strides[i];
  return element_count(sizes) == 0 ? 0 : last + 1;
}

template <class T>
bool copies_like_plain_loops(const Shape& sizes, const Shape& from, const Shape& to) {
  const auto x = test_values<T>(reach(sizes, from), 1);
  auto wanted = test_values<T>(reach(sizes, to), 2);
  const DeviceArray<T> on_x(x), on_y(wanted);
  kernels<Cuda>::copy(queue<Cuda>::current(), sizes, from, on_x.data(), to, on_y.data());
  kernels<Plain>::copy(queue<Plain>::current(), sizes, from, x.data(), to, wanted.data());
  const auto y = on_y.values();
  return std::equal(y.begin(), y.end(), wanted.begin(), wanted.end(), [](T a, T b) { return double(a) == double(b); });
}

template <class T>
bool subtracts_like_plain_loops(const Shape& sizes, const Shape& a_strides, const Shape& b_strides) {
  const auto a = test_values<T>(reach(sizes, a_strides), 1), b = test_values<T>(reach(sizes, b_strides), 2);
  std::vector<T> wanted(static_cast<std::size_t>(element_count(sizes)));
  const DeviceArray<T> on_a(a), on_b(b), on_y(wanted);
  kernels<Cuda>::binary(queue<Cuda>::current(), sizes, Minus{}, a_strides, on_a.data(), b_strides, on_b.data(), on_y.data());
  kernels<Plain>::binary(queue<Plain>::current(), sizes, Minus{}, a_strides, a.data(), b_strides, b.data(), wanted.data());
  const auto y = on_y.values();
  return std::equal(y.begin(), y.end(), wanted.begin(), wanted.end(), [](T u, T v) { return double(u) == double(v); });
}

}  // namespace

TEMPLATE_TEST_CASE("cuda copy: any strides", "[cuda]", float, double, bfloat16, std::int32_t) {
  using T = TestType;
  CHECK(copies_like_plain_loops<T>({}, {}, {}));
  CHECK(copies_like_plain_loops<T>({0}, {1}, {1}));
  CHECK(copies_like_plain_loops<T>({1000}, {1}, {1}));
  CHECK(copies_like_plain_loops<T>({33, 17}, {1, 33}, {17, 1}));                         // transpose
  CHECK(copies_like_plain_loops<T>({2, 3, 4, 5}, {60, 5, 15, 1}, {60, 20, 5, 1}));       // split heads
  CHECK(copies_like_plain_loops<T>({4, 5}, {10, 2}, {7, 1}));                            // gaps on both sides
  CHECK(copies_like_plain_loops<T>({3, 4, 5}, {0, 5, 1}, {20, 5, 1}));                   // broadcast
  CHECK(copies_like_plain_loops<T>({2, 1, 3, 2, 1, 2}, {12, 9, 4, 2, 7, 1}, {1, 1, 8, 4, 5, 2}));
}

TEMPLATE_TEST_CASE("cuda binary: broadcasts", "[cuda]", float, double, bfloat16, plinth::half) {
  using T = TestType;
  CHECK(subtracts_like_plain_loops<T>({7, 9}, {9, 1}, {9, 1}));
  CHECK(subtracts_like_plain_loops<T>({7, 9}, {9, 1}, {0, 1}));
  CHECK(subtracts_like_plain_loops<T>({7, 9}, {1, 0}, {0, 0}));
  CHECK(subtracts_like_plain_loops<T>({5, 200, 40}, {0, 40, 1}, {200, 1, 0}));  // more elements than threads
  CHECK(subtracts_like_plain_loops<T>({7, 0}, {0, 1}, {0, 1}));
}
