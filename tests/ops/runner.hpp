// SPDX-License-Identifier: MIT
// What is checked of every entry of the op table. Each check returns what it found wrong, so that a test can plant a
// fault and see it found.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "ops/spec.hpp"
#include "tolerances.hpp"

namespace op_table {
inline namespace PLINTH_OP_TABLE {

using Failures = std::vector<std::string>;

/// Inputs with more elements are checked along directions, not element by element, and keep several threads busy.
inline constexpr std::int64_t many_elements = 400, large_sample = 2 * 8192;

/// Uniform in [0, 1).
inline double uniform(std::mt19937& generator) { return static_cast<double>(generator()) * 0x1p-32; }

/// Values of the inputs, the same in every run, rounded to T.
template <class T>
Arrays draw(const Sample& sample) {
  std::mt19937 generator(static_cast<std::mt19937::result_type>(sample.inputs.size()));
  Arrays arrays;
  for (const Input& input : sample.inputs) {
    std::size_t next = 0;
    arrays.emplace_back(input.shape, [&](const Shape&) {
      const double number = input.low + (input.high - input.low) * uniform(generator);
      return static_cast<double>(rounded<T>(input.values.empty() ? number : input.values.at(next++)));
    });
  }
  return arrays;
}

template <class T>
Tensors<T> tensors(const Sample& sample, const Arrays& arrays) {
  Tensors<T> result;
  for (std::size_t k = 0; k < arrays.size(); ++k)
    result.push_back(placed<T>(arrays[k].shape, sample.inputs[k].layout, arrays[k].values));
  return result;
}

inline std::int64_t elements(const Sample& sample) {
  std::int64_t count = 0;
  for (const Input& input : sample.inputs) count += plinth::element_count(input.shape);
  return count;
}

/// What double arithmetic may differ by when sums are taken in another order.
inline constexpr Tolerance exact = tolerance_of<Device, double>;
/// Not at all.
inline constexpr Tolerance same_bits = {};

/// Where `found` is further from `expected` than |expected| relative + absolute; empty when nowhere.
inline std::string difference(const std::vector<double>& found, const std::vector<double>& expected,
                              const Tolerance& tolerance) {
  if (found.size() != expected.size())
    return plinth::detail::join(found.size(), " elements where ", expected.size(), " are expected");
  for (std::size_t i = 0; i < found.size(); ++i) {
    const double a = found[i], b = expected[i];
    const bool same = a == b || (std::isnan(a) && std::isnan(b));
    if (!same && !(std::abs(a - b) <= tolerance.absolute + tolerance.relative * std::abs(b)))
      return plinth::detail::join("element ", i, " is ", a, ", expected ", b);
  }
  return {};
}

/// Gradients are sums whose terms may cancel, so in float and shorter types their error is measured by the largest. What
/// is allowed besides is for gradients that are all but 0.
inline Tolerance of_largest(const Tolerance& tolerance, const std::vector<double>& expected) {
  double largest = 0;
  for (const double value : expected) largest = std::max(largest, std::abs(value));
  const double besides = largest < tolerance.absolute ? tolerance.absolute : std::min(tolerance.absolute, largest / 100);
  return {.absolute = besides + tolerance.relative * largest};
}

/// f(sample) for every sample; what it returns or throws becomes a failure with the sample's name.
template <class F>
void for_each_sample(const OpSpec& spec, const char* check, Failures& failures, const F& f) {
  for (const Sample& sample : spec.samples) {
    std::string wrong;
    try {
      wrong = f(sample);
    } catch (const std::exception& error) {
      wrong = error.what();
    }
    if (!wrong.empty()) failures.push_back(spec.name + ", " + sample.what + ": " + check + ": " + wrong);
  }
}

/// Whether the entry has the samples and the refusals it must have.
inline Failures check_variety(const OpSpec& spec) {
  bool one = false, strided = false, broadcast = !spec.broadcasts, large = false;
  for (const Sample& sample : spec.samples) {
    bool single = true;
    for (const Input& input : sample.inputs) {
      single = single && plinth::element_count(input.shape) == spec.smallest;
      strided =
          strided || !placed<double>(input.shape, input.layout, seeds(plinth::element_count(input.shape))).contiguous();
      broadcast = broadcast || !(input.shape == sample.inputs[0].shape);
    }
    one = one || single;
    large = large || elements(sample) > large_sample;
  }
  Failures failures;
  const auto require = [&](bool good, const char* what) {
    if (!good) failures.push_back(spec.name + " has " + what);
  };
  require(!spec.covers.empty(), "no struct it covers");
  require(spec.samples.size() >= 8, "fewer than 8 samples");
  require(one, "no sample of the smallest size");
  require(strided, "no sample that is not contiguous");
  require(broadcast, "no sample that broadcasts");
  require(large, "no sample large enough for several threads");
  require(!spec.refusals.empty(), "no inputs that must be refused");
  require(spec.random != nullptr, "no random problem");
  const plinth::GradcheckOptions usual, own = spec.gradcheck;
  const bool strict = spec.looser == 1 && !spec.by_largest && own.epsilon == usual.epsilon &&
                      own.absolute == usual.absolute && own.relative == usual.relative;
  require(strict || !spec.why.empty(), "a tolerance of its own without a reason");
  return failures;
}

/// Shape and values in double against the reference.
inline Failures check_values(const OpSpec& spec) {
  Failures failures;
  for_each_sample(spec, "values", failures, [](const Sample& sample) -> std::string {
    const auto arrays = draw<double>(sample);
    const auto y = sample.op.value()(tensors<double>(sample, arrays));
    const auto expected = sample.reference(arrays);
    if (!(y.shape() == expected.shape)) return plinth::detail::join("shape ", y.shape(), ", expected ", expected.shape);
    return difference(y.to_vector(), expected.values, exact);
  });
  return failures;
}

/// The derivative along random directions against central differences of the reference, all inputs moving at once.
inline std::string check_directions(const Sample& sample, double epsilon) {
  const auto arrays = draw<double>(sample);
  const auto computed = sample.op.run<double>()(tensors<double>(sample, arrays), {});
  std::mt19937 generator(1);
  for (int direction = 0; direction < 4; ++direction) {
    auto above = arrays, below = arrays;
    double slope = 0, size = 0, numeric = 0;
    for (std::size_t k = 0; k < arrays.size(); ++k)
      for (std::size_t i = 0; i < arrays[k].values.size(); ++i) {
        const double step = 2 * uniform(generator) - 1;
        above[k].values[i] += epsilon * step;
        below[k].values[i] -= epsilon * step;
        slope += step * computed.gradients[k][i];
        size += std::abs(step * computed.gradients[k][i]);
      }
    const auto high = sample.reference(above).values, low = sample.reference(below).values;
    const auto weights = seeds(static_cast<std::int64_t>(high.size()));
    for (std::size_t i = 0; i < high.size(); ++i) numeric += weights[i] * (high[i] - low[i]) / (2 * epsilon);
    if (!(std::abs(slope - numeric) <= 1e-5 + 1e-7 * size))
      return plinth::detail::join("slope ", slope, " along direction ", direction, ", central difference ", numeric);
  }
  return {};
}

/// Whether the gradients are the same for dy in any memory order, and for an input that alone needs one.
inline std::string check_requests(const Sample& sample) {
  if (!is_cpu && elements(sample) > many_elements) return {};  // they take the emulator minutes
  const auto arrays = draw<double>(sample);
  const auto run = [&](const Request& request) {
    return sample.op.run<double>()(tensors<double>(sample, arrays), request).gradients;
  };
  const auto gradients = run({});
  const int inputs = static_cast<int>(arrays.size());
  for (const Layout layout : {Layout::transposed, Layout::heads, Layout::spaced, Layout::backward}) {
    if (!is_cpu && (sample.what.size() + static_cast<std::size_t>(layout)) % 4 != 0) continue;  // one of them each
    const auto strided = run({layout, -1});
    for (std::size_t k = 0; k < arrays.size(); ++k)
      if (const auto wrong = difference(strided[k], gradients[k], exact); !wrong.empty())
        return plinth::detail::join("input ", k, ", strided dy (", static_cast<int>(layout), "): ", wrong);
  }
  for (int k = 0; k < inputs; ++k) {
    const auto alone = run({Layout::dense, k});
    for (int other = 0; other < inputs; ++other) {
      const auto i = static_cast<std::size_t>(other);
      const auto wrong = difference(alone[i], other == k ? gradients[i] : std::vector<double>(), exact);
      if (!wrong.empty()) return plinth::detail::join("input ", other, ", only ", k, " needs a gradient: ", wrong);
    }
  }
  return {};
}

/// Gradients in double against central differences.
inline Failures check_gradients(const OpSpec& spec) {
  Failures failures;
  for_each_sample(spec, "gradients", failures, [&](const Sample& sample) -> std::string {
    const bool few = is_cpu && elements(sample) <= many_elements;  // a GPU is not asked twice for each element
    const auto wrong = few ? plinth::gradcheck<Device>(sample.op.value(), tensors<double>(sample, draw<double>(sample)),
                                                       spec.gradcheck)
                           : check_directions(sample, spec.gradcheck.epsilon);
    return wrong.empty() ? check_requests(sample) : wrong;
  });
  return failures;
}

/// Values in T against the reference, and gradients in T against those in double, all from inputs rounded to T.
template <class T>
void check_element_type(const OpSpec& spec, Failures& failures) {
  Tolerance tolerance = tolerance_of<Device, T>;
  if (sizeof(T) == 2) tolerance.relative *= spec.looser, tolerance.absolute *= spec.looser;
  for_each_sample(spec, plinth::element_name<T>(), failures, [&](const Sample& sample) -> std::string {
    const auto arrays = draw<T>(sample);
    const auto found = sample.op.run<T>()(tensors<T>(sample, arrays), {});
    const auto values = sample.reference(arrays).values;
    const auto wrong = difference(found.values, values,
                                  spec.by_largest && !is_cpu ? of_largest(tolerance_of<Device, T>, values) : tolerance);
    if (!wrong.empty()) return wrong;
    const auto expected = sample.op.run<double>()(tensors<double>(sample, arrays), {});
    for (std::size_t k = 0; k < arrays.size(); ++k) {
      const auto off =
          difference(found.gradients[k], expected.gradients[k], of_largest(tolerance, expected.gradients[k]));
      if (!off.empty()) return plinth::detail::join("gradient of input ", k, ": ", off);
    }
    return {};
  });
}

/// What is wrong with an op in T: in double its values and gradients, in the others what differs from those.
template <class T>
Failures check_in(const OpSpec& spec) {
  if constexpr (std::is_same_v<T, double>) {
    auto failures = check_values(spec);
    for (auto& failure : check_gradients(spec)) failures.push_back(std::move(failure));
    return failures;
  } else {
    Failures failures;
    check_element_type<T>(spec, failures);
    return failures;
  }
}

/// Random problem `number` in T, of operands of up to `most` elements, dy of any memory order.
template <class T>
Computed computed_random(const OpSpec& spec, unsigned number, std::int64_t most) {
  Random random(number, most);
  const Sample sample = spec.random(random);
  return sample.op.run<T>()(tensors<T>(sample, draw<T>(sample)), {any_layout(random), -1});
}

inline Failures check_refusals(const OpSpec& spec) {
  Failures failures;
  for (std::size_t i = 0; i < spec.refusals.size(); ++i)
    if (const auto wrong = spec.refusals[i].complaint(); !wrong.empty())
      failures.push_back(plinth::detail::join(spec.name, ", refusal ", i, ": ", wrong));
  return failures;
}

/// Values and gradients in float are the same bits for any number of threads.
inline Failures check_threads([[maybe_unused]] const OpSpec& spec) {
  Failures failures;
#ifdef _OPENMP
  const int before = omp_get_max_threads();
  for_each_sample(spec, "threads", failures, [&](const Sample& sample) -> std::string {
    const auto run = [&](int threads) {
      omp_set_num_threads(threads);
      return sample.op.run<float>()(tensors<float>(sample, draw<float>(sample)), {});
    };
    const auto alone = run(1);
    for (const int threads : {2, 3, 4}) {
      const auto together = run(threads);
      auto wrong = difference(together.values, alone.values, same_bits);
      for (std::size_t k = 0; wrong.empty() && k < alone.gradients.size(); ++k)
        wrong = difference(together.gradients[k], alone.gradients[k], same_bits);
      if (!wrong.empty()) return plinth::detail::join(threads, " threads: ", wrong);
    }
    return {};
  });
  omp_set_num_threads(before);
#endif
  return failures;
}

/// Everything above.
inline Failures check(const OpSpec& spec) {
  Failures all;
  for (const auto part : {check_variety, check_refusals, check_threads, check_in<double>, check_in<float>,
                          check_in<half>, check_in<bfloat16>})
    for (auto& failure : part(spec)) all.push_back(std::move(failure));
  return all;
}

}  // namespace PLINTH_OP_TABLE
}  // namespace op_table
