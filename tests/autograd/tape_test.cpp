// SPDX-License-Identifier: MIT
// The tape: shared inputs, accumulation, aliasing, what changes between forward and backward, long chains, threads.
#include <plinth/autograd/tape.hpp>

#include <memory>
#include <thread>
#include <vector>

#include <plinth/ops/reduction.hpp>

#include "catch.hpp"

using namespace plinth;
using Catch::Matchers::Contains;

namespace {

using Doubles = std::vector<double>;

Tensor<double> leaf(const Shape& shape, const Doubles& values) {
  Tensor<double> x(shape, values);
  require_gradient(x);
  return x;
}

}  // namespace

TEST_CASE("the gradient of a product and a sum") {
  const auto x = leaf({3}, {1, 2, 3}), y = leaf({3}, {4, 5, 6});
  backward(sum(x * y));
  CHECK(gradient(x).to_vector() == Doubles{4, 5, 6});
  CHECK(gradient(y).to_vector() == Doubles{1, 2, 3});
}

TEST_CASE("through a diamond both ways add up") {
  // f = a b with a = 2 x and b = x + 3: f' = 4 x + 6
  const auto x = leaf({2}, {1, -2});
  const auto doubled = x * 2.0;
  backward(sum(doubled * (x + 3.0)));
  CHECK(gradient(x).to_vector() == Doubles{10, -2});

  // A ladder of diamonds: x -> x + x, 30 times, so 2^30 paths through 30 nodes
  const auto start = leaf({1}, {1});
  auto y = start + start;
  for (int i = 1; i < 30; ++i) y = y + y;
  backward(y);
  CHECK(gradient(start).item() == 1073741824.0);
}

TEST_CASE("an operand used twice receives both gradients") {
  const auto x = leaf({2}, {3, 4});
  backward(sum(x * x));
  CHECK(gradient(x).to_vector() == Doubles{6, 8});
  clear_gradient(x);
  backward(sum(x - x));
  CHECK(gradient(x).to_vector() == Doubles{0, 0});
  clear_gradient(x);
  backward(x + x, Tensor<double>({2}, {1, 10}));
  CHECK(gradient(x).to_vector() == Doubles{2, 20});
}

TEST_CASE("gradients of several backward passes add up until they are cleared") {
  const auto x = leaf({2}, {1, 2});
  CHECK_FALSE(gradient(x).defined());
  backward(sum(x * 3.0));
  backward(sum(x * x));
  CHECK(gradient(x).to_vector() == Doubles{5, 7});
  clear_gradient(x);
  CHECK_FALSE(gradient(x).defined());
  backward(sum(x));
  CHECK(gradient(x).to_vector() == Doubles{1, 1});
}

TEST_CASE("a gradient that was read does not change behind the reader's back") {
  const auto x = leaf({2}, {1, 2});
  backward(sum(x));
  const auto first = gradient(x);
  backward(sum(x));
  CHECK(first.to_vector() == Doubles{1, 1});
  CHECK(gradient(x).to_vector() == Doubles{2, 2});
}

TEST_CASE("after backward every leaf owns its gradient's memory, dense") {
  const auto x = leaf({2}, {1, 2}), y = leaf({2}, {3, 4}), wide = leaf({2, 3}, Doubles(6, 1));
  Tensor<double> seed({2}, {1, 1});
  backward(x + y, seed);                     // the sum passes the seed on to both
  backward(sum(wide));                       // and this one a single number with strides of 0
  CHECK(gradient(x).data() != gradient(y).data());
  CHECK(gradient(x).data() != seed.data());
  CHECK(gradient(y).data() != seed.data());
  gradient(x).mutable_data()[0] = 7;         // as clipping does
  CHECK(gradient(x).to_vector() == Doubles{7, 1});
  CHECK(gradient(y).to_vector() == Doubles{1, 1});
  CHECK(seed.to_vector() == Doubles{1, 1});
  CHECK(gradient(wide).contiguous());
  CHECK(gradient(wide).to_vector() == Doubles(6, 1));
}

TEST_CASE("a leaf may be the end, or be reached as a view") {
  const auto x = leaf({1}, {5});
  backward(x);
  CHECK(gradient(x).item() == 1);
  const auto m = leaf({2, 2}, {1, 2, 3, 4});
  backward(transpose(m), Tensor<double>({2, 2}, {1, 2, 3, 4}));
  CHECK(gradient(m).to_vector() == Doubles{1, 3, 2, 4});
  CHECK(gradient(m).contiguous());
}

TEST_CASE("backward refuses what has no gradient") {
  const Tensor<double> plain({1}, {2});
  CHECK_THROWS_AS(backward(plain), GradientError);
  CHECK_THROWS_AS(backward(plain * 2.0), GradientError);
  const auto x = leaf({2}, {1, 2});
  CHECK_THROWS_WITH(backward(x * 2.0), Contains("shape (2)") && Contains("second argument"));
  CHECK_THROWS_WITH(backward(x * 2.0, plain), "backward: tensor (2) and seed (1) differ in shape");
  CHECK_THROWS_AS(backward(Tensor<double>()), GradientError);
}

