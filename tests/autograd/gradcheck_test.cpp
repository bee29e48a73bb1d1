// SPDX-License-Identifier: MIT
// gradcheck accepts right gradients and finds wrong ones.
#include <plinth/autograd/gradcheck.hpp>

#include <string>
#include <vector>

#include <plinth/activation/tanh.hpp>
#include <plinth/ops/matmul.hpp>
#include <plinth/ops/reduction.hpp>

#include "catch.hpp"

using namespace plinth;
using Catch::Matchers::Contains;

namespace {

using Inputs = std::vector<Tensor<double>>;

Tensor<double> normals(const Shape& shape, std::uint32_t site) {
  return random_normal<double>(shape, 1, RandomStream{1, RandomPurpose::initialise, site});
}

/// y = x^2 with a derivative that is off by the factor `error`.
struct Square {
  static constexpr const char* name = "square";
  double error = 1;
  template <class T>
  T forward(T x) const {
    return x * x;
  }
  template <class T>
  T backward(T x, T dy) const {
    return static_cast<T>(error) * T(2) * x * dy;
  }
};

std::string check_square(double error) {
  return gradcheck<Cpu>([=](const Inputs& in) { return pointwise(in[0], Square{error}); }, {normals({2, 3}, 1)});
}

}  // namespace

TEST_CASE("gradcheck accepts right gradients") {
  CHECK(check_square(1) == "");
  CHECK(gradcheck<Cpu>([](const Inputs& in) { return matmul(tanh(in[0]), in[1]) + in[2]; },
                       {normals({2, 3, 4}, 1), normals({4, 5}, 2), normals({5}, 3)}) == "");
}

TEST_CASE("gradcheck finds wrong gradients and says where") {
  CHECK_THAT(check_square(1.01), Contains("input 0, element 0: gradient ") && Contains(", central difference "));
  CHECK(check_square(-1) != "");
  CHECK(check_square(0) != "");
  CHECK(check_square(std::numeric_limits<double>::quiet_NaN()) != "");
  // An error that a plain sum of the outputs would hide: the gradient of a permuted output.
  const auto crossed = [](const Inputs& in) {
    const auto value = detach(in[0]) - slice(in[0], 0, 0, 2);      // zero everywhere
    const auto lost = concatenate(slice(in[0], 0, 1, 2), slice(in[0], 0, 0, 1), 0);
    return value + detach(in[0]) + lost - detach(lost);            // the value of x, the gradient of x exchanged
  };
  CHECK(gradcheck<Cpu>(crossed, {normals({2}, 1)}) != "");
}

TEST_CASE("gradcheck reports an input that nothing reached") {
  CHECK(gradcheck<Cpu>([](const Inputs& in) { return in[0] * 2.0; }, {normals({2}, 1), normals({2}, 2)}) ==
        "input 1 received no gradient");
}

TEST_CASE("gradcheck leaves values as they were, also through strides") {
  std::vector<double> memory = {1, 2, 3, 4, 5, 6};
  const auto before = memory;
  const auto x = Tensor<double>::view_of(memory.data(), {2, 3}, {1, 2});
  CHECK(gradcheck<Cpu>([](const Inputs& in) { return exp(in[0] * 0.1); }, {x}) == "");
  CHECK(memory == before);
  CHECK_FALSE(needs_gradient(x));
}
