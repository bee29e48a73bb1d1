// SPDX-License-Identifier: MIT
// to_string of tensors.
#include <plinth/tensor/print.hpp>

#include <numeric>
#include <vector>

#include "catch.hpp"

using namespace plinth;

TEST_CASE("a tensor prints its type, device, shape and values") {
  CHECK(to_string(Tensor<float>({2, 3}, {1, 2.5f, -3, 4, 5, 6})) ==
        "Tensor<float32, cpu> (2, 3)\n"
        "[[1, 2.5, -3],\n"
        " [4, 5, 6]]");
  CHECK(to_string(Tensor<double>(Shape(), {0.125})) == "Tensor<float64, cpu> ()\n0.125");
  CHECK(to_string(Tensor<float>({0, 2})) == "Tensor<float32, cpu> (0, 2)\n[]");
  CHECK(to_string(Tensor<float>()) == "Tensor<float32, cpu> undefined");
  CHECK(to_string(Tensor<bfloat16>({2}, {bfloat16(1.5f), bfloat16(-2.0f)})) == "Tensor<bfloat16, cpu> (2)\n[1.5, -2]");
  CHECK(to_string(Tensor<half>({1}, {half(0.5f)})) == "Tensor<float16, cpu> (1)\n[0.5]");
}

TEST_CASE("integers print in full") {
  CHECK(to_string(Tensor<std::int32_t>({2}, {2147483647, -123456789})) ==
        "Tensor<int32, cpu> (2)\n[2147483647, -123456789]");
}

TEST_CASE("of long axes the first and last three are printed") {
  std::vector<std::int32_t> counted(16);
  std::iota(counted.begin(), counted.end(), 0);
  CHECK(to_string(Tensor<std::int32_t>({16}, counted)) == "Tensor<int32, cpu> (16)\n[0, 1, 2, ..., 13, 14, 15]");
  CHECK(to_string(Tensor<std::int32_t>({8, 2}, counted)) ==
        "Tensor<int32, cpu> (8, 2)\n"
        "[[0, 1],\n [2, 3],\n [4, 5],\n ...,\n [10, 11],\n [12, 13],\n [14, 15]]");
  CHECK(to_string(Tensor<std::int32_t>({6}, std::vector<std::int32_t>(6, 1))) ==
        "Tensor<int32, cpu> (6)\n[1, 1, 1, 1, 1, 1]");
}

TEST_CASE("a strided tensor prints in its own order") {
  std::vector<std::int32_t> values = {1, 2, 3, 4};
  const auto transposed = Tensor<std::int32_t>::view_of(values.data(), {2, 2}, {1, 2});
  CHECK(to_string(transposed) == "Tensor<int32, cpu> (2, 2)\n[[1, 3],\n [2, 4]]");
}
