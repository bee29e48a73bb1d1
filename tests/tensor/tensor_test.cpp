// SPDX-License-Identifier: MIT
// Tensors: values in and out, views of the user's memory, sharing, versions, errors.
#include <plinth/tensor/tensor.hpp>

#include <memory>
#include <type_traits>
#include <vector>

#include "catch.hpp"

using namespace plinth;

TEST_CASE("a tensor holds the values it was made from") {
  const Tensor<float> x({2, 3}, {1, 2, 3, 4, 5, 6});
  CHECK(x.defined());
  CHECK(x.rank() == 2);
  CHECK(x.shape() == Shape{2, 3});
  CHECK(x.strides() == Shape{3, 1});
  CHECK(x.size(0) == 2);
  CHECK(x.size(-1) == 3);
  CHECK(x.count() == 6);
  CHECK(x.contiguous());
  CHECK(x.to_vector() == std::vector<float>{1, 2, 3, 4, 5, 6});
  CHECK(reinterpret_cast<std::uintptr_t>(x.data()) % 64 == 0);

  const std::vector<std::int32_t> ids = {7, 8};
  CHECK(Tensor<std::int32_t>({2}, ids).to_vector() == ids);
  CHECK(Tensor<double>(Shape(), {2.5}).item() == 2.5);
  CHECK(Tensor<double>({1, 1}, {2.5}).item() == 2.5);
  CHECK(Tensor<float>({0, 3}).to_vector().empty());
}

TEST_CASE("a tensor refuses what does not fit") {
  CHECK_THROWS_WITH((Tensor<float>({2, 2}, {1, 2, 3})), "tensor of shape (2, 2) cannot hold 3 values");
  CHECK_THROWS_AS(Tensor<float>({2, -1}), ShapeError);
  CHECK_THROWS_AS(Tensor<float>({1 << 30, 1 << 30}), ShapeError);
  const Tensor<float> x({2, 3}, {1, 2, 3, 4, 5, 6});
  CHECK_THROWS_WITH(x.item(), "item: shape (2, 3) has not one element");
  CHECK_THROWS_WITH(x.size(2), "size: axis 2 of shape (2, 3)");
  CHECK_THROWS_AS(x.size(-3), ShapeError);
  CHECK_THROWS_AS(Tensor<float>(Shape(), {1}).size(0), ShapeError);
}

TEST_CASE("an undefined tensor has nothing to read") {
  Tensor<float> x;
  CHECK_FALSE(x.defined());
  CHECK(x.data() == nullptr);
  CHECK(x.mutable_data() == nullptr);
  CHECK(x.version() == 0);
  CHECK_THROWS_AS(x.item(), ShapeError);
  CHECK_THROWS_WITH(x.to_vector(), "to_vector: the tensor is undefined");
  x = Tensor<float>({1}, {4});
  CHECK(x.item() == 4);
}

TEST_CASE("copies of a tensor share their memory and its version") {
  Tensor<float> x({2}, {1, 2});
  Tensor<float> y = x;
  CHECK(y.data() == x.data());
  const auto before = x.version();
  y.mutable_data()[1] = 5;
  CHECK(x.to_vector() == std::vector<float>{1, 5});
  CHECK(x.version() == before + 1);
  CHECK(y.version() == x.version());
  y = Tensor<float>({2}, {3, 4});
  CHECK(x.to_vector() == std::vector<float>{1, 5});
}

TEST_CASE("view_of reads the user's memory through strides") {
  std::vector<float> memory = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  using Floats = std::vector<float>;
  const auto view = [&](std::size_t first, const Shape& shape, const Shape& strides) {
    return Tensor<float>::view_of(memory.data() + first, shape, strides);
  };
  CHECK(view(0, {3, 4}, {4, 1}).contiguous());
  CHECK(view(0, {4, 3}, {1, 4}).to_vector() == Floats{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11});  // transposed
  CHECK(view(1, {2, 2}, {8, 2}).to_vector() == Floats{1, 3, 9, 11});                           // with gaps
  CHECK(view(11, {12}, {-1}).to_vector() == Floats{11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0});     // backwards
  CHECK(view(3, {3, 4}, {4, -1}).to_vector() == Floats{3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8}); // both
  CHECK(view(8, {2, 2, 2}, {-8, 2, 1}).to_vector() == Floats{8, 9, 10, 11, 0, 1, 2, 3});
  CHECK(view(5, {2, 3}, {0, 1}).to_vector() == Floats{5, 6, 7, 5, 6, 7});                      // repeated
  CHECK(view(5, {}, {}).item() == 5);
  CHECK(view(0, {0, 4}, {4, 1}).to_vector().empty());
  CHECK_FALSE(view(11, {12}, {-1}).contiguous());
  CHECK(Tensor<float>({3, 0, 2}).contiguous());
  CHECK(view(0, {3, 1, 4}, {4, 99, 1}).contiguous());  // the stride of an axis of size 1 means nothing

  auto whole = view(0, {12}, {1});
  whole.mutable_data()[2] = 20;
  CHECK(memory[2] == 20);
}

TEST_CASE("view_of checks what it can and keeps the owner alive") {
  float value = 1;
  CHECK_THROWS_WITH(Tensor<float>::view_of(&value, {1}, {1, 1}), "view_of: shape (1) and strides (1, 1) differ in rank");
  CHECK_THROWS_WITH(Tensor<float>::view_of(nullptr, {2}, {1}), "view_of: null pointer for shape (2)");
  CHECK_THROWS_AS(Tensor<float>::view_of(&value, {-1}, {1}), ShapeError);
  CHECK_THROWS_AS(Tensor<float>::view_of(&value, {1 << 30, 1 << 30}, {1 << 30, 1}), ShapeError);
  CHECK_NOTHROW(Tensor<float>::view_of(nullptr, {0}, {1}));

  auto owner = std::make_shared<std::vector<float>>(3, 2.0f);
  const std::weak_ptr<std::vector<float>> watch = owner;
  {
    auto x = Tensor<float>::view_of(owner->data(), {3}, {1}, owner);
    owner.reset();
    const auto y = x;
    x = {};
    CHECK(y.to_vector() == std::vector<float>(3, 2.0f));
    CHECK_FALSE(watch.expired());
  }
  CHECK(watch.expired());
}

TEST_CASE("a tensor of another type or device is another type") {
  STATIC_REQUIRE(std::same_as<Tensor<float>::element, float>);
  STATIC_REQUIRE(std::same_as<Tensor<float>::device, Cpu>);
  STATIC_REQUIRE(std::is_convertible_v<Tensor<float>, Tensor<double>> == false);
  STATIC_REQUIRE(std::is_nothrow_move_constructible_v<Tensor<float>>);
}