TEST_CASE("the same forward pass goes backward once") {
  const auto x = leaf({1}, {3});
  const auto square = x * x;
  const auto loss = square * 2.0;
  backward(loss);
  CHECK_THROWS_WITH(backward(loss), Contains("affine: backward ran twice"));
  clear_gradient(x);
  CHECK_THROWS_WITH(backward(square + 1.0), Contains("multiply: backward ran twice"));
}

TEST_CASE("a tensor that was saved and then written to stops backward by name") {
  auto x = leaf({2}, {1, 2});
  const auto other = leaf({2}, {1, 1});
  const auto loss = sum(x * other);
  x.mutable_data()[0] = 5;
  CHECK_THROWS_WITH(backward(loss), "multiply: a tensor of shape (2) saved for backward was written to after the forward pass");
  // A failed pass leaves nothing half-done in the leaves.
  CHECK_FALSE(gradient(x).defined());
  CHECK_FALSE(gradient(other).defined());
  // What was not saved may change.
  const auto sum_of_both = x + other;
  x.mutable_data()[0] = 6;
  CHECK_NOTHROW(backward(sum(sum_of_both)));
}

TEST_CASE("detached and freed tensors") {
  auto x = leaf({2}, {1, 2});
  CHECK(needs_gradient(x));
  CHECK_FALSE(needs_gradient(detach(x)));
  CHECK(detach(x).data() == x.data());
  backward(sum(x * detach(x)));              // d(x c)/dx = c
  CHECK(gradient(x).to_vector() == Doubles{1, 2});

  const auto copied = clone(x);
  CHECK_FALSE(needs_gradient(copied));
  CHECK(copied.data() != x.data());
  CHECK(copied.to_vector() == x.to_vector());

  require_gradient(x, false);
  CHECK_FALSE(needs_gradient(x));
  CHECK_FALSE(gradient(x).defined());
  CHECK_THROWS_AS(backward(sum(x)), GradientError);
  require_gradient(x);
  const auto same = x;                        // shares the slot
  backward(sum(same));
  CHECK(gradient(x).to_vector() == Doubles{1, 1});
}

TEST_CASE("the tape keeps no memory once backward is done") {
  const auto x = leaf({1024}, Doubles(1024, 1));
  const std::size_t before = memory<Cpu>::use().current;
  {
    const auto y = exp(x * 2.0), loss = sum(y * y);
    CHECK(memory<Cpu>::use().current == before + 2 * 8192 + 64);  // 2 x and y are saved, the loss is held
    backward(loss);
    CHECK(memory<Cpu>::use().current == before + 2 * 8192 + 64);  // y, the gradient of x, the loss
  }
  clear_gradient(x);
  CHECK(memory<Cpu>::use().current == before);
}

TEST_CASE("a chain of a million operations runs backward and is released without recursion") {
  constexpr int length = 1000000;
  const auto x = leaf({1}, {0});
  const auto chain = [&] {
    auto y = x + 1.0;
    for (int i = 1; i < length; ++i) y = y + 1.0;
    return y;
  };
  {
    const auto y = chain();
    CHECK(y.item() == length);
    backward(y);
    CHECK(gradient(x).item() == 1);
  }
  CHECK((chain() * x).item() == 0);  // released without backward
}

TEST_CASE("leaves and operations of different threads make one graph") {
  // The leaves are younger than some operations and older than others.
  Tensor<double> x({2}, {1, 2}), y({2}, {3, 4});
  Tensor<double> product;
  std::thread([&] {
    for (int i = 0; i < 100; ++i) require_gradient(x), require_gradient(x, false);
    require_gradient(x);
    require_gradient(y);
  }).join();
  std::thread([&] { product = x * y; }).join();
  const auto loss = product + x;
  std::thread([&] { backward(loss, Tensor<double>({2}, {1, 1})); }).join();
  CHECK(gradient(x).to_vector() == Doubles{4, 5});
  CHECK(gradient(y).to_vector() == Doubles{1, 2});
  gradient(x).mutable_data()[0] = 0;
  CHECK(gradient(y).to_vector() == Doubles{1, 2});
}

TEST_CASE("threads run backward at once, each on its own graph") {
  Doubles results(4);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t, &results] {
      for (int round = 0; round < 200; ++round) {
        const auto x = leaf({1}, {static_cast<double>(t + 1)});
        auto y = x * 1.0;
        for (int i = 0; i < 10; ++i) y = y * x;  // x^11
        backward(y);
        results[static_cast<std::size_t>(t)] = gradient(x).item();
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(results == Doubles{11, 11.0 * 1024, 11.0 * 59049, 11.0 * 1048576});
}
