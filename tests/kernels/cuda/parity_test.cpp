// SPDX-License-Identifier: MIT
// Every op of the table on CUDA against the same op on the CPU, in the same element type: random problems of sizes
// where warps and blocks end, strided, at unaligned addresses; values and gradients.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "catch.hpp"
#include "ops/runner.hpp"

namespace {

using namespace op_table;

/// How many problems of each op and type. 6,000 elements are several blocks of every kernel; the emulator is slow.
constexpr int problems = is_gpu ? random_operands::shapes : 6;
constexpr std::int64_t most_elements = is_gpu ? 6000 : 200;

double squared_norm(const std::vector<double>& x) {
  double sum = 0;
  for (const double value : x) sum += value * value;
  return sum;
}

/// |x - y|^2 / |y|^2, |y|^2 counting at least as `least`; infinite where one element is off by a quarter of y's root mean
/// square, which among many would be lost. A mean of nothing is NaN on both.
double error(const std::vector<double>& x, const std::vector<double>& y, double least) {
  if (x.size() != y.size()) return INFINITY;
  double off = 0, norm = 0, worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::isnan(x[i]) && std::isnan(y[i])) continue;
    const double square = (x[i] - y[i]) * (x[i] - y[i]);
    off += square;
    worst = std::max(worst, square);
    norm += y[i] * y[i];
  }
  norm = std::max(norm, least);
  if (16 * worst * static_cast<double>(x.size()) > norm) return INFINITY;
  return off == 0 ? 0 : off / norm;
}

/// Gradients may be 0 but for rounding where those of other inputs are not, so each counts at least as a fifth of all.
std::vector<double> errors(const Computed& x, const Computed& y) {
  double all = 0;
  for (const auto& gradient : y.gradients) all += squared_norm(gradient);
  std::vector<double> found = {x.shape == y.shape ? error(x.values, y.values, 0) : INFINITY};
  for (std::size_t k = 0; k < y.gradients.size(); ++k) found.push_back(error(x.gradients[k], y.gradients[k], all / 25));
  return found;
}

template <class T>
void compare(const std::string& group, std::size_t entry, const OpSpec& spec) {
  const auto on_cpu = computed_on_cpu(group, entry, plinth::element_name<T>(), problems, most_elements);
  REQUIRE(on_cpu.size() == problems);
  for (int number = 0; number < problems; ++number) {
    const auto found = errors(computed_random<T>(spec, static_cast<unsigned>(number), most_elements),
                              on_cpu[static_cast<std::size_t>(number)]);
    for (std::size_t k = 0; k < found.size(); ++k)
      if (!(found[k] <= tolerance_of<plinth::Cuda, T>.parity))
        FAIL_CHECK(spec.name << ", random problem " << number << ", "
                             << (k ? "gradient " + std::to_string(k - 1) : "values") << ": error " << found[k]);
  }
}

}  // namespace

TEMPLATE_TEST_CASE("op table: parity with the CPU on random problems", "[cuda]", float, plinth::half,
                   plinth::bfloat16) {
  REQUIRE(!tables().empty());
  for (const auto& table : tables()) {
    const auto specs = table.specs();
    for (std::size_t entry = 0; entry < specs.size(); ++entry) compare<TestType>(table.group, entry, specs[entry]);
  }
}
