// SPDX-License-Identifier: MIT
// CUDA draws the tokens that the CPU draws from the same logits and random words.
#include <plinth/kernels/cuda.cuh>

#include <plinth/generate/sample.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "kernels/cuda/device_array.hpp"
#include "kernels/numbers.hpp"

namespace sample_on_cuda {  // compile.cu holds all tests of this folder

using namespace plinth;

namespace {

constexpr RandomStream stream{3, RandomPurpose::sample, 9};

/// Of rows of logits, by the uniform numbers `first`, `first` + 1, ... of the stream.
template <class T>
std::vector<std::int32_t> draw(const std::vector<T>& logits, std::size_t rows, const SamplingOptions& options,
                               std::int32_t first = 0) {
  std::vector<std::int32_t> numbers(rows);
  std::iota(numbers.begin(), numbers.end(), first);
  const DeviceArray<T> on_device(logits);
  const DeviceArray<std::int32_t> drawn(numbers), tokens(std::vector<std::int32_t>(rows, -7));
  const auto count = static_cast<std::int64_t>(rows);
  kernels<Cuda>::sample(queue<Cuda>::current(), count, static_cast<std::int64_t>(logits.size()) / count, options,
                        stream, on_device.data(), drawn.data(), tokens.data());
  for (std::int32_t& x : numbers) ++x;
  CHECK(drawn.values() == numbers);
  return tokens.values();
}

/// What the options leave, from all to the single most likely token, alone and together.
const std::vector<SamplingOptions>& many_options() {
  static const std::vector<SamplingOptions> options = {{},
                                                       {.temperature = 0},
                                                       {.temperature = 0.5},
                                                       {.temperature = 30},
                                                       {.top_k = 1},
                                                       {.top_k = 3},
                                                       {.top_k = 40},
                                                       {.temperature = 3, .top_p = 0.9},
                                                       {.top_p = 0.5},
                                                       {.top_p = 0},
                                                       {.temperature = 2, .min_p = 0.1},
                                                       {.min_p = 1},
                                                       {.temperature = 3, .top_k = 20, .top_p = 0.7, .min_p = 0.02},
                                                       {.temperature = 1e-300},
                                                       {.temperature = 1e300, .top_k = 1000}};
  return options;
}

}  // namespace

TEMPLATE_TEST_CASE("cuda draws the CPU's tokens", "[cuda]", float, bfloat16, plinth::half) {
  using T = TestType;
  const std::vector<std::pair<std::size_t, std::size_t>> sizes = {{2, 1}, {4, 2}, {6, 37}, {3, 1000}, {2, 5000}};
  for (const auto& [rows, columns] : sizes)
    for (std::size_t o = 0; o < many_options().size(); ++o) {
      const SamplingOptions& options = many_options()[o];
      if (columns > 1024 && o % 4 != 0) continue;
      auto logits = numbers::normal<T>(static_cast<std::int64_t>(rows * columns), static_cast<std::uint32_t>(columns + o), 3);
      for (std::size_t i = 0; i < logits.size(); i += 5)
        if (i % columns > 0) logits[i] = i % 2 ? T(-INFINITY) : logits[i - 1];  // ties
      const auto found = draw(logits, rows, options, 100);
      for (std::size_t r = 0; r < rows; ++r) {
        INFO("columns " << columns << ", options " << o << ", row " << r);
        const std::span<const T> row(logits.data() + r * columns, columns);
        CHECK(found[r] == sample(row, options, stream.uniform(100 + r)));
      }
    }
}

TEST_CASE("cuda draws of equal logits the smaller ids first, and one token of either zero", "[cuda]") {
  for (const std::size_t columns : {10u, 900u, 5000u}) {
    std::vector<float> logits(columns, 0.0f);
    for (std::size_t i = 0; i < columns; i += 3) logits[i] = -0.0f;
    for (std::int32_t first = 0; first < 2; ++first)
      for (const double top_p : {1.0, 0.3}) {
        const auto left = std::ceil(top_p * static_cast<double>(columns));
        CHECK(draw(logits, 1, {.top_p = top_p}, first)[0] ==
              static_cast<std::int32_t>(stream.uniform(static_cast<std::uint64_t>(first)) * left));
      }
    CHECK(draw(logits, 1, {.temperature = 0})[0] == 0);
  }
}

TEST_CASE("cuda: tokens come as often as their probabilities say", "[cuda]") {
  const std::vector<double> p = {0.3, 0.02, 0.08, 0.25, 0.15, 0.2};
  const std::size_t draws = 700;
  std::vector<bfloat16> logits;
  std::vector<double> exact, seen(p.size());
  double sum = 0;
  for (const double x : p) exact.push_back(std::exp(static_cast<double>(bfloat16(static_cast<float>(std::log(x))))));
  for (const double x : exact) sum += x;
  for (std::size_t i = 0; i < draws; ++i)
    for (const double x : p) logits.push_back(bfloat16(static_cast<float>(std::log(x))));
  for (const std::int32_t token : draw(logits, draws, {})) ++seen[static_cast<std::size_t>(token)];
  double chi_square = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double expected = static_cast<double>(draws) * exact[i] / sum;
    chi_square += std::pow(seen[i] - expected, 2) / expected;
  }
  CHECK(chi_square < 20.515);  // scipy.stats.chi2.ppf(0.999, 5)
  CHECK(chi_square > 0.2102);  // scipy.stats.chi2.ppf(0.001, 5)
}

TEMPLATE_TEST_CASE("cuda: logits without a finite maximum give no token", "[cuda]", float, bfloat16, plinth::half) {
  for (const std::size_t columns : {std::size_t{12}, std::size_t{5000}}) {  // drawn from by one block, and by several
    const auto none = [columns](float a, float b) {
      std::vector<TestType> logits(columns, TestType(1.0f));
      logits[1] = logits[7] = TestType(a), logits[columns - 4] = TestType(b);
      for (const auto& options : std::vector<SamplingOptions>{{}, {.temperature = 0}, {.top_k = 2, .top_p = 0.5}})
        CHECK(draw(logits, 1, options)[0] == -1);
    };
    none(NAN, 0), none(-NAN, 0), none(INFINITY, 0), none(0, INFINITY);
    const std::vector<TestType> nothing(columns, TestType(-INFINITY)), largest(columns, TestType(65504.0f));
    CHECK(draw(nothing, 1, {})[0] == -1);
    CHECK(draw(largest, 1, {})[0] >= 0);
  }
}

}  // namespace sample_on_cuda
