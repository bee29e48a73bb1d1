// SPDX-License-Identifier: MIT
// The CPU's kernels on elements, sums and optimisers on thousands of random problems, against plain loops in double.
// Kernels on rows are in random_rows_test.cpp, attention and products in attention_random_test.cpp and
// gemm_random_test.cpp.
#include <cmath>
#include <concepts>

#include <plinth/activation/gelu.hpp>
#include <plinth/activation/silu.hpp>

#include "kernels/random_operands.hpp"
#include "kernels/strided_layout.hpp"
#include "kernels/weighted.hpp"

using namespace plinth;
using namespace random_operands;

namespace {

/// x^2 for x > 0, without an error beside its rounding.
struct SquaredRelu {
  template <class T>
  static T forward(T x) {
    return x > T(0) ? x * x : T(0);
  }
  template <class T>
  static T backward(T x, T dy) {
    return x > T(0) ? T(2) * x * dy : T(0);
  }
};

template <class From, class To>
void check_cast(Random& random) {
  const Count n = random.elements();
  auto x = read<From>(random, n);
  auto y = written<To>(random, n), sum = changed<To>(random, n);
  on_both([&]<class D>(D d) {
    kernels<D>::cast(queue<D>::current(), n, x.at(d), y.at(d));
    kernels<D>::accumulate(queue<D>::current(), n, x.at(d), sum.at(d));
  });
  INFO(n << " elements");
  CHECK(y.wrong("y", 0) + sum.wrong("sum", 0) == "");
}

template <class T, class F>
void check_formula(Random& random, F f) {
  const Count n = random.elements();
  const bool in_place = random.one_in(4);
  auto x = read<T>(random, n), dy = read<T>(random, n);
  auto y = written_over<T>(random, n, in_place), dx = written_over<T>(random, n, in_place);
  on_both([&]<class D>(D d) {
    kernels<D>::pointwise(queue<D>::current(), n, f, in_place ? y.at(d) : x.at(d), y.at(d));
    kernels<D>::pointwise_backward(queue<D>::current(), n, f, x.at(d), in_place ? dx.at(d) : dy.at(d), dx.at(d));
  });
  INFO(n << " elements" << (in_place ? ", in place" : ""));
  CHECK(y.wrong("y", 2) + dx.wrong("dx", 4) == "");
}

/// Lets plain loops, which have no masters, start with what the kernels are to start with.
template <class T>
void start_with_masters(Random& random, Operand<T>& weight, Operand<accumulator_t<T>>& master, Count n) {
  for (Count i = 0; i < n; ++i)
    if (random.one_in(8))
      master.set(i, weight.exact(i) + 1);  // somebody else wrote the weight
    else
      weight.set(i, master.exact(i));
}

}  // namespace

TEMPLATE_TEST_CASE("random fill and scale", "", float, bfloat16) {
  using T = TestType;
  Random random(1);
  for (int k = 0; k < shapes; ++k) {
    const Count n = random.elements();
    auto factor = read<accumulator_t<T>>(random, 1);
    if (random.one_in(8)) factor.set(0, static_cast<double>(random.below(2)));
    auto value = read<T>(random, 1), x = changed<T>(random, n), y = written<T>(random, n);
    on_both([&]<class D>(D d) {
      kernels<D>::fill(queue<D>::current(), n, *value.at(d), y.at(d));
      kernels<D>::scale(queue<D>::current(), n, factor.at(d), x.at(d));
    });
    INFO(n << " elements, factor " << factor.exact(0));
    CHECK(y.wrong("fill") + x.wrong("scale", 0) == "");
  }
}

TEMPLATE_TEST_CASE("random cast and accumulate", "", float, bfloat16) {
  Random random(2);
  for (int k = 0; k < shapes; ++k) {
    check_cast<TestType, float>(random);
    check_cast<TestType, bfloat16>(random);
  }
}

TEST_CASE("random cast of integers") {
  Random random(3);
  for (int k = 0; k < shapes; ++k) {
    const Count n = random.elements();
    const auto x = random.integers(1 << 24, n);  // which float has
    auto y = written<float>(random, n);
    on_both([&]<class D>(D d) { kernels<D>::cast(queue<D>::current(), n, x.data(), y.at(d)); });
    INFO(n << " elements");
    CHECK(y.wrong("y") == "");
  }
}

TEMPLATE_TEST_CASE("random pointwise formulas", "", float, bfloat16) {
  Random random(4);
  for (int k = 0; k < shapes; ++k) {
    check_formula<TestType>(random, SquaredRelu());
    check_formula<TestType>(random, Gelu());
    check_formula<TestType>(random, Silu());
  }
}

TEMPLATE_TEST_CASE("random strides", "", float, bfloat16) {
  using T = TestType;
  Random random(5);
  for (std::uint32_t site = 1; site <= shapes; ++site) {
    const StridedLayout l(site, true), once(site, false);
    const Count n = element_count(l.sizes);
    const bool in_place = random.one_in(4);
    const Shape a_strides = in_place ? contiguous_strides(l.sizes) : l.strides[0];
    auto a = read<T>(random, l.reach[0]), b = read<T>(random, l.reach[1]), x = read<T>(random, once.reach[0]);
    auto y = written_over<T>(random, n, in_place), copy = written<T>(random, once.reach[1]);
    on_both([&]<class D>(D d) {
      kernels<D>::binary(queue<D>::current(), l.sizes, Weighted(), a_strides, in_place ? y.at(d) : a.at(d) + l.first[0],
                         l.strides[1], b.at(d) + l.first[1], y.at(d));
      kernels<D>::copy(queue<D>::current(), once.sizes, once.strides[0], x.at(d) + once.first[0], once.strides[1],
                       copy.at(d) + once.first[1]);
    });
    INFO("sizes " << l.sizes << ", strides " << a_strides << " and " << l.strides[1] << (in_place ? ", in place" : "")
                  << "; of the copy " << once.strides[0] << " and " << once.strides[1]);
    CHECK(y.wrong("binary", 2) + copy.wrong("copy") == "");
  }
}

