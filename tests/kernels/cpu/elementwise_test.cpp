// SPDX-License-Identifier: MIT
// Elementwise kernels of the CPU against plain loops: sizes around blocks and vectors, all kinds of strides.
#include <plinth/kernels/cpu.hpp>

#include <numeric>
#include <vector>

#include <plinth/activation/gelu.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"
#include "kernels/plain_backend.hpp"
#include "kernels/weighted.hpp"

using namespace plinth;

namespace {

const std::vector<std::int64_t> sizes = {0, 1, 15, 16, 17, 100, 8191, 8192, 8193, 20011};

/// Sizes with the strides of two operands, and how many elements lie before and behind their first.
struct Layout {
  Shape sizes, a, b;
};
const std::vector<Layout> layouts = {
    {{}, {}, {}},
    {{7}, {1}, {1}},
    {{7}, {-1}, {2}},
    {{0, 3}, {3, 1}, {3, 1}},
    {{3, 0}, {1, 1}, {0, 1}},
    {{3, 5}, {5, 1}, {5, 1}},
    {{3, 5}, {1, 3}, {5, 1}},
    {{3, 5}, {0, 1}, {5, 0}},
    {{3, 5}, {0, 0}, {1, 0}},
    {{1, 5, 1, 4}, {9, 4, 7, 1}, {1, -4, 1, 1}},
    {{2, 3, 4, 5}, {60, 5, 15, 1}, {60, 20, 5, 1}},
    {{2, 3, 4, 5}, {0, 20, 0, 1}, {12, 4, 1, 0}},
    {{2, 2, 2, 2, 2, 3}, {48, 24, 12, 6, 3, 1}, {1, 2, 4, 8, 16, 32}},
    {{130, 129}, {1, 130}, {129, 1}},
    {{3, 9001}, {9001, 1}, {0, 1}},
    {{3, 9001}, {9001, 1}, {18002, 2}},
    {{3, 9001}, {1, 0}, {18002, 2}},
    {{9001, 3}, {1, 9001}, {0, -1}},
};

/// Memory that a layout reaches into, and where its first element lies.
struct Reach {
  std::int64_t before = 0, all = 1;
  Reach(const Shape& shape, const Shape& strides) {
    for (int i = 0; i < shape.rank(); ++i) {
      const std::int64_t step = strides[i] * std::max<std::int64_t>(shape[i] - 1, 0);
      all += std::abs(step);
      if (step < 0) before -= step;
    }
  }
};

template <class D, class T>
std::vector<T> binary(const Layout& layout) {
  const Reach reach_a(layout.sizes, layout.a), reach_b(layout.sizes, layout.b);
  const auto a = numbers::normal<T>(reach_a.all, 1), b = numbers::normal<T>(reach_b.all, 2);
  std::vector<T> y(static_cast<std::size_t>(element_count(layout.sizes)));
  kernels<D>::binary(queue<D>::current(), layout.sizes, Weighted{}, layout.a, a.data() + reach_a.before, layout.b,
                     b.data() + reach_b.before, y.data());
  return y;
}

/// Copies from layout.a into layout.b, over memory of zeros.
template <class D>
std::vector<float> copy(const Layout& layout) {
  const Reach reach_a(layout.sizes, layout.a), reach_b(layout.sizes, layout.b);
  const auto a = numbers::normal<float>(reach_a.all, 1);
  std::vector<float> y(static_cast<std::size_t>(reach_b.all));
  kernels<D>::copy(queue<D>::current(), layout.sizes, layout.a, a.data() + reach_a.before, layout.b,
                   y.data() + reach_b.before);
  return y;
}

bool writes_each_place_once(const Layout& layout) {
  for (int i = 0; i < layout.sizes.rank(); ++i)
    if (layout.b[i] == 0 && layout.sizes[i] > 1) return false;
  return true;
}

}  // namespace

TEST_CASE("binary kernels follow any strides") {
  for (const Layout& layout : layouts) {
    INFO("sizes " << layout.sizes << ", strides " << layout.a << " and " << layout.b);
    CHECK(numbers::distance(binary<Cpu, float>(layout), binary<Plain, float>(layout)) < 1e-7);
    CHECK(numbers::distance(binary<Cpu, double>(layout), binary<Plain, double>(layout)) < 1e-15);
    CHECK(numbers::distance(binary<Cpu, half>(layout), binary<Plain, half>(layout)) < 1e-3);
  }
}

