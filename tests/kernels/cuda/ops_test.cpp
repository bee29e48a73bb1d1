// SPDX-License-Identifier: MIT
// The same ops, tape and tensors on both devices: results and gradients agree.
#include "kernels/cuda/device_array.hpp"

#include <cmath>

#include "catch.hpp"

#include <plinth/activation/gelu.hpp>
#include <plinth/models/feed_forward.hpp>
#include <plinth/ops/arithmetic.hpp>
#include <plinth/ops/matmul.hpp>
#include <plinth/ops/softmax.hpp>

#include "kernels/plain_backend.hpp"

using namespace plinth;

namespace {

struct Computed {
  std::vector<float> y, dx, dw;
};

/// y = softmax(gelu(x w) + b) over a batch, and the gradients for dy = b.
template <class D>
Computed compute() {
  Tensor<float, D> x({3, 5, 40}, test_values<float>(600, 1)), w({40, 7}, test_values<float>(280, 2));
  const Tensor<float, D> b({3, 5, 7}, test_values<float>(105, 3));
  require_gradient(x);
  require_gradient(w);
  const auto y = softmax(gelu(matmul(x, w)) + b);
  backward(y, b);
  return {y.to_vector(), gradient(x).to_vector(), gradient(w).to_vector()};
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size() || a.empty()) return INFINITY;
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::fmax(largest, std::fabs(double(a[i]) - double(b[i])));
  return largest;
}

/// Output and gradients of a feed-forward with GELU in its tanh form, one after the other.
template <class D>
std::vector<std::vector<float>> feed_forward(std::int64_t hidden, bool bias) {
  std::uint32_t site = 10;
  const auto random = [&](const Shape& shape) {
    Tensor<float, D> x(shape, test_values<float>(element_count(shape), ++site));
    require_gradient(x);
    return x;
  };
  const auto x = random({2, 10, 24}), w1 = random({hidden, 24}), w2 = random({16, hidden});
  const auto b1 = bias ? random({hidden}) : Tensor<float, D>(), b2 = bias ? random({16}) : b1;
  const auto y = apply(FeedForwardOp<GeluTanh, float, D>{}, x, w1, w2, b1, b2);
  backward(y, Tensor<float, D>(y.shape(), test_values<float>(y.count(), 9)));
  std::vector<std::vector<float>> all = {y.to_vector()};
  for (const auto& input : {x, w1, w2, b1, b2})
    if (input.defined()) all.push_back(gradient(input).to_vector());
  return all;
}

}  // namespace

TEST_CASE("cuda and plain loops: a feed-forward, whose gradients are parts of products on CUDA", "[cuda]") {
  for (const std::int64_t hidden : {40, 37})  // cuBLASLt takes GELU's slope with rows of eights
    for (const bool bias : {true, false}) {
      CAPTURE(hidden, bias);
      const auto on_plain = feed_forward<Plain>(hidden, bias), on_cuda = feed_forward<Cuda>(hidden, bias);
      REQUIRE(on_cuda.size() == on_plain.size());
      for (std::size_t i = 0; i < on_cuda.size(); ++i) CHECK(largest_difference(on_cuda[i], on_plain[i]) < 5e-5);
    }
}

TEST_CASE("cuda and plain loops: the same ops give the same results and gradients", "[cuda]") {
  const auto on_plain = compute<Plain>(), on_cuda = compute<Cuda>();
  CHECK(largest_difference(on_cuda.y, on_plain.y) < 2e-6);
  CHECK(largest_difference(on_cuda.dx, on_plain.dx) < 2e-6);
  CHECK(largest_difference(on_cuda.dw, on_plain.dw) < 2e-6);
}
