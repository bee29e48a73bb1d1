// SPDX-License-Identifier: MIT
// Gradients with checkpoints are, bit for bit, those without, whatever is shared, frozen, dropped out or nested.
#include <plinth/autograd/checkpoint.hpp>

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <plinth/activation/gelu.hpp>
#include <plinth/ops/arithmetic.hpp>
#include <plinth/ops/dropout.hpp>
#include <plinth/ops/matmul.hpp>
#include <plinth/ops/reduction.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"

using namespace plinth;
using Catch::Matchers::Contains;

namespace {

using X = Tensor<float>;

X random(const Shape& shape, std::uint32_t site) {
  return X(shape, numbers::normal<float>(element_count(shape), site));
}

/// Three parameters and an input, all leaves.
struct Leaves {
  X a = random({5, 5}, 1), b = random({5, 5}, 2), c = random({5}, 3), x = random({4, 5}, 4);
  bool checkpointed = false;

  explicit Leaves(bool with_checkpoints) : checkpointed(with_checkpoints) {
    for (X* leaf : {&a, &b, &c, &x}) require_gradient(*leaf);
  }
  /// f(x...), with a checkpoint or without.
  template <class F>
  X run(const F& f, const auto&... inputs) const {
    return checkpointed ? checkpoint(f, inputs...) : f(inputs...);
  }
  std::vector<float> gradients() const {
    std::vector<float> all;
    for (const X* leaf : {&a, &b, &c, &x}) {
      all.push_back(static_cast<float>(gradient(*leaf).defined()));
      if (!gradient(*leaf).defined()) continue;
      const auto values = gradient(*leaf).to_vector();
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  }
};

using Program = std::function<void(Leaves&)>;

/// Runs a program that calls backward, without checkpoints and with them.
void same_bits(const Program& program) {
  Leaves without(false), with(true);
  program(without);
  program(with);
  const auto expected = without.gradients();
  CHECK(expected.size() > 30);
  CHECK(with.gradients() == expected);
}

/// gelu(h w) + c, as a segment.
auto layer(const X& w, const X& c) {
  return [&w, &c](const X& h) { return gelu(matmul(h, w)) + c; };
}

}  // namespace

TEST_CASE("a chain of checkpoints gives the same bits") {
  same_bits([](Leaves& l) {
    const X h = l.run(layer(l.a, l.c), l.x);
    backward(sum(l.run(layer(l.b, l.c), h)));
  });
}

TEST_CASE("an input shared by several segments and by what is outside") {
  same_bits([](Leaves& l) {
    const auto product = [](const X& h, const X& w) { return matmul(h, w) * matmul(h, w); };
    const X h = l.x * 0.3 + l.c;
    const X first = l.run(product, h, l.a), outside = matmul(h, l.b), second = l.run(product, h, l.b);
    const X third = l.run([](const X& p, const X& q, const X& r) { return p * q + r * p + q; }, first, h, second);
    backward(sum(third + outside * h));
  });
}

TEST_CASE("a weight tied between segments and outside") {
  same_bits([](Leaves& l) {
    const X h = l.run(layer(l.a, l.c), matmul(l.x, l.a));
    backward(sum(matmul(l.run(layer(l.a, l.c), h), l.a) * l.run(layer(l.b, l.c), h)));
  });
}

TEST_CASE("accumulation over micro-steps, with two backward passes over one part") {
  same_bits([](Leaves& l) {
    for (int micro = 0; micro < 3; ++micro) {
      const X h = l.run(layer(l.a, l.c), l.x * (1.0 + micro));
      backward(sum(l.run(layer(l.b, l.c), h)));
    }
  });
}

TEST_CASE("frozen inputs and frozen parameters") {
  same_bits([](Leaves& l) {
    require_gradient(l.x, false);
    require_gradient(l.b, false);
    const X h = l.run(layer(l.b, l.x), l.run(layer(l.a, l.c), random({4, 5}, 9)));
    backward(sum(h));
  });
  same_bits([](Leaves& l) {  // nothing in the second segment wants a gradient, and what comes before does
    const X b = detach(l.b), c = detach(l.c);
    backward(sum(l.run(layer(b, c), l.run(layer(l.a, l.c), l.x))));
  });
  Leaves l(true);
  const X y = sum(l.run([](const X& h) { return h * h; }, detach(l.x)) + l.x);
  backward(y);
  CHECK(gradient(l.x).to_vector() == std::vector<float>(20, 1));
}

TEST_CASE("what a segment captures may have a history of its own") {
  same_bits([](Leaves& l) {
    const X bias = gelu(l.c) * 2, other = matmul(l.a, l.b);
    const auto segment = [bias, other](const X& h) { return gelu(matmul(h, other)) + bias; };
    const X h = l.run(segment, l.run(segment, l.x));
    backward(sum(h * bias));
  });
}

TEST_CASE("dropout draws the masks of the forward pass, wherever backward is called") {
  const auto program = [](Leaves& l) {
    X y;
    const auto segment = [&l](const X& h) { return dropout(layer(l.a, l.c)(h), 0.4, 7); };
    {
      const TrainingScope<Cpu> training(3, 11, 2);
      y = sum(l.run(segment, l.run(segment, l.x)));
    }
    return y;
  };
  same_bits([&](Leaves& l) { backward(program(l)); });
  same_bits([&](Leaves& l) {
    const X y = program(l);
    const TrainingScope<Cpu> other(3, 12);
    backward(y);
    CHECK(TrainingScope<Cpu>::current() == &other);
  });
  same_bits([](Leaves& l) {  // none in the forward pass, none in its replay
    const X y = sum(l.run([&l](const X& h) { return dropout(matmul(h, l.a), 0.4, 7); }, l.x));
    const TrainingScope<Cpu> training(3, 12);
    backward(y * sum(l.run([&l](const X& h) { return dropout(matmul(h, l.b), 0.4, 7); }, l.x)));
  });
}

TEST_CASE("checkpoints within checkpoints") {
  same_bits([](Leaves& l) {
    const auto inner = [&l](const X& h) { return l.run(layer(l.b, l.c), l.run(layer(l.a, l.c), h)) * h; };
    const auto outer = [&](const X& h) { return l.run(inner, l.run(inner, h) + h); };
    backward(sum(l.run(outer, l.run(outer, l.x))));
  });
}

TEST_CASE("a function that returns its input, and one of no input") {
  same_bits([](Leaves& l) {
    const X h = l.run([](const X& x) { return x; }, l.x);
    backward(sum(matmul(h, l.a) + l.run([&l] { return l.c * l.c; }) + h));
  });
}

TEST_CASE("without a gradient in sight nothing is kept") {
  Leaves l(true);
  const NoGradient no_gradient;
  int calls = 0;
  const X y = checkpoint(
      [&](const X& h) {
        ++calls;
        return matmul(h, l.a);
      },
      l.x);
  CHECK(calls == 1);
  CHECK_THROWS_AS(backward(sum(y)), GradientError);
}

TEST_CASE("only inputs are kept, and they are released") {
  Leaves l(true);
  const X wide = random({200, 5}, 5);
  const auto deep = [&](const X& h) { return gelu(gelu(gelu(gelu(matmul(h, l.a))))); };
  const auto bytes = [] { return memory<Cpu>::use().current; };
  backward(sum(deep(wide)));  // the kernels have their scratch memory now
  clear_gradient(l.a);
  const std::size_t before = bytes();
  {
    const X y = deep(wide);
    CHECK(bytes() - before >= 4 * 200 * 5 * sizeof(float));
  }
  X y = checkpoint(deep, wide);
  CHECK(bytes() - before < 2 * 200 * 5 * sizeof(float));
  y = sum(y);
  backward(y);
  clear_gradient(l.a);
  CHECK(bytes() - before < 200 * 5 * sizeof(float));
}

TEST_CASE("checkpoint misuse is an error and leaves no gradient") {
  Leaves l(true);
  const X y = sum(l.run(layer(l.a, l.c), l.x));
  backward(y);
  CHECK_THROWS_AS(backward(y), GradientError);
  for (X* leaf : {&l.a, &l.c, &l.x}) clear_gradient(*leaf);

  const X written = sum(l.run(layer(l.a, l.c), l.x));
  l.x.mutable_data()[0] = 1;
  CHECK_THROWS_WITH(backward(written),
                    Contains("checkpoint: a tensor of shape (4, 5) saved for backward was written to"));

  int calls = 0;
  const auto fickle = [&](const X& h) { return ++calls == 1 ? matmul(h, l.a) : sum(matmul(h, l.a)); };
  const X changed = sum(l.run(fickle, l.x));
  CHECK_THROWS_WITH(backward(changed), Contains("checkpoint: the function gave shape (4, 5) and then ()"));

  calls = 0;
  const auto failing = [&](const X& h) {
    if (++calls == 2) throw std::runtime_error("second call");
    return matmul(h, l.a);
  };
  const X late = l.run(failing, l.x);  // its replay comes after that of the segment behind it
  const X failed = sum(l.run(layer(l.b, l.c), late));
  CHECK_THROWS_WITH(backward(failed), "second call");
  for (const X* leaf : {&l.a, &l.b, &l.c, &l.x}) CHECK_FALSE(gradient(*leaf).defined());
}
