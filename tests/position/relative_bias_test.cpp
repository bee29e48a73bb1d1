// SPDX-License-Identifier: MIT
// T5's relative bias against transformers: buckets, bias and gradient.
#include <plinth/position/relative_bias.hpp>

#include <string>
#include <vector>

#include <plinth/autograd/module.hpp>
#include <plinth/io/safetensors_file.hpp>

#include "catch.hpp"

using namespace plinth;

namespace {

Tensor<std::int32_t> counted(std::int32_t first, std::int32_t count) {
  std::vector<std::int32_t> all;
  for (std::int32_t i = 0; i < count; ++i) all.push_back(first + i);
  return Tensor<std::int32_t>({1, count}, all);
}

}  // namespace

TEST_CASE("the buckets of T5, from far before to far after") {
  const SafetensorsFile golden("tests/golden/positions.safetensors");
  const auto check = [&](const std::string& name, const RelativeBuckets& buckets) {
    INFO(name);
    const auto expected = golden.read<std::int32_t>("t5.buckets." + name);
    const auto reach = static_cast<int>(expected.size() / 2);
    for (int ahead = -reach; ahead <= reach; ++ahead) {
      const auto wanted = expected[static_cast<std::size_t>(ahead + reach)];
      const auto found = static_cast<std::int32_t>(buckets.forward(1000.0f, 1000.0f + static_cast<float>(ahead)));
      if (found != wanted) FAIL_CHECK(ahead << " is in bucket " << found << ", expected " << wanted);
    }
  };
  check("bidirectional", {});
  check("causal", {.bidirectional = false});
  check("few", {.count = 8, .max_distance = 20});
  check("odd_causal", {.count = 7, .max_distance = 30, .bidirectional = false});
}

TEST_CASE("the bias of a T5 layer and its gradient") {
  const SafetensorsFile golden("tests/golden/positions.safetensors");
  for (const bool bidirectional : {true, false}) {
    const std::string name = bidirectional ? "t5.encoder." : "t5.decoder.";
    RelativeBias<double> bias(3, {.bidirectional = bidirectional});
    bias.weight = Tensor<double>(golden.shape(name + "weight"), golden.read<double>(name + "weight"));
    require_gradient(bias.weight);
    const Shape shape = golden.shape(name + "bias");  // (1, H, T, S), the last queries of S keys
    const auto keys = static_cast<std::int32_t>(shape[3]), queries = static_cast<std::int32_t>(shape[2]);
    const auto y = bias(counted(keys - queries, queries), counted(0, keys));
    CHECK(y.shape() == shape);
    CHECK(y.to_vector() == golden.read<double>(name + "bias"));
    backward(y, Tensor<double>(shape, golden.read<double>(name + "dbias")));
    const auto found = gradient(bias.weight).to_vector(), expected = golden.read<double>(name + "dweight");
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == Approx(expected[i]).margin(1e-12));
  }
}

TEST_CASE("a relative bias has its weight by name") {
  const RelativeBias<float> bias(4, {.count = 10, .max_distance = 40});
  std::vector<std::string> names;
  for_each_parameter(bias, [&](const std::string& name, const auto&) { names.push_back(name); });
  CHECK(names == std::vector<std::string>{"weight"});
  CHECK(bias.weight.shape() == Shape{10, 4});
  CHECK(needs_gradient(bias.weight));
}

TEST_CASE("rows that start elsewhere have the same bias") {
  RelativeBias<double> bias(1, {.count = 8, .max_distance = 16});
  bias.weight = Tensor<double>({8, 1}, {0, 1, 2, 3, 4, 5, 6, 7});
  const auto here = bias(counted(0, 5), counted(0, 5)).to_vector();
  CHECK(bias(counted(100, 5), counted(100, 5)).to_vector() == here);
  CHECK(bias(counted(0, 5), counted(1, 5)).to_vector() != here);
}

TEST_CASE("buckets without a distance are refused") {
  const auto make = [](std::int64_t heads, const RelativeBuckets& buckets) { RelativeBias<float>(heads, buckets); };
  CHECK_THROWS_WITH(make(0, {}), "relative bias: 0 heads; there must be at least 1");
  CHECK_THROWS_WITH(make(2, {.count = 2}), "relative bias: 2 buckets; there must be at least 4, an even number");
  CHECK_THROWS_AS(make(2, {.count = 7}), ArgumentError);
  CHECK_THROWS_WITH(make(2, {.count = 1, .bidirectional = false}),
                    "relative bias: 1 buckets; there must be at least 2");
  CHECK_THROWS_WITH(make(2, {.max_distance = 8}),
                    "relative bias: max_distance 8 is not beyond the 8 distances that have a bucket each");
  CHECK_THROWS_AS(RelativeBias<float>(2, {})(counted(0, 2), Tensor<std::int32_t>({2}, {0, 1})), ShapeError);
}
