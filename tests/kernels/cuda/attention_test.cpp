// SPDX-License-Identifier: MIT
// CUDA's attention on tensor cores against loops in double.
#include <plinth/kernels/cuda.cuh>

#include <plinth/attention/attention.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "kernels/cuda/attention_on_cuda.hpp"

namespace attention_on_cuda {  // compile.cu holds all tests of this folder

using namespace plinth;
using attention_definition::Definition;
using attention_definition::Problem;
using attention_definition::Sizes;

static_assert(!FusedAttention<kernels<Cuda>, Cuda, float> && !FusedAttention<kernels<Cuda>, Cuda, double>);

namespace {

/// Every width of tiles, full and not; lengths around tiles of 32, 64 and 128; queries that see no key; windows and
/// keys of each row that begin and end inside tiles, or leave rows, tiles and all without keys.
const std::vector<Sizes>& many_sizes() {
  static const std::vector<Sizes> sizes = {
      {1, 1, 1, 1, 1, 1, false},
      {1, 1, 1, 1, 1, 1, true},
      {2, 4, 2, 17, 17, 8, true},
      {1, 2, 1, 33, 65, 20, false},
      {1, 1, 1, 129, 131, 32, true},
      {1, 3, 1, 31, 64, 40, true},
      {1, 2, 2, 130, 63, 64, false},
      {1, 1, 1, 64, 64, 80, true},
      {1, 2, 1, 37, 97, 128, true},
      {1, 1, 1, 129, 129, 128, true},
      {2, 1, 1, 19, 45, 200, true},
      {1, 1, 1, 33, 70, 256, false},
      {1, 1, 1, 130, 131, 256, true},
      {1, 1, 1, 140, 140, 32, true, 20},
      {1, 1, 1, 150, 150, 64, true, 1},
      {1, 2, 1, 40, 9, 5, true},
      {1, 2, 1, 40, 9, 5, true, 4},
      {1, 1, 1, 17, 17, 8, true, 99},
      {2, 2, 1, 1, 300, 64, true},
      {3, 2, 1, 20, 150, 8, false, 0, {0, 0, 150, 0, 17, 131, 0, 140, 12}},
      {3, 2, 1, 20, 150, 8, true, 0, {130, 0, 150, 100, 90, 120, -10, 0, 150}},
      {4, 2, 2, 40, 200, 32, true, 30, {0, 0, 200, 160, 0, 200, 91, 100, 105, 300, 0, 200}}};
  return sizes;
}

template <class T>
void agree(const Problem<T>& problem, double limit) {
  const auto& s = problem.shape;
  INFO("B " << s.batch << " H " << s.heads << " G " << s.key_heads << " T " << s.queries << " S " << s.keys << " D "
            << s.head_size << (s.causal ? " causal" : "") << " window " << s.window << " rows "
            << problem.rows.size() / 3);
  const auto wanted = Definition<T>(problem).run();
  const AttentionOnCuda<T> found(problem);
  CHECK(numbers::distance(found.output, wanted.output) < limit);
  CHECK(numbers::distance(found.dquery, wanted.dquery) < limit);
  CHECK(numbers::distance(found.dkey, wanted.dkey) < limit);
  CHECK(numbers::distance(found.dvalue, wanted.dvalue) < limit);
  CHECK(wrong_log2_sums(found.log2_sum, wanted.log2_sum) == 0);
}

/// In the 2-norm, relative: probabilities and gradients of scores are rounded before they are multiplied. Its square is
/// well below 5e-4.
template <class T>
constexpr double rounding = std::is_same_v<T, plinth::half> ? 1e-3 : 7e-3;

}  // namespace

TEMPLATE_TEST_CASE("cuda attention is its definition", "[cuda]", bfloat16, plinth::half) {
  for (const Sizes& s : many_sizes()) agree(Problem<TestType>(s), rounding<TestType>);
}

TEST_CASE("cuda attention: a negative scale, and none", "[cuda]") {
  Problem<bfloat16> problem({1, 1, 1, 20, 70, 16, true});
  for (const double scale : {-0.7, 0.0}) {
    problem.shape.scale = scale;
    agree(problem, rounding<bfloat16>);
  }
}

TEMPLATE_TEST_CASE("cuda attention: bits do not depend on alignment", "[cuda]", bfloat16, plinth::half) {
  for (const Sizes& s : {Sizes{1, 2, 1, 40, 100, 32, true}, Sizes{2, 1, 1, 20, 70, 64, true, 9, {49, 3, 70, 17, 0, 50}},
                         Sizes{1, 1, 1, 33, 70, 200, false}}) {
    const Problem<TestType> problem(s);
    const auto bits = AttentionOnCuda<TestType>(problem).bits();
    for (const std::size_t offset : {std::size_t{1}, std::size_t{4}})
      CHECK(AttentionOnCuda<TestType>(problem, offset).bits() == bits);
  }
}

TEST_CASE("cuda attention: log2_sum may be null, and empty sizes are zeros or nothing", "[cuda]") {
  for (const Sizes& s :
       {Sizes{1, 2, 1, 20, 30, 8, true}, Sizes{2, 2, 1, 3, 0, 8, false}, Sizes{1, 2, 2, 0, 5, 8, true}}) {
    const Problem<plinth::half> problem(s);
    const AttentionOnCuda<plinth::half> with_sums(problem);
    const DeviceArray<plinth::half> q(problem.query), k(problem.key), v(problem.value), y(problem.doutput);
    kernels<Cuda>::attention(queue<Cuda>::current(), problem.shape, nullptr, q.data(), k.data(), v.data(), y.data(),
                             static_cast<float*>(nullptr));
    CHECK(y.values() == with_sums.output);
    if (s.S == 0)
      CHECK(std::all_of(with_sums.output.begin(), with_sums.output.end(), [](plinth::half x) { return x == 0.0f; }));
    if (s.S == 0) CHECK(with_sums.log2_sum == std::vector<float>(12, -INFINITY));
    if (s.T == 0) CHECK(std::all_of(with_sums.dkey.begin(), with_sums.dkey.end(), [](plinth::half x) { return x == 0.0f; }));
  }
}

TEST_CASE("cuda attention: large scores neither overflow nor lose the softmax, and what is no number stays none",
          "[cuda]") {
  Problem<bfloat16> problem({1, 1, 1, 20, 20, 8, true});
  for (bfloat16& x : problem.query) x = bfloat16(1e4f * x);
  const AttentionOnCuda<bfloat16> found(problem);
  CHECK(std::all_of(found.output.begin(), found.output.end(), [](bfloat16 y) { return std::isfinite(y); }));
  CHECK(found.output[0] == problem.value[0]);  // the first query sees one key
  problem.key[3 * 8] = bfloat16(NAN);
  const AttentionOnCuda<bfloat16> spoilt(problem);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < spoilt.output.size(); ++i) wrong += std::isnan(spoilt.output[i]) != (i >= 3 * 8);
  CHECK(wrong == 0);
}