TEMPLATE_TEST_CASE("random sums", "", float, bfloat16) {
  using T = TestType;
  Random random(6);
  for (int k = 0; k < shapes; ++k) {
    const auto [columns, n] = random.matrix();
    const Count inner = random.one_in(2) || columns == 0 ? 1 : 1 + random.below(columns), outer = columns / inner;
    auto x = read<T>(random, outer * n * inner), y = written<T>(random, outer * inner);
    auto sum = changed<accumulator_t<T>>(random, 1);
    on_both([&]<class D>(D d) {
      kernels<D>::reduce_sum(queue<D>::current(), outer, n, inner, x.at(d), y.at(d));
      const DenseArray<std::remove_pointer_t<decltype(x.at(d))>> all{outer * n * inner, x.at(d)};
      kernels<D>::squared_norm(queue<D>::current(), 1, &all, sum.at(d));
    });
    INFO(outer << " x " << n << " x " << inner);
    CHECK(y.wrong("reduce_sum", 2 * std::sqrt(static_cast<double>(n))) + sum.wrong("squared_norm", 2) == "");
  }
}

TEMPLATE_TEST_CASE("random dropout", "", float, bfloat16) {
  using T = TestType;
  Random random(7);
  for (int k = 0; k < shapes; ++k) {
    const Count n = random.elements();
    const bool in_place = random.one_in(4);
    const double probability = 0.1 * static_cast<double>(random.below(11));
    const RandomStream stream{static_cast<std::uint64_t>(random.below(1 << 30)), RandomPurpose::dropout,
                              static_cast<std::uint32_t>(random.below(100))};
    const auto step = static_cast<std::int32_t>(random.below(1000));
    auto x = read<T>(random, n), y = written_over<T>(random, n, in_place);
    on_both([&]<class D>(D d) {
      kernels<D>::dropout(queue<D>::current(), n, probability, stream, &step, in_place ? y.at(d) : x.at(d), y.at(d));
    });
    INFO(n << " elements, probability " << probability << (in_place ? ", in place" : ""));
    CHECK(y.wrong("y", 0) == "");
  }
}

TEMPLATE_TEST_CASE("random steps of optimisers", "", float, bfloat16) {
  using T = TestType;
  using A = accumulator_t<T>;
  constexpr bool has_master = !std::same_as<T, A>;
  Random random(8);
  for (int k = 0; k < shapes; ++k) {
    const Count n = random.elements();
    const bool decoupled = random.one_in(2), momentum = random.one_in(2), adam = random.one_in(2);
    const ParameterGroup group{.rate_factor = 0.5, .weight_decay = 0.1 * static_cast<double>(random.below(2))};
    const SgdSettings sgd{.momentum = momentum ? 0.9 : 0, .nesterov = momentum && random.one_in(2)};
    const AdamSettings settings{.beta1 = 0.45 * static_cast<double>(random.below(3))};
    auto gradient = read<T>(random, n), weight = changed<T>(random, n);
    auto first = changed<A>(random, n), second = changed<A>(random, n), master = changed<A>(random, n);
    for (Count i = 0; i < n; ++i) second.set(i, std::abs(second.exact(i)));
    if (has_master) start_with_masters<T>(random, weight, master, n);
    auto values = read<A>(random, 5);
    const double step_values[] = {0.01, random.one_in(8) ? 0.0 : 1.0, 0.5, 0.2, 0.01};
    for (Count i = 0; i < 5; ++i) values.set(i, step_values[i]);
    values.adopt();
    on_both([&]<class D>(D d) {
      const bool with_master = has_master && std::same_as<D, Cpu>;
      const TrainedParameter<std::remove_pointer_t<decltype(weight.at(d))>> all{
          n, group, gradient.at(d), adam || momentum ? first.at(d) : nullptr, second.at(d), with_master ? master.at(d) : nullptr, weight.at(d)};
      auto& q = queue<D>::current();
      if (adam)
        kernels<D>::adam(q, 1, settings, decoupled, values.at(d), &all);
      else
        kernels<D>::sgd(q, 1, sgd, values.at(d), &all);
    });
    INFO(n << " elements, " << (adam ? "adam" : "sgd") << ", decoupled " << decoupled << ", nesterov " << sgd.nesterov
           << ", momentum " << sgd.momentum << ", beta1 " << settings.beta1 << ", decay " << group.weight_decay
           << ", proceed " << values.exact(1));
    // Adam's step is a moment over the root of another: what the first is off counts by so much.
    const auto size = [&](Count i) { return 2 + (adam ? 0.05 / (std::sqrt(second.exact(i) / 0.01) + 1e-8) : 0); };
    if (has_master && values.exact(1) != 0) master.expect(weight.wanted());
    CHECK(first.wrong("first", 2) + second.wrong("second", 0) + weight.wrong("weight", size) +
              master.wrong("master", size) ==
          "");
  }
}
