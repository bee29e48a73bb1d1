// SPDX-License-Identifier: MIT
// apply: operations with and without gradients, operations of the user's own, and what does not compile.
#include <plinth/autograd/apply.hpp>

#include <tuple>
#include <vector>

#include <plinth/autograd/gradcheck.hpp>
#include <plinth/layers/linear.hpp>

#include "catch.hpp"

using namespace plinth;
using Catch::Matchers::Contains;

namespace {

using Doubles = std::vector<double>;
using Pair = std::tuple<Tensor<double>, Tensor<double>>;

/// y = x^3, an operation as a user would write it.
struct CubeOp {
  static constexpr const char* name = "cube";
  Saved<double, Cpu> x;

  Tensor<double> forward(const Tensor<double>& input) {
    x = input;
    return mapped(input, [](double v) { return v * v * v; });
  }
  std::tuple<Tensor<double>> backward(const Tensor<double>& dy) const {
    const auto seeds = dy.to_vector();
    std::size_t i = 0;
    return {mapped(x.get(name), [&](double v) { return 3 * v * v * seeds[i++]; })};
  }
  template <class F>
  static Tensor<double> mapped(const Tensor<double>& x, F f) {
    Doubles values;
    for (const double v : x.to_vector()) values.push_back(f(v));
    return Tensor<double>(x.shape(), values);
  }
};

struct ArgmaxOp {
  static constexpr const char* name = "argmax";
  static constexpr std::string_view nondifferentiable = "piecewise constant";
  Tensor<std::int32_t> forward(const Tensor<double>& x) {
    const auto values = x.to_vector();
    return Tensor<std::int32_t>(Shape(), {static_cast<std::int32_t>(std::max_element(values.begin(), values.end()) - values.begin())});
  }
};

/// Its gradients are whatever the test wants.
struct WrongOp {
  static constexpr const char* name = "wrong";
  Pair gradients;
  Tensor<double> forward(const Tensor<double>& a, const Tensor<double>&) { return clone(a); }
  Pair backward(const Tensor<double>&) const { return gradients; }
};

/// Records which gradients were wanted.
struct WatchedOp {
  static constexpr const char* name = "watched";
  Needed<2>* seen = nullptr;
  Tensor<double> forward(const Tensor<double>& a, const Tensor<double>&) { return clone(a); }
  Pair backward(const Tensor<double>& dy, Needed<2> needed) const {
    *seen = needed;
    return {dy, dy};
  }
};

struct NoBackwardOp {
  Tensor<double> forward(const Tensor<double>& x) { return x; }
};
struct WrongCountOp : NoBackwardOp {
  Pair backward(const Tensor<double>& dy) const { return {dy, dy}; }
};

Tensor<double> leaf(const Doubles& values) {
  Tensor<double> x({static_cast<std::int64_t>(values.size())}, values);
  require_gradient(x);
  return x;
}

}  // namespace

TEST_CASE("a user's operation is recorded by being applied") {
  const auto x = leaf({1, -2, 3});
  const auto y = apply(CubeOp{}, x);
  CHECK(y.to_vector() == Doubles{1, -8, 27});
  backward(y, Tensor<double>({3}, {1, 1, 2}));
  CHECK(gradient(x).to_vector() == Doubles{3, 12, 54});
  CHECK(gradcheck<Cpu>([](const auto& in) { return apply(CubeOp{}, in[0]); }, {leaf({0.5, -1.5})}).empty());
}

TEST_CASE("nothing is recorded where nothing needs a gradient") {
  const Tensor<double> x({2}, {1, 2});
  CHECK_FALSE(needs_gradient(apply(CubeOp{}, x)));
  const auto wanted = leaf({1, 2});
  CHECK(needs_gradient(apply(CubeOp{}, wanted)));
  const NoGradient no_gradient;
  CHECK_FALSE(needs_gradient(apply(CubeOp{}, wanted)));
}

TEST_CASE("an operation without a gradient throws where one is needed") {
  const auto x = leaf({1, 5, 2});
  CHECK_THROWS_WITH(apply(ArgmaxOp{}, x), "argmax has no gradient (piecewise constant); detach its input or use NoGradient");
  CHECK_THROWS_AS(apply(ArgmaxOp{}, x), GradientError);
  CHECK(apply(ArgmaxOp{}, detach(x)).item() == 1);
  const NoGradient no_gradient;
  CHECK(apply(ArgmaxOp{}, x).item() == 1);
}

TEST_CASE("only the gradients that are needed are asked for") {
  const Tensor<double> plain({1}, {1});
  const auto x = leaf({1});
  Needed<2> seen{};
  backward(apply(WatchedOp{&seen}, x, plain));
  CHECK((seen[0] && !seen[1]));
  backward(apply(WatchedOp{&seen}, plain, x));
  CHECK((!seen[0] && seen[1]));
  backward(apply(WatchedOp{&seen}, x, x));
  CHECK((seen[0] && seen[1]));
}

TEST_CASE("an operation that returns no gradient, or one of another shape, is named") {
  const auto a = leaf({1}), b = leaf({1});
  const Tensor<double> good({1}, {1}), bad({2}, {1, 1});
  CHECK_THROWS_WITH(backward(apply(WrongOp{{good, {}}}, a, b)), "wrong: no gradient for input 1");
  CHECK_THROWS_WITH(backward(apply(WrongOp{{bad, good}}, a, b)), "wrong: gradient of shape (2) for input 0 of shape (1)");
  CHECK_NOTHROW(backward(apply(WrongOp{{good, {}}}, a, detach(b))));
}

TEST_CASE("undefined tensors are refused by name, but for a bias") {
  const Tensor<double> x({1, 2}, {1, 2}), weight({1, 2}, {3, 4}), nothing;
  CHECK_THROWS_WITH(x + nothing, "add: input 1 is an undefined tensor");
  CHECK_THROWS_WITH(gradient(x) * 2.0, "affine: input 0 is an undefined tensor");
  CHECK_THROWS_AS(linear(nothing, weight), Error);
  CHECK_THROWS_AS(linear(x, nothing), Error);
  CHECK(linear(x, weight, nothing).item() == 11);
}

TEST_CASE("an operation has a backward that fits, or says why there is none") {
  using X = Tensor<double>;
  STATIC_REQUIRE(Differentiable<CubeOp, X, X> == true);
  STATIC_REQUIRE(Differentiable<WatchedOp, X, X, X> == true);
  STATIC_REQUIRE(Differentiable<NoBackwardOp, X, X> == false);
  STATIC_REQUIRE(Differentiable<WrongCountOp, X, X> == false);
  STATIC_REQUIRE(Nondifferentiable<ArgmaxOp> == true);
  STATIC_REQUIRE(Nondifferentiable<NoBackwardOp> == false);
}