TEST_CASE("cuda attention: what lies outside a row's keys is not read, and gets no gradient", "[cuda]") {
  Problem<bfloat16> problem({2, 2, 1, 30, 150, 8, true, 40, {115, 90, 130, 5, 0, 17}});
  const AttentionOnCuda<bfloat16> before(problem);
  std::size_t wrong = 0;
  for (std::size_t b = 0; b < 2; ++b)
    for (std::size_t j = 0; j < 150; ++j)
      for (std::size_t d = 0; d < 8; ++d) {
        const std::size_t k = (b * 150 + j) * 8 + d;  // one key head: both layouts are the same
        if (b == 0 ? j >= 90 && j < 130 : j < 17) continue;
        problem.key[k] = problem.value[k] = bfloat16(NAN);
        wrong += before.dkey[k] != 0 || before.dvalue[k] != 0;
      }
  CHECK(wrong == 0);
  CHECK(AttentionOnCuda<bfloat16>(problem).bits() == before.bits());
}

TEST_CASE("cuda attention: keys outside the tensor give NaN in their batch row, and only there", "[cuda]") {
  const Sizes valid = {2, 1, 1, 20, 30, 16, true, 0, {10, 0, 30, 10, 0, 30}};
  const AttentionOnCuda<plinth::half> wanted{Problem<plinth::half>(valid)};
  for (const auto& [begin, end] : {std::pair{-1, 30}, std::pair{0, 31}, std::pair{-5, 40}}) {
    Problem<plinth::half> problem(valid);
    problem.rows[4] = begin, problem.rows[5] = end;
    const AttentionOnCuda<plinth::half> found(problem);
    const auto first_half_only = [](const auto& got, const auto& good) {
      std::size_t right = 0;
      for (std::size_t i = 0; i < got.size(); ++i) right += i < got.size() / 2 ? got[i] == good[i] : std::isnan(got[i]);
      return right == got.size();
    };
    CHECK(first_half_only(found.output, wanted.output));
    CHECK(first_half_only(found.log2_sum, wanted.log2_sum));
    CHECK(first_half_only(found.dquery, wanted.dquery));
    CHECK(first_half_only(found.dkey, wanted.dkey));
    CHECK(first_half_only(found.dvalue, wanted.dvalue));
  }
}

