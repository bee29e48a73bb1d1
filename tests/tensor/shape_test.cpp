// SPDX-License-Identifier: MIT
// Shapes: counting, strides, broadcasting, and what they refuse.
#include <plinth/tensor/shape.hpp>

#include <vector>

#include "catch.hpp"

using namespace plinth;

TEST_CASE("a shape is a list of sizes") {
  const Shape shape{2, 3, 4};
  CHECK(shape.rank() == 3);
  CHECK(shape[0] == 2);
  CHECK(shape[-1] == 4);
  CHECK(shape[-3] == 2);
  CHECK(shape.back() == 4);
  CHECK(to_string(shape) == "(2, 3, 4)");
  CHECK(to_string(Shape{7}) == "(7)");
  CHECK(to_string(Shape()) == "()");
  CHECK(shape == Shape{2, 3, 4});
  CHECK_FALSE(shape == Shape{2, 3});
  CHECK_FALSE(shape == Shape{2, 3, 5});
  CHECK(Shape() == Shape{});
}

TEST_CASE("a shape has at most six axes") {
  CHECK(Shape{1, 2, 3, 4, 5, 6}.rank() == max_rank);
  CHECK_THROWS_AS((Shape{1, 2, 3, 4, 5, 6, 7}), ShapeError);
  CHECK_THROWS_AS(Shape(std::vector<std::int64_t>(7, 1)), ShapeError);
  Shape full{1, 2, 3, 4, 5, 6};
  CHECK_THROWS_WITH(full.push_back(7), "a tensor has at most 6 axes");
}

TEST_CASE("element_count multiplies up to 2^48") {
  constexpr std::int64_t million = 1 << 20;
  CHECK(element_count(Shape()) == 1);
  CHECK(element_count({2, 3, 4}) == 24);
  CHECK(element_count({2, 0, 4}) == 0);
  CHECK(element_count({million, million, 256}) == std::int64_t{1} << 48);
  CHECK_THROWS_AS(element_count({million, million, 257}), ShapeError);
  CHECK_THROWS_AS(element_count({std::int64_t{1} << 62, 4}), ShapeError);             // wraps to 0 in 64 bits
  CHECK_THROWS_AS(element_count({(std::int64_t{1} << 32) + 1, std::int64_t{1} << 32}), ShapeError);
  CHECK_THROWS_WITH(element_count({2, -3}), "shape (2, -3) is negative or has more than 2^48 elements");
  // The strides of an empty tensor must not overflow either.
  CHECK_THROWS_AS(element_count({0, std::int64_t{1} << 40, std::int64_t{1} << 40}), ShapeError);
  CHECK(element_count({million, million, 0}) == 0);
}

TEST_CASE("strides of dense tensors") {
  CHECK(contiguous_strides({2, 3, 4}) == Shape{12, 4, 1});
  CHECK(contiguous_strides({5}) == Shape{1});
  CHECK(contiguous_strides({}) == Shape{});
  CHECK(contiguous_strides({2, 0, 4}) == Shape{4, 4, 1});
}

TEST_CASE("shapes broadcast as in PyTorch") {
  CHECK(broadcast_shapes("add", {2, 3}, {2, 3}) == Shape{2, 3});
  CHECK(broadcast_shapes("add", {2, 1}, {1, 3}) == Shape{2, 3});
  CHECK(broadcast_shapes("add", {4, 2, 3}, {3}) == Shape{4, 2, 3});
  CHECK(broadcast_shapes("add", {3}, {4, 2, 3}) == Shape{4, 2, 3});
  CHECK(broadcast_shapes("add", {}, {4, 2}) == Shape{4, 2});
  CHECK(broadcast_shapes("add", {1}, {0}) == Shape{0});
  CHECK(broadcast_shapes("add", {0}, {1}) == Shape{0});
  CHECK_THROWS_AS(broadcast_shapes("add", {0}, {2}), ShapeError);
  CHECK_THROWS_WITH(broadcast_shapes("add", {2, 3}, {2}), "add: shapes (2, 3) and (2) do not broadcast");
}
