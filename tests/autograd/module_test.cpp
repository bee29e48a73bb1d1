// SPDX-License-Identifier: MIT
// Walking over modules: names, counts, freezing, unreached parameters, copying state.
#include <plinth/autograd/module.hpp>

#include <string>
#include <vector>

#include <plinth/ops/reduction.hpp>

#include "catch.hpp"

using namespace plinth;
using Names = std::vector<std::string>;

namespace {

template <class T>
struct Leafy {
  Tensor<T> weight, bias;
  explicit Leafy(std::int64_t size, bool with_bias = true) : weight({size}, std::vector<T>(static_cast<std::size_t>(size), T(1))) {
    if (with_bias) bias = Tensor<T>({1}, {T(2)});
  }
  static void visit(auto& self, auto&& f) {
    f("weight", self.weight);
    f("bias", self.bias);
  }
};

template <class T>
struct Tree {
  Leafy<T> first{2};
  std::vector<Leafy<T>> rest;
  std::optional<Leafy<T>> maybe;
  std::vector<std::optional<Tensor<T>>> loose;

  static void visit(auto& self, auto&& f) {
    f("first", self.first);
    f("rest", self.rest);
    f("maybe", self.maybe);
    f("loose", self.loose);
  }
};

template <class T = double>
Tree<T> tree() {
  Tree<T> result;
  result.rest.emplace_back(3, false);
  result.rest.emplace_back(4);
  result.loose = {std::nullopt, Tensor<T>({1, 2}, {T(5), T(6)})};
  return result;
}

template <class M>
Names names(const M& model) {
  Names found;
  for_each_parameter(model, [&](const std::string& name, const auto&) { found.push_back(name); });
  return found;
}

struct Empty {
  static void visit(auto&, auto&&) {}
};

}  // namespace

TEST_CASE("parameters have dotted names in the order of visit") {
  auto model = tree();
  CHECK(names(model) == Names{"first.weight", "first.bias", "rest.0.weight", "rest.1.weight", "rest.1.bias", "loose.1"});
  model.maybe.emplace(1, false);
  CHECK(names(model) == Names{"first.weight", "first.bias", "rest.0.weight", "rest.1.weight", "rest.1.bias",
                              "maybe.weight", "loose.1"});
  CHECK(parameter_count(model) == 2 + 1 + 3 + 4 + 1 + 1 + 2);
  CHECK(parameter_count(Empty()) == 0);
}

TEST_CASE("walk calls modules before their parts") {
  const auto model = tree();
  Names found;
  walk("model", model, [&](const std::string& name, const auto&) { found.push_back(name); });
  CHECK(found == Names{"model", "model.first", "model.first.weight", "model.first.bias", "model.rest.0",
                       "model.rest.0.weight", "model.rest.1", "model.rest.1.weight", "model.rest.1.bias", "model.loose.1"});
}

TEST_CASE("what is a module and what is not") {
  STATIC_REQUIRE(Module<Tree<float>> == true);
  STATIC_REQUIRE(Module<Empty> == true);
  STATIC_REQUIRE(Module<Tensor<float>> == false);
  STATIC_REQUIRE(Module<int> == false);
  STATIC_REQUIRE(ModelPart<std::vector<Empty>> == true);
  STATIC_REQUIRE(ModelPart<const std::optional<Tensor<float>>> == true);
  STATIC_REQUIRE(ModelPart<std::string> == false);
}

TEST_CASE("training can be turned on and off, and unreached parameters are named") {
  auto model = tree();
  CHECK(unreached(model).empty());  // nothing is to be trained
  set_trainable(model, true);
  CHECK(unreached(model) == names(model));
  backward(sum(model.first.weight * 2.0) + sum(model.rest[1].bias));
  CHECK(unreached(model) == Names{"first.bias", "rest.0.weight", "rest.1.weight", "loose.1"});
  set_trainable(model.rest, false);
  set_trainable(model.loose, false);
  CHECK(unreached(model) == Names{"first.bias"});
  CHECK(gradient(model.first.weight).to_vector() == std::vector<double>{2, 2});
  clear_gradients(model);
  CHECK(unreached(model) == Names{"first.weight", "first.bias"});
}

TEST_CASE("a copied module shares its parameters") {
  auto model = tree();
  set_trainable(model, true);
  auto same = model;
  same.first.weight.mutable_data()[0] = 9;
  CHECK(model.first.weight.to_vector()[0] == 9);
  backward(sum(same.first.weight));
  CHECK(gradient(model.first.weight).defined());
}

TEST_CASE("copy_state converts between element types by name") {
  auto from = tree<double>();
  from.first.weight = Tensor<double>({2}, {0.1, -3});
  auto to = tree<float>();
  set_trainable(to, true);
  const auto* place = to.first.weight.data();
  copy_state(from, to);
  CHECK(to.first.weight.to_vector() == std::vector<float>{0.1f, -3});
  CHECK(to.first.weight.data() == place);
  CHECK(needs_gradient(to.first.weight));
  auto back = tree<double>();
  copy_state(to, back);
  CHECK(back.first.weight.to_vector() == std::vector<double>{static_cast<double>(0.1f), -3});
  auto small = tree<bfloat16>();
  copy_state(from, small);
  CHECK(small.first.weight.to_vector()[0].bits == bfloat16(0.1f).bits);
  auto single = tree<float>();
  copy_state(small, single);
  CHECK(single.first.weight.to_vector()[1] == -3);
}

TEST_CASE("copy_state refuses models that differ, before it copies") {
  auto from = tree(), to = tree();
  from.first.weight.mutable_data()[0] = 7;
  from.maybe.emplace(1, false);
  CHECK_THROWS_WITH(copy_state(from, to), "copy_state: the target model has no parameter maybe.weight");
  CHECK_THROWS_AS(copy_state(from, to), ArgumentError);
  CHECK_THROWS_WITH(copy_state(to, from), "copy_state: the source model has no parameter maybe.weight");
  to.maybe.emplace(2, false);
  CHECK_THROWS_WITH(copy_state(from, to), "copy_state: maybe.weight has shapes (1) and (2)");
  CHECK_THROWS_AS(copy_state(from, to), ShapeError);
  std::vector<double> memory(2);
  to.maybe->weight = Tensor<double>::view_of(memory.data(), {1}, {1});
  to.first.weight = Tensor<double>::view_of(memory.data() + 1, {2}, {-1});
  CHECK_THROWS_WITH(copy_state(from, to), "copy_state: first.weight has strides (-1)");
  CHECK(memory == std::vector<double>{0, 0});
}