TEST_CASE("cuda attention: heads of more than 256 channels are refused", "[cuda]") {
  const AttentionShape shape{.batch = 1, .heads = 1, .key_heads = 1, .queries = 1, .keys = 1, .head_size = 257};
  plinth::half* const none = nullptr;
  CHECK_THROWS_AS(kernels<Cuda>::attention(queue<Cuda>::current(), shape, nullptr, none, none, none, none, nullptr),
                  ArgumentError);
}

TEST_CASE("cuda attention: rows that a warp loads at once lie in different banks, and no two pieces at one place",
          "[cuda]") {
  const auto check = [](auto width) {
    constexpr int pieces = width() / cuda::piece, line = 8;  // pieces of all banks together
    std::vector<int> taken(std::size_t{64} * pieces);
    int wrong = 0;
    for (int r = 0; r < 64; r += 8)
      for (int p = 0; p < pieces; ++p) {
        int banks = 0;
        for (int i = 0; i < 8; ++i) {
          const int at = cuda::place<width()>(r + i, p) / cuda::piece;
          banks |= 1 << at % line;
          ++taken[static_cast<std::size_t>(at)];
        }
        wrong += banks != 0xff;
      }
    return wrong == 0 && taken == std::vector<int>(taken.size(), 1);
  };
  CHECK(check(std::integral_constant<int, 32>()));
  CHECK(check(std::integral_constant<int, 64>()));
  CHECK(check(std::integral_constant<int, 128>()));
  CHECK(check(std::integral_constant<int, 256>()));
}

TEST_CASE("cuda attention: the op gives what its composed form gives, on heads of one tensor", "[cuda]") {
  const auto run = [](bool fused) {
    Tensor<bfloat16, Cuda> x({2, 21, 48}, numbers::normal<bfloat16>(2 * 21 * 48, 1));  // (B, T, 3 H D)
    require_gradient(x);
    const auto part = [&](std::int64_t first) { return split_heads(slice(x, 2, first, first + 16), 2); };
    const AttentionMask<bfloat16, Cuda> mask{.causal = true, .rows = right_padding<Cuda>({21, 9})};
    const auto y =
        fused ? attention(part(0), part(16), part(32), mask) : composed_attention(part(0), part(16), part(32), mask);
    backward(y, y);
    return std::pair(y.to_vector(), gradient(x).to_vector());
  };
  const auto fused = run(true), composed = run(false);
  CHECK(numbers::distance(fused.first, composed.first) < 1e-2);
  CHECK(numbers::distance(fused.second, composed.second) < 1e-2);
  CHECK(fused.second != composed.second);  // it is not the composed form
}

TEST_CASE("cuda attention: memory of the op, forward and backward, is linear in the sequence", "[cuda]") {
  const auto peak = [](std::int64_t time) {
    const std::int64_t count = 2 * time * 16;
    Tensor<bfloat16, Cuda> q({1, 2, time, 16}, numbers::normal<bfloat16>(count, 1)),
        k({1, 2, time, 16}, numbers::normal<bfloat16>(count, 2)),
        v({1, 2, time, 16}, numbers::normal<bfloat16>(count, 3));
    for (auto* x : {&q, &k, &v}) require_gradient(*x);
    memory<Cuda>::reset_peak();
    const auto before = memory<Cuda>::use().current;
    backward(attention(q, k, v, {.causal = true}), v);
    return static_cast<double>(memory<Cuda>::use().peak - before);
  };
  const double shorter = peak(256), longer = peak(512);
  CHECK(longer < 2.1 * shorter);
}

}  // namespace attention_on_cuda
