// SPDX-License-Identifier: MIT
// CUDA's attention of few queries, whose keys are split over blocks, against loops in double.
#include <plinth/kernels/cuda.cuh>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "catch.hpp"
#include "kernels/cuda/attention_on_cuda.hpp"
#include "kernels/random_problem.hpp"

namespace attention_decode {  // compile.cu holds all tests of this folder

using namespace plinth;
using attention_definition::Definition;
using attention_definition::Problem;
using random_operands::Random;

namespace {

/// Tokens before heads in memory, or behind them with room for more, as in a cache.
HeadLayout layout(Random& random, std::int64_t heads, std::int64_t time, std::int64_t D) {
  const std::int64_t capacity = time + random.below(3);
  return random.one_in(3) ? attention_definition::layout(heads, time, D, true)
                          : HeadLayout{heads * capacity * D, capacity * D, D};
}

template <class T>
Problem<T> random_problem(Random& random) {
  constexpr std::int64_t groups[] = {1, 1, 2, 4, 8, 3}, sizes[] = {32, 64, 64, 128, 96, 256, 20, 7};
  Problem<T> p({0, 1, 1, 0, 0, 1, false});
  AttentionShape& s = p.shape;
  s = {.batch = 1 + random.below(3),
       .key_heads = 1 + random.below(2),
       .queries = random.one_in(3) ? 1 + random.below(8) : 1,
       .keys = random.one_in(3)    ? 1 + random.below(700)
               : random.one_in(20) ? 0
                                   : 1 + random.below(130),
       .head_size = sizes[random.below(8)],
       .causal = !random.one_in(3)};
  s.heads = s.key_heads * groups[random.below(6)];
  if (s.causal && random.one_in(2)) s.window = 1 + random.below(s.keys + 2);
  s.scale = (random.one_in(4) ? -0.5 : 1) / std::sqrt(static_cast<double>(s.head_size));
  s.query = layout(random, s.heads, s.queries, s.head_size), s.output = s.query;
  s.key = layout(random, s.key_heads, s.keys, s.head_size), s.value = s.key;
  for (std::int64_t b = 0; b < s.batch && s.batch > 1; ++b) {
    const std::int64_t end = random.below(s.keys + 1), begin = random.one_in(3) ? random.below(s.keys + 1) : 0;
    for (const std::int64_t x : {end - s.queries + random.below(3), begin, end})
      p.rows.push_back(static_cast<std::int32_t>(x));
  }
  p.query = numbers::normal<T>(s.batch * s.query.batch, 1), p.doutput = p.query;
  p.key = numbers::normal<T>(s.batch * s.key.batch, 2), p.value = numbers::normal<T>(s.batch * s.value.batch, 3);
  return p;
}

template <class T>
struct Decoded {
  std::vector<T> output;  // NaN where nothing was written
  std::vector<float> log2_sum;

  /// Operands lie `offset` elements behind aligned addresses.
  explicit Decoded(const Problem<T>& p, std::size_t offset = 0) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const Shifted<T> q(p.query, offset), k(p.key, offset), v(p.value, offset),
        y(std::vector<T>(p.query.size(), T(nan)), offset);
    const DeviceArray<float> sums(
        std::vector<float>(static_cast<std::size_t>(p.shape.batch * p.shape.heads * p.shape.queries), nan));
    const DeviceArray<std::int32_t> rows(p.rows);
    kernels<Cuda>::attention(queue<Cuda>::current(), p.shape, p.rows.empty() ? nullptr : rows.data(), q.data(),
                             k.data(), v.data(), y.data(), sums.data());
    output = y.values(), log2_sum = sums.values();
  }
};

/// How many of the output's elements are wrong, and of those between its heads are written.
template <class T>
std::size_t wrong_outputs(const Problem<T>& p, const std::vector<T>& found, const std::vector<double>& wanted) {
  const AttentionShape& s = p.shape;
  const double limit = std::is_same_v<T, float> ? 3e-6 : 8e-3;
  std::vector<bool> element(found.size());
  for (std::int64_t b = 0; b < s.batch; ++b)
    for (std::int64_t h = 0; h < s.heads; ++h)
      for (std::int64_t i = 0; i < s.queries; ++i)
        for (std::int64_t d = 0; d < s.head_size; ++d)
          element[static_cast<std::size_t>(b * s.output.batch + h * s.output.head + i * s.output.time + d)] = true;
  std::size_t wrong = 0;
  for (std::size_t at = 0; at < found.size(); ++at) {
    const double y = static_cast<double>(found[at]);
    wrong += element[at] ? !(std::abs(y - wanted[at]) <= limit * (0.5 + std::abs(wanted[at]))) : !std::isnan(y);
  }
  return wrong;
}

template <class T>
void agree(const Problem<T>& p) {
  const AttentionShape& s = p.shape;
  INFO("B " << s.batch << " H " << s.heads << " G " << s.key_heads << " T " << s.queries << " S " << s.keys << " D "
            << s.head_size << (s.causal ? " causal" : "") << " window " << s.window << " rows " << p.rows.size() / 3);
  const auto wanted = Definition<T>(p).run();
  const Decoded<T> found(p);
  CHECK(wrong_outputs(p, found.output, wanted.output) == 0);
  CHECK(wrong_log2_sums(found.log2_sum, wanted.log2_sum) == 0);
}

/// One key head of so many keys, whose queries are two heads.
template <class T>
Problem<T> long_problem(std::int64_t keys) {
  return Problem<T>({1, 2, 1, 1, keys, 64, true});
}

}  // namespace

TEMPLATE_TEST_CASE("cuda attention of few queries is its definition", "[cuda]", float, bfloat16, plinth::half) {
  Random random(sizeof(TestType));
  for (int k = 0; k < 24; ++k) agree(random_problem<TestType>(random));
}

TEST_CASE("cuda attention of few queries: bits do not depend on alignment", "[cuda]") {
  const auto p = long_problem<bfloat16>(200);
  const Decoded<bfloat16> aligned(p), shifted(p, 1);
  CHECK(aligned.output == shifted.output);
  CHECK(aligned.log2_sum == shifted.log2_sum);
}

TEST_CASE("cuda attention of few queries: large scores in any part keep the softmax, and NaN stays where it is seen",
          "[cuda]") {
  for (const std::size_t where : {0u, 100u, 299u}) {
    auto p = long_problem<float>(300);
    for (std::size_t d = 0; d < 64; ++d) p.key[where * 64 + d] = 1e4f * p.query[d];  // of the first head
    const auto output = Decoded<float>(p).output, value = p.value;
    for (std::size_t d = 0; d < 64; ++d) CHECK(output[d] == value[where * 64 + d]);
    p.key[where * 64] = NAN;
    for (const float y : Decoded<float>(p).output) CHECK(std::isnan(y));
    p.rows = {298, 0, 299};  // hides the last key
    CHECK(std::isnan(Decoded<float>(p).output[0]) == (where < 299));
    p.rows = {299, 0, 301};
    for (const float y : Decoded<float>(p).output) CHECK(std::isnan(y));  // keys that there are not
  }
}

}  // namespace attention_decode