TEST_CASE("binary kernels write over their first operand") {
  for (const Layout& layout : layouts) {
    if (layout.a != contiguous_strides(layout.sizes)) continue;
    INFO("sizes " << layout.sizes << ", strides of b " << layout.b);
    const Reach reach(layout.sizes, layout.b);
    auto y = numbers::normal<float>(element_count(layout.sizes), 1);
    const auto b = numbers::normal<float>(reach.all, 2);
    kernels<Cpu>::binary(queue<Cpu>::current(), layout.sizes, Weighted{}, layout.a, y.data(), layout.b,
                         b.data() + reach.before, y.data());
    CHECK(numbers::distance(y, binary<Plain, float>(layout)) < 1e-7);
  }
}

TEST_CASE("copy moves values between any strides") {
  for (const Layout& layout : layouts) {
    if (!writes_each_place_once(layout)) continue;
    INFO("sizes " << layout.sizes << ", strides " << layout.a << " and " << layout.b);
    CHECK(copy<Cpu>(layout) == copy<Plain>(layout));
  }
}

TEST_CASE("fill, scale and accumulate touch their elements and no other") {
  auto& q = queue<Cpu>::current();
  for (const std::int64_t n : sizes) {
    const auto size = static_cast<std::size_t>(n);
    std::vector<float> y(size + 1, -1.0f);
    kernels<Cpu>::fill(q, n, 2.5f, y.data());
    CHECK(std::accumulate(y.begin(), y.end() - 1, 0.0) == 2.5 * static_cast<double>(n));
    const float factor = 3;
    kernels<Cpu>::scale(q, n, &factor, y.data());
    CHECK(std::accumulate(y.begin(), y.end() - 1, 0.0) == 7.5 * static_cast<double>(n));
    const std::vector<bfloat16> more(size, bfloat16(0.5f));
    kernels<Cpu>::accumulate(q, n, more.data(), y.data());
    CHECK(std::accumulate(y.begin(), y.end() - 1, 0.0) == 8.0 * static_cast<double>(n));
    CHECK(y.back() == -1.0f);
  }
}

TEST_CASE("cast rounds every element") {
  auto& q = queue<Cpu>::current();
  for (const std::int64_t n : sizes) {
    const auto x = numbers::normal<float>(n, 1, 100);
    std::vector<half> halves(x.size());
    std::vector<double> doubles(x.size());
    std::vector<float> back(x.size()), expected;
    kernels<Cpu>::cast(q, n, x.data(), halves.data());
    kernels<Cpu>::cast(q, n, halves.data(), doubles.data());
    kernels<Cpu>::cast(q, n, doubles.data(), back.data());
    for (const float value : x) expected.push_back(half(value));
    CHECK(back == expected);
    kernels<Cpu>::cast(q, n, doubles.data(), halves.data());
    CHECK(numbers::distance(halves, expected) == 0);
  }
}

TEST_CASE("pointwise formulas agree with plain loops, also in place") {
  auto& q = queue<Cpu>::current();
  for (const std::int64_t n : sizes) {
    const auto x = numbers::normal<float>(n, 1, 3), dy = numbers::normal<float>(n, 2);
    std::vector<float> y(x.size()), reference(x.size());
    kernels<Cpu>::pointwise(q, n, Gelu{}, x.data(), y.data());
    kernels<Plain>::pointwise(queue<Plain>::current(), n, Gelu{}, x.data(), reference.data());
    CHECK(numbers::distance(y, reference) < 1e-6);
    auto in_place = x;
    kernels<Cpu>::pointwise(q, n, Gelu{}, in_place.data(), in_place.data());
    CHECK(in_place == y);
    kernels<Cpu>::pointwise_backward(q, n, Gelu{}, x.data(), dy.data(), y.data());
    kernels<Plain>::pointwise_backward(queue<Plain>::current(), n, Gelu{}, x.data(), dy.data(), reference.data());
    CHECK(numbers::distance(y, reference) < 1e-6);
    in_place = dy;
    kernels<Cpu>::pointwise_backward(q, n, Gelu{}, x.data(), in_place.data(), in_place.data());
    CHECK(in_place == y);
  }
}

TEST_CASE("elementwise bits depend on values alone") {
  const auto x = numbers::normal<float>(20011, 1), b = numbers::normal<float>(20011, 2);
  CHECK(numbers::bits_depend_on_values_alone([&](std::size_t offset) {
    numbers::Placed<float> from(x, offset), other(b, 2 * offset), to(x, 3 * offset);
    auto& q = queue<Cpu>::current();
    kernels<Cpu>::pointwise(q, 20011, Gelu{}, from.data(), to.data());
    kernels<Cpu>::binary(q, {20011}, Weighted{}, {1}, to.data(), {1}, other.data(), from.data());
    return from.values();
  }));
}
