// SPDX-License-Identifier: MIT
// Softmax and cross-entropy kernels against plain loops in double and against PyTorch.
#include <plinth/kernels/cpu.hpp>

#include <limits>
#include <vector>

#include "catch.hpp"
#include "kernels/numbers.hpp"
#include "kernels/plain_backend.hpp"

using namespace plinth;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

struct Sizes {
  std::int64_t rows, columns;
};
const std::vector<Sizes> all_sizes = {{0, 5}, {1, 1}, {3, 2}, {5, 15}, {7, 16}, {2, 17}, {9, 65}, {300, 33}, {3, 1000}, {2, 50257}};

template <class D, class T>
std::vector<T> softmax(const Sizes& s, const std::vector<T>& x) {
  std::vector<T> y(x.size());
  kernels<D>::softmax(queue<D>::current(), s.rows, s.columns, x.data(), y.data());
  return y;
}

template <class D, class T>
std::vector<T> softmax_backward(const Sizes& s) {
  const auto y = softmax<Plain>(s, numbers::normal<T>(s.rows * s.columns, 1, 2));
  const auto dy = numbers::normal<T>(s.rows * s.columns, 2);
  std::vector<T> dx(y.size());
  kernels<D>::softmax_backward(queue<D>::current(), s.rows, s.columns, y.data(), dy.data(), dx.data());
  return dx;
}

/// Loss, rows used, the log-sum-exp of each row and the gradient in logits, one after the other.
template <class D, class T>
std::vector<double> cross_entropy(const Sizes& s, const std::vector<T>& logits, const std::vector<std::int32_t>& targets,
                                  double smoothing = 0) {
  using A = accumulator_t<T>;
  std::vector<A> log_sum_exp(static_cast<std::size_t>(s.rows));
  std::vector<T> gradient(logits.size());
  A loss = -1, rows_used = -1;
  const A dloss = A(0.5);
  auto& q = queue<D>::current();
  kernels<D>::cross_entropy(q, s.rows, s.columns, smoothing, logits.data(), targets.data(), log_sum_exp.data(), &loss,
                            &rows_used);
  kernels<D>::cross_entropy_backward(q, s.rows, s.columns, smoothing, logits.data(), targets.data(), log_sum_exp.data(),
                                     &rows_used, &dloss, gradient.data());
  std::vector<double> all = {static_cast<double>(loss), static_cast<double>(rows_used)};
  for (const A value : log_sum_exp) all.push_back(static_cast<double>(value));
  for (const T value : gradient) all.push_back(static_cast<double>(value));
  return all;
}

}  // namespace

TEST_CASE("softmax over rows of any length") {
  for (const Sizes& s : all_sizes) {
    INFO(s.rows << " rows of " << s.columns);
    const auto x = numbers::normal<float>(s.rows * s.columns, 1, 5);
    const auto y = softmax<Cpu>(s, x);
    CHECK(numbers::distance(y, softmax<Plain>(s, x)) < 1e-6);
    for (std::size_t r = 0; r < static_cast<std::size_t>(s.rows); ++r) {
      double sum = 0;
      for (std::size_t i = 0; i < static_cast<std::size_t>(s.columns); ++i)
        sum += static_cast<double>(y[r * static_cast<std::size_t>(s.columns) + i]);
      if (std::fabs(sum - 1) > 1e-5) FAIL_CHECK("row " << r << " sums to " << sum);
    }
    const auto wide = numbers::normal<double>(s.rows * s.columns, 1, 5);
    CHECK(numbers::distance(softmax<Cpu>(s, wide), softmax<Plain>(s, wide)) < 1e-14);
    CHECK(numbers::distance(softmax_backward<Cpu, float>(s), softmax_backward<Plain, float>(s)) < 2e-6);
    CHECK(numbers::distance(softmax_backward<Cpu, double>(s), softmax_backward<Plain, double>(s)) < 1e-14);
  }
}

TEST_CASE("softmax of extreme rows") {
  using Floats = std::vector<float>;
  CHECK(softmax<Cpu>({1, 3}, Floats{1e30f, 1e30f, -1e30f}) == Floats{0.5f, 0.5f, 0});
  CHECK(softmax<Cpu>({1, 3}, Floats{-infinity, 4, -infinity}) == Floats{0, 1, 0});
  CHECK(softmax<Cpu>({2, 2}, Floats{-infinity, -infinity, 0, 0}) == Floats{0, 0, 0.5f, 0.5f});
  for (std::size_t at = 0; at < 40; ++at) {  // whatever its place, a NaN is not lost
    Floats row(40, 1.0f);
    row[at] = not_a_number;
    for (const float value : softmax<Cpu>({1, 40}, row))
      if (!std::isnan(value)) FAIL_CHECK("NaN at " << at << " was lost");
  }
}

