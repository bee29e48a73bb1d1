// SPDX-License-Identifier: MIT
// The float functions of scalar_math.hpp against double precision over dense sweeps, and at the ends of the range.
#include <plinth/tensor/scalar_math.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include "catch.hpp"

namespace math = plinth::math;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

struct Errors {
  double absolute = 0, relative = 0;
};

/// The largest errors of f against reference at 400,001 points; relative ones where the result is a normal float.
template <class F, class G>
Errors errors(F f, G reference, double low, double high) {
  Errors worst;
  constexpr int steps = 400000;
  for (int i = 0; i <= steps; ++i) {
    const auto x = static_cast<float>(low + (high - low) * i / steps);
    const double expected = reference(static_cast<double>(x));
    const double error = std::fabs(static_cast<double>(f(x)) - expected);
    worst.absolute = std::max(worst.absolute, error);
    if (std::fabs(expected) >= static_cast<double>(std::numeric_limits<float>::min()))
      worst.relative = std::max(worst.relative, error / std::fabs(expected));
  }
  return worst;
}

double normal_cdf(double x) { return 0.5 * std::erfc(-x * std::sqrt(0.5)); }
double normal_pdf(double x) { return std::exp(-0.5 * x * x) / std::sqrt(2.0 * std::acos(-1.0)); }
double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

}  // namespace

TEST_CASE("exp in float") {
  const auto f = [](float x) { return math::exp(x); };
  const auto reference = [](double x) { return std::exp(x); };
  CHECK(errors(f, reference, -1.0, 1.0).relative < 1.0e-7);
  CHECK(errors(f, reference, -87.3, 88.72).relative < 1.2e-7);
  CHECK(errors(f, reference, -120.0, -87.0).absolute < 1.5e-45);
  CHECK(f(0.0f) == 1.0f);
  CHECK(f(-0.0f) == 1.0f);
  CHECK(f(infinity) == infinity);
  CHECK(f(88.8f) == infinity);
  CHECK(f(3e38f) == infinity);
  CHECK(f(-infinity) == 0.0f);
  CHECK(f(-3e38f) == 0.0f);
  CHECK(std::isnan(f(not_a_number)));
}

TEST_CASE("exp of negative numbers in float") {
  const auto f = [](float x) { return math::exp_negative(x); };
  const auto reference = [](double x) { return std::exp(x); };
  CHECK(errors(f, reference, -1.0, 1.0).relative < 1.0e-7);
  CHECK(errors(f, reference, -87.3, 87.9).relative < 1.2e-7);
  CHECK(errors(f, reference, -120.0, -87.3).absolute < 1.2e-38);
  CHECK(f(0.0f) == 1.0f);
  CHECK(f(-0.0f) == 1.0f);
  CHECK(f(-87.8f) == 0.0f);
  CHECK(f(-infinity) == 0.0f);
  CHECK(f(-3e38f) == 0.0f);
  CHECK(std::isnan(f(not_a_number)));
}

TEST_CASE("powers of two of negative numbers in float") {
  const auto f = [](float x) { return math::exp2_negative(x); };
  const auto reference = [](double x) { return std::exp2(x); };
  CHECK(errors(f, reference, -1.0, 0.5).relative < 1.0e-7);
  CHECK(errors(f, reference, -126.0, 127.0).relative < 1.2e-7);
  CHECK(errors(f, reference, -180.0, -126.0).absolute < 1.2e-38);
  CHECK(f(0.0f) == 1.0f);
  CHECK(f(-0.0f) == 1.0f);
  CHECK(f(-1.0f) == 0.5f);
  CHECK(f(-126.6f) == 0.0f);
  CHECK(f(-infinity) == 0.0f);
  CHECK(f(-3e38f) == 0.0f);
  CHECK(math::exp2_negative(-2.0) == 0.25);
}

TEMPLATE_TEST_CASE("what is finite, by its bits", "", float, double) {
  using Limits = std::numeric_limits<TestType>;
  for (const TestType x : {TestType(0), Limits::denorm_min(), Limits::max(), Limits::lowest()}) {
    CHECK(math::is_finite(x));
    CHECK(math::spoilt_by(x) == 0);
  }
  for (const TestType x : {Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN(), -Limits::quiet_NaN()}) {
    CHECK_FALSE(math::is_finite(x));
    CHECK(std::isnan(math::spoilt_by(x)));
  }
}

TEST_CASE("tanh in float") {
  const auto f = [](float x) { return math::tanh(x); };
  const auto reference = [](double x) { return std::tanh(x); };
  CHECK(errors(f, reference, -1.0, 1.0).relative < 2e-7);
  CHECK(errors(f, reference, -12.0, 12.0).relative < 2e-7);
  CHECK(f(1e-30f) == 1e-30f);
  CHECK(std::signbit(f(-0.0f)));
  CHECK(f(infinity) == 1.0f);
  CHECK(f(-infinity) == -1.0f);
  CHECK(std::isnan(f(not_a_number)));
}

TEST_CASE("erf in float") {
  const auto f = [](float x) { return math::erf(x); };
  const auto reference = [](double x) { return std::erf(x); };
  CHECK(errors(f, reference, -1.0, 1.0).relative < 2e-7);
  CHECK(errors(f, reference, -6.0, 6.0).absolute < 1.1e-7);
  CHECK(std::signbit(f(-0.0f)));
  CHECK(f(infinity) == 1.0f);
  CHECK(f(-infinity) == -1.0f);
  CHECK(std::isnan(f(not_a_number)));
}

TEST_CASE("normal distribution in float") {
  const auto cdf = [](float x) { return math::normal_cdf(x); };
  const auto pdf = [](float x) { return math::normal_pdf(x); };
  CHECK(errors(cdf, normal_cdf, -2.0, 8.0).absolute < 1.4e-7);
  CHECK(errors(cdf, normal_cdf, -13.0, 8.0).relative < 6e-7);
  CHECK(errors(pdf, normal_pdf, -13.0, 13.0).relative < 2.5e-7);
  CHECK(cdf(0.0f) == 0.5f);
  CHECK(cdf(infinity) == 1.0f);
  CHECK(cdf(-infinity) == 0.0f);
  CHECK(pdf(infinity) == 0.0f);
  CHECK(pdf(-infinity) == 0.0f);
  CHECK(std::isnan(cdf(not_a_number)));
  CHECK(std::isnan(pdf(not_a_number)));
}

TEST_CASE("sigmoid in float") {
  const auto f = [](float x) { return math::sigmoid(x); };
  CHECK(errors(f, sigmoid, -87.0, 40.0).relative < 2e-7);
  CHECK(f(0.0f) == 0.5f);
  CHECK(f(infinity) == 1.0f);
  CHECK(f(-infinity) == 0.0f);
  CHECK(std::isnan(f(not_a_number)));
}

TEST_CASE("scalar functions in double") {
  for (double x = -8.0; x <= 8.0; x += 0.25) {
    CHECK(math::exp(x) == std::exp(x));
    CHECK(math::tanh(x) == std::tanh(x));
    CHECK(math::erf(x) == std::erf(x));
    CHECK(math::normal_cdf(x) == Approx(normal_cdf(x)).epsilon(1e-12));
    CHECK(math::normal_pdf(x) == Approx(normal_pdf(x)).epsilon(1e-12));
    CHECK(math::sigmoid(x) == Approx(sigmoid(x)).epsilon(1e-12));
  }
  CHECK(math::sigmoid(-800.0) == 0.0);
  CHECK(math::log(math::exp(1.0)) == Approx(1.0));
}
