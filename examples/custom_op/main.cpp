// SPDX-License-Identifier: MIT
// Proves an operation of one's own, then trains with it: which of four directions does a noisy vector point in?
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "unit_rows.hpp"

namespace {

using plinth::Cpu;
using plinth::Tensor;

template <class T = float>
Tensor<T> noise(const plinth::Shape& shape, std::uint64_t seed) {
  return plinth::random_normal<T>(shape, 1, {seed, plinth::RandomPurpose::initialise, 0});
}

double largest_difference(const Tensor<float>& a, const Tensor<float>& b) {
  const auto left = a.to_vector(), right = b.to_vector();
  double largest = 0;
  for (std::size_t i = 0; i < left.size(); ++i) largest = std::max<double>(largest, std::abs(left[i] - right[i]));
  return largest;
}

/// What one forward and backward pass of an operation gives, and what it costs.
struct Pass {
  Tensor<float> value, gradient;
  double milliseconds = 1e300;
  std::size_t bytes = 0;  // at most, beyond the input
};

template <class F>
Pass measure(const F& operation, Tensor<float> x, const Tensor<float>& dy) {
  Pass pass;
  plinth::require_gradient(x);
  for (int repeat = 0; repeat < 20; ++repeat) {
    plinth::clear_gradient(x);
    pass.value = pass.gradient = {};
    plinth::memory<Cpu>::reset_peak();
    const std::size_t before = plinth::memory<Cpu>::use().current;
    const auto start = std::chrono::steady_clock::now();
    pass.value = operation(x);
    plinth::backward(pass.value, dy);
    pass.gradient = plinth::gradient(x);
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
    pass.milliseconds = std::min(pass.milliseconds, time.count());
    pass.bytes = plinth::memory<Cpu>::use().peak - before;
  }
  return pass;
}

/// 1. The gradient is that of central differences, in double.
void check_gradient() {
  const auto wrong =
      plinth::gradcheck<Cpu>([](const auto& inputs) { return unit_rows(inputs[0]); }, {noise<double>({3, 5}, 1)});
  if (!wrong.empty()) throw plinth::GradientError("unit_rows: " + wrong);
  std::printf("gradcheck of unit_rows: passed\n\n");
}

/// 2. Values and gradients are those of the definition, and cheaper.
void compare() {
  const plinth::Shape shape = {8192, 256};
  const auto x = noise(shape, 2), dy = noise(shape, 3);
  const Pass composed = measure([](const auto& input) { return composed_unit_rows(input); }, plinth::clone(x), dy);
  const Pass own = measure([](const auto& input) { return unit_rows(input); }, plinth::clone(x), dy);
  std::printf("unit_rows of (8192, 256) against its composition\n");
  std::printf("  largest difference     value %.0e   gradient %.0e\n", largest_difference(own.value, composed.value),
              largest_difference(own.gradient, composed.gradient));
  std::printf("  forward and backward   composed %5.2f ms   own %5.2f ms\n", composed.milliseconds, own.milliseconds);
  std::printf("  memory at its peak     composed %5.2f MB   own %5.2f MB\n\n", double(composed.bytes) * 1e-6,
              double(own.bytes) * 1e-6);
}

/// A vector for each class; the logits are ten times the cosines of the angles between them and the inputs.
struct Directions {
  using element = float;
  using device = Cpu;
  Tensor<float> weight;  // (classes, channels)

  Tensor<float> operator()(const Tensor<float>& x) const {
    return matmul(unit_rows(x), transpose(unit_rows(weight))) * 10;  // (samples, classes)
  }
  static void visit(auto& self, auto&& f) { f("weight", self.weight); }
};

/// 3. It trains like any other: the samples' lengths differ by a factor of a thousand, their directions tell the class.
void train() {
  constexpr std::int64_t samples = 256, classes = 4, channels = 16;
  std::vector<std::int32_t> labels;
  std::vector<float> lengths;
  for (std::int64_t i = 0; i < samples; ++i) {
    labels.push_back(static_cast<std::int32_t>(i % classes));
    lengths.push_back(std::pow(10.0f, static_cast<float>(i % 31) / 10 - 1));
  }
  const Tensor<std::int32_t> targets({samples}, labels);
  const auto directions = gather_rows(noise({classes, channels}, 4), targets);  // (samples, channels)
  const auto x = (directions + noise({samples, channels}, 5) * 0.5) * Tensor<float>({samples, 1}, lengths);

  Directions model{noise({classes, channels}, 6)};
  plinth::set_trainable(model, true);
  plinth::AdamW optimizer(model);
  std::printf("training on directions\n");
  for (int step = 0; step <= 60; ++step) {
    const auto logits = model(x);
    const auto loss = cross_entropy(logits, targets);
    if (step % 20 == 0) {
      const auto scores = logits.to_vector();
      std::int64_t right = 0;
      for (std::int64_t i = 0; i < samples; ++i) {
        const auto row = scores.begin() + i * classes;
        right += std::max_element(row, row + classes) - row == labels[static_cast<std::size_t>(i)];
      }
      std::printf("  step %2d   loss %.3f   %3lld of %lld right\n", step, static_cast<double>(loss.item()),
                  static_cast<long long>(right), static_cast<long long>(samples));
    }
    backward(loss);
    optimizer.step(0.05);
    plinth::clear_gradients(model);
  }
}

}  // namespace

int main() {
  try {
    check_gradient();
    compare();
    train();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "custom_op: %s\n", error.what());
    return 1;
  }
}