TEST_CASE("cross-entropy and its gradient over rows of any length") {
  for (const Sizes& s : all_sizes) {
    INFO(s.rows << " rows of " << s.columns);
    auto targets = numbers::below(static_cast<std::int32_t>(s.columns), s.rows, 3);
    if (targets.size() > 2) targets[1] = -1, targets[2] = -100;
    const auto x = numbers::normal<float>(s.rows * s.columns, 1, 5);
    const auto wide = numbers::normal<double>(s.rows * s.columns, 1, 5);
    for (const double smoothing : {0.0, 0.3}) {
      INFO("label smoothing " << smoothing);
      CHECK(numbers::distance(cross_entropy<Cpu>(s, x, targets, smoothing), cross_entropy<Plain>(s, x, targets, smoothing)) < 1e-6);
      CHECK(numbers::distance(cross_entropy<Cpu>(s, wide, targets, smoothing), cross_entropy<Plain>(s, wide, targets, smoothing)) < 1e-14);
    }
  }
}

TEST_CASE("cross-entropy of PyTorch") {
  // x = tensor([[1., 2, 3], [0, -1, 5], [2, 2, 2]], requires_grad=True)
  // l = cross_entropy(x, tensor([2, -100, 0])); (0.5 * l).backward(); l, x.logsumexp(1), x.grad
  const auto all = cross_entropy<Cpu>({3, 3}, std::vector<double>{1, 2, 3, 0, -1, 5, 2, 2, 2}, {2, -100, 0});
  const std::vector<double> expected = {0.7531091266, 2,
                                        3.4076059644, 5.0091744846, 3.0986122887,
                                        0.0225076433, 0.0611821178, -0.0836897611, 0, 0, 0,
                                        -0.1666666667, 0.0833333333, 0.0833333333};
  CHECK(numbers::distance(all, expected) < 1e-9);
}

TEST_CASE("label smoothing of PyTorch") {
  // As above with cross_entropy(..., label_smoothing=s), s = 0.1 and 1
  const std::vector<double> logits = {1, 2, 3, 0, -1, 5, 2, 2, 2};
  const std::vector<double> some = {0.8031091266, 2,
                                    3.4076059644, 5.0091744846, 3.0986122887,
                                    0.0141743100, 0.0528487844, -0.0670230944, 0, 0, 0,
                                    -0.15, 0.075, 0.075};
  const std::vector<double> all = {1.2531091266, 2,
                                   3.4076059644, 5.0091744846, 3.0986122887,
                                   -0.0608256900, -0.0221512156, 0.0829769056, 0, 0, 0,
                                   0, 0, 0};
  CHECK(numbers::distance(cross_entropy<Cpu>({3, 3}, logits, {2, -100, 0}, 0.1), some) < 1e-9);
  CHECK(numbers::distance(cross_entropy<Cpu>({3, 3}, logits, {2, -100, 0}, 1), all) < 1e-9);
}

TEST_CASE("cross-entropy at its edges") {
  const auto nothing_counted = cross_entropy<Cpu>({2, 2}, std::vector<float>{1, 2, 3, 4}, {-1, -1});
  CHECK(nothing_counted[0] == 0);
  CHECK(nothing_counted[1] == 0);
  for (std::size_t i = 4; i < 8; ++i) CHECK(nothing_counted[i] == 0);
  const auto huge = cross_entropy<Cpu>({1, 2}, std::vector<float>{1e30f, -1e30f}, {0});
  CHECK(huge[0] == 0);
  CHECK(huge[3] == 0);
  CHECK_THROWS_WITH(cross_entropy<Cpu>({2, 3}, std::vector<float>(6), {2, 3}),
                    "cross_entropy: target 3 at row 1 is outside [0, 3)");
  CHECK(std::isnan(cross_entropy<Cpu>({1, 2}, std::vector<float>{not_a_number, 1}, {1})[0]));
}

TEST_CASE("bits of softmax and cross-entropy depend on values alone") {
  const Sizes s{301, 67};
  const auto x = numbers::normal<float>(s.rows * s.columns, 1, 3);
  const auto targets = numbers::below(67, s.rows, 2);
  CHECK(numbers::bits_depend_on_values_alone([&](std::size_t offset) {
    numbers::Placed<float> from(x, offset), to(x, 3 * offset), log_sum_exp(std::vector<float>(301), offset);
    auto& q = queue<Cpu>::current();
    float loss, used;
    kernels<Cpu>::softmax(q, s.rows, s.columns, from.data(), to.data());
    kernels<Cpu>::softmax_backward(q, s.rows, s.columns, to.data(), to.data(), from.data());
    kernels<Cpu>::cross_entropy(q, s.rows, s.columns, 0.1, from.data(), targets.data(), log_sum_exp.data(), &loss, &used);
    kernels<Cpu>::cross_entropy_backward(q, s.rows, s.columns, 0.1, from.data(), targets.data(), log_sum_exp.data(),
                                         &used, &loss, to.data());
    return to.values();
  }));
}
