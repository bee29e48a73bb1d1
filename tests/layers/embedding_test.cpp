// SPDX-License-Identifier: MIT
// The embedding layer.
#include <plinth/layers/embedding.hpp>

#include <vector>

#include <plinth/autograd/gradcheck.hpp>
#include <plinth/autograd/module.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"

using namespace plinth;

namespace {

using Doubles = std::vector<double>;
using Ids = Tensor<std::int32_t>;

}  // namespace

TEST_CASE("an embedding looks up rows") {
  Embedding<double> embedding(3, 2);
  CHECK(embedding.weight.to_vector() == Doubles(6, 0));
  CHECK(needs_gradient(embedding.weight));
  CHECK(parameter_count(embedding) == 6);
  embedding.weight = Tensor<double>({3, 2}, {1, 2, 3, 4, 5, 6});
  const auto y = embedding(Ids({2, 2}, {2, 0, 1, 2}));
  CHECK(y.shape() == Shape{2, 2, 2});
  CHECK(y.to_vector() == Doubles{5, 6, 1, 2, 3, 4, 5, 6});
  CHECK(embedding(Ids({0, 4})).shape() == Shape{0, 4, 2});
}

TEST_CASE("rows that are used twice gather both gradients") {
  Embedding<double> embedding(3, 2);
  backward(embedding(Ids({3}, {1, 2, 1})), Tensor<double>({3, 2}, {1, 2, 3, 4, 10, 20}));
  CHECK(gradient(embedding.weight).to_vector() == Doubles{0, 0, 11, 22, 3, 4});
  const Ids ids({2, 2}, {0, 2, 2, 2});
  CHECK(gradcheck<Cpu>([&](const auto& in) { return gather_rows(in[0], ids); },
                       {Tensor<double>({3, 4}, numbers::normal<double>(12, 1))}) == "");
}

TEST_CASE("ids may be strided") {
  Embedding<double> embedding(3, 1);
  embedding.weight = Tensor<double>({3, 1}, {5, 6, 7});
  std::vector<std::int32_t> ids = {0, 1, 2};
  CHECK(embedding(Ids::view_of(ids.data() + 2, {3}, {-1})).to_vector() == Doubles{7, 6, 5});
  CHECK(embedding(Ids::view_of(ids.data() + 1, {2, 2}, {0, 0})).to_vector() == Doubles(4, 6));
}

TEST_CASE("an embedding refuses ids outside its table") {
  const Embedding<double> embedding(3, 2);
  CHECK_THROWS_WITH(embedding(Ids({2}, {0, 3})), "gather_rows: index 3 at position 1 is outside [0, 3)");
  CHECK_THROWS_AS(embedding(Ids({2}, {-1, 0})), ArgumentError);
  CHECK_THROWS_AS(embedding(Ids()), ArgumentError);
  CHECK_THROWS_AS(gather_rows(Tensor<double>({3}, {1, 2, 3}), Ids({1}, {0})), ShapeError);
}
