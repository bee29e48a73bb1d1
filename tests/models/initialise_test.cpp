// SPDX-License-Identifier: MIT
// The first weights of a model of the user's own.
#include <plinth/models/initialise.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <plinth/layers/dropout.hpp>
#include <plinth/layers/linear.hpp>

#include "catch.hpp"

using namespace plinth;

namespace {

struct Net {
  using element = float;
  using device = Cpu;
  Linear<float> first{64, 128}, second{128, 64};

  static void visit(auto& self, auto&& f) {
    f("first", self.first);
    f("second", self.second);
  }
};

double deviation_of(const Tensor<float>& x) {
  double sum = 0;
  for (const float value : x.to_vector()) sum += double(value) * double(value);
  return std::sqrt(sum / static_cast<double>(x.count()));
}

}  // namespace

TEST_CASE("matrices of one's own model are drawn, each its own, and vectors are not") {
  Net net, again, other;
  initialise(net, 0.1, 7);
  initialise(again, 0.1, 7);
  initialise(other, 0.1, 8);
  // of 8192 numbers: 0.1 with a standard error of 0.1 / sqrt(2 * 8192), five of which are 0.004
  CHECK(std::abs(deviation_of(net.first.weight) - 0.1) < 0.004);
  CHECK(std::abs(deviation_of(net.second.weight) - 0.1) < 0.004);
  CHECK(net.first.bias.to_vector() == std::vector<float>(128, 0));
  CHECK(net.first.weight.to_vector() == again.first.weight.to_vector());
  CHECK(net.first.weight.to_vector() != other.first.weight.to_vector());
  CHECK(net.first.weight.to_vector() != net.second.weight.to_vector());
  CHECK(needs_gradient(net.first.weight));
}

TEST_CASE("a shared matrix stays shared, and a frozen one frozen") {
  Net net;
  net.second.weight = net.first.weight;
  require_gradient(net.first.weight, false);
  const float* const memory = net.first.weight.data();
  initialise(net, 0.1);
  CHECK(net.first.weight.data() == memory);
  CHECK(net.second.weight.data() == memory);
  CHECK_FALSE(needs_gradient(net.first.weight));
  Net alone;
  initialise(alone, 0.1);
  CHECK(net.second.weight.to_vector() == alone.first.weight.to_vector());
}

TEST_CASE("a deviation that is none is refused") {
  Net net;
  for (const double bad : {0.0, -1.0, std::numeric_limits<double>::infinity()})
    CHECK_THROWS_AS(initialise(net, bad), ArgumentError);
}
