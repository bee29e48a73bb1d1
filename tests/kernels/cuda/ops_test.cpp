// SPDX-License-Identifier: MIT
// The same ops, tape and tensors on both devices: results and gradients agree.
#include "kernels/cuda/device_array.hpp"

#include <cmath>

#include "catch.hpp"

#include <plinth/activation/gelu.hpp>
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

}  // namespace

TEST_CASE("cuda and plain loops: the same ops give the same results and gradients", "[cuda]") {
  const auto on_plain = compute<Plain>(), on_cuda = compute<Cuda>();
  CHECK(largest_difference(on_cuda.y, on_plain.y) < 2e-6);
  CHECK(largest_difference(on_cuda.dx, on_plain.dx) < 2e-6);
  CHECK(largest_difference(on_cuda.dw, on_plain.dw) < 2e-6);
}
