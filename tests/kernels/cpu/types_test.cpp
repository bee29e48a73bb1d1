// SPDX-License-Identifier: MIT
// The elementwise primitives of the CPU in every element type against plain loops, on random sizes and strides.
// Primitives on rows are in types_of_rows_test.cpp, products in gemm_test.cpp.
#include <plinth/kernels/cpu.hpp>

#include <cstdlib>
#include <utility>
#include <vector>

#include <plinth/activation/gelu.hpp>

#include "catch.hpp"
#include "kernels/against_plain.hpp"
#include "kernels/strided_layout.hpp"
#include "kernels/weighted.hpp"

using namespace plinth;
using against_plain::agree;
using against_plain::joined;
using against_plain::nothing;
using against_plain::rows_and_columns;

using Count = std::int64_t;

TEMPLATE_TEST_CASE("random strides in every type", "", float, double, bfloat16, half) {
  using T = TestType;
  for (std::uint32_t site = 1; site <= 150; ++site) {
    const StridedLayout l(site, true), once(site, false);
    INFO("sizes " << l.sizes << ", strides " << l.strides[0] << " and " << l.strides[1]);
    const auto a = numbers::normal<T>(l.reach[0], 1), b = numbers::normal<T>(l.reach[1], 2);
    agree<T>("binary", 1, element_count(l.sizes), [&]<class D>(D) {
      auto y = nothing<T>(element_count(l.sizes));
      kernels<D>::binary(queue<D>::current(), l.sizes, Weighted(), l.strides[0], a.data() + l.first[0], l.strides[1],
                         b.data() + l.first[1], y.data());
      return y;
    });
    const auto x = numbers::normal<T>(once.reach[0], 3);
    agree<T>("copy", 1, element_count(l.sizes), [&]<class D>(D) {
      auto y = nothing<T>(once.reach[1]);
      kernels<D>::copy(queue<D>::current(), once.sizes, once.strides[0], x.data() + once.first[0], once.strides[1],
                       y.data() + once.first[1]);
      return y;
    });
  }
}

TEMPLATE_TEST_CASE("elements in every type", "", float, double, bfloat16, half) {
  using T = TestType;
  using A = accumulator_t<T>;
  for (const auto& [rows, columns] : rows_and_columns()) {
    const Count n = rows * columns;
    const auto x = numbers::normal<T>(n, 1), dy = numbers::normal<T>(n, 2);
    const auto run = [&](const char* kernel, const auto& f) { agree<T>(kernel, 1, n, f); };
    run("fill, scale", [&]<class D>(D) {
      auto y = nothing<T>(n), z = x;
      const A factor = A(-1.7);
      kernels<D>::fill(queue<D>::current(), n, static_cast<T>(2.5f), y.data());
      kernels<D>::scale(queue<D>::current(), n, &factor, z.data());
      return joined(y, z);
    });
    run("pointwise", [&]<class D>(D) {
      auto y = nothing<T>(n), dx = y;
      kernels<D>::pointwise(queue<D>::current(), n, Gelu(), x.data(), y.data());
      kernels<D>::pointwise_backward(queue<D>::current(), n, Gelu(), x.data(), dy.data(), dx.data());
      return joined(y, dx);
    });
    run("dropout", [&]<class D>(D) {
      auto y = nothing<T>(n);
      const std::int32_t step = 9;
      kernels<D>::dropout(queue<D>::current(), n, 0.3, {1, RandomPurpose::dropout, 2}, &step, x.data(), y.data());
      return y;
    });
    run("squared_norm", [&]<class D>(D) {
      std::vector<A> sum = {A(1)};
      const DenseArray<T> all{n, x.data()};
      kernels<D>::squared_norm(queue<D>::current(), 1, &all, sum.data());
      return sum;
    });
    run("adam and sgd", [&]<class D>(D) {
      auto weight = x;
      const auto gradient = numbers::normal<T>(n, 3);
      auto first = numbers::normal<A>(n, 4), second = nothing<A>(n);
      std::vector<A> masters(weight.begin(), weight.end());
      const TrainedParameter<T> all{n, {1, 0.1}, gradient.data(), first.data(), second.data(),
                                    std::same_as<T, A> ? nullptr : masters.data(), weight.data()};
      const A values[5] = {A(1e-2), A(1), A(0.75), A(0.19), A(0.1)};
      auto& q = queue<D>::current();
      kernels<D>::adam(q, 1, {}, true, values, &all);
      kernels<D>::sgd(q, 1, {.momentum = 0.9}, values, &all);
      return weight;
    });
  }
}

TEMPLATE_PRODUCT_TEST_CASE("cast and accumulate between every two types", "", std::pair,
                           ((float, float), (float, double), (float, bfloat16), (float, half), (double, float),
                            (double, bfloat16), (double, half), (bfloat16, float), (bfloat16, double), (bfloat16, half),
                            (half, float), (half, double), (half, bfloat16), (half, half))) {
  using From = typename TestType::first_type;
  using To = typename TestType::second_type;
  for (const Count n : {0, 1, 16, 33, 8193}) {
    const auto x = numbers::normal<From>(n, 1);
    agree<To>("cast", 1, n, [&]<class D>(D) {
      auto y = nothing<To>(n), sum = numbers::normal<To>(n, 2);
      kernels<D>::cast(queue<D>::current(), n, x.data(), y.data());
      kernels<D>::accumulate(queue<D>::current(), n, x.data(), sum.data());
      return joined(y, sum);
    });
  }
}
