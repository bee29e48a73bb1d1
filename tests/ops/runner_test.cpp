// SPDX-License-Identifier: MIT
// The test of the op table: faults are planted, and each must be found by the check that is there for it.
#include "ops/runner.hpp"

#include <string>
#include <tuple>
#include <vector>

#include <plinth/autograd/apply.hpp>

#include "catch.hpp"
#include "ops/coverage.hpp"
#include "ops/pointwise_spec.hpp"
#include "ops/support.hpp"

using namespace op_table;
using Catch::Matchers::Contains;

namespace {

/// What may be wrong with the op below.
struct Faults {
  double slope = 2;       // of x^2 at 1
  std::int64_t tail = 1;  // the last n % tail values are left out
  std::int64_t gradient_tail = 1;
  bool dense_dy = false;    // backward takes dy for dense
  bool by_threads = false;  // the values depend on the number of threads
  double error_16_bit = 0;
  const char* refusal = "square: input 0 is an undefined tensor";
};

/// y = x^2
template <class T>
struct SquareOp {
  static constexpr const char* name = "square";
  Faults faults;
  plinth::Saved<T, plinth::Cpu> x;

  Tensor<T> forward(const Tensor<T>& input) {
    x = input;
    double factor = sizeof(T) == 2 ? 1 + faults.error_16_bit : 1;
    if (faults.by_threads) factor += 1e-6 * plinth::queue<plinth::Cpu>::current().threads();
    auto values = as_doubles(input);
    for (double& value : values) value *= value * factor;
    return with_tail(input.shape(), values, faults.tail);
  }
  std::tuple<Tensor<T>> backward(const Tensor<T>& dy) const {
    auto values = as_doubles(x.get(name));
    const auto given = as_doubles(dy);
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] *= faults.slope * (faults.dense_dy ? static_cast<double>(dy.data()[i]) : given[i]);
    return {with_tail(dy.shape(), values, faults.gradient_tail)};
  }

 private:
  static Tensor<T> with_tail(const Shape& shape, std::vector<double> values, std::int64_t tail) {
    const auto n = static_cast<std::int64_t>(values.size());
    for (std::int64_t i = n - n % tail; i < n; ++i) values[static_cast<std::size_t>(i)] = 0;
    return placed<T>(shape, Layout::dense, values);
  }
};

OpSpec square(const Faults& faults) {
  const auto op = [=](const auto& x) {
    using T = typename std::decay_t<decltype(x)>::element;
    if (!x.defined()) throw plinth::ArgumentError(faults.refusal);
    return plinth::apply(SquareOp<T>{faults, {}}, x);
  };
  return pointwise_spec("square", "SquareOp", op, [](double x) { return x * x; }, {-2, 2});
}

/// y = a b, whose gradients are those of a b only where both inputs need one.
template <class T>
struct ForgetfulOp {
  static constexpr const char* name = "forgetful";
  plinth::Saved<T, plinth::Cpu> a, b;

  Tensor<T> forward(const Tensor<T>& left, const Tensor<T>& right) {
    a = left;
    b = right;
    return product(left, right);
  }
  std::tuple<Tensor<T>, Tensor<T>> backward(const Tensor<T>& dy, plinth::Needed<2> needed) const {
    if (!needed[0] || !needed[1]) return {dy, dy};
    return {product(dy, b.get(name)), product(dy, a.get(name))};
  }
  static Tensor<T> product(const Tensor<T>& x, const Tensor<T>& y) {
    auto values = as_doubles(x);
    const auto factors = as_doubles(y);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] *= factors[i];
    return placed<T>(x.shape(), Layout::dense, values);
  }
};

/// In every type but double.
Failures check_shorter_types(const OpSpec& spec) {
  Failures all;
  for (const auto check : {check_in<float>, check_in<plinth::half>, check_in<plinth::bfloat16>})
    for (auto& failure : check(spec)) all.push_back(std::move(failure));
  return all;
}

/// All failures, one to a line.
std::string text(const Failures& failures) {
  std::string lines;
  for (const auto& failure : failures) lines += failure + "\n";
  return lines;
}

std::size_t count(const std::string& lines, const std::string& what) {
  std::size_t found = 0;
  for (auto at = lines.find(what); at != std::string::npos; at = lines.find(what, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("the checks of the op table accept an op that is right") { CHECK(text(check(square({}))) == ""); }

TEST_CASE("the checks of the op table find a wrong sign in a gradient") {
  const auto spec = square({.slope = -2});
  CHECK(text(check_values(spec)) == "");
  const auto found = text(check_gradients(spec));
  CHECK_THAT(found, Contains("square, one element: gradients: input 0, element 0: gradient "));
  CHECK(count(found, "\n") == 8);  // every sample but the empty one
}

TEST_CASE("the checks of the op table find a missed tail") {
  CHECK(count(text(check_values(square({.tail = 4}))), ": values: element ") == 7);  // 4 divides the other two
  CHECK_THAT(text(check_values(square({.tail = 16}))), Contains("large: values: element 24576 is 0"));
  const auto spec = square({.gradient_tail = 4});
  CHECK(text(check_values(spec)) == "");
  CHECK(count(text(check_gradients(spec)), ": gradients: ") == 7);
}

TEST_CASE("the checks of the op table find what goes wrong for some types, threads and layouts of dy only") {
  CHECK(text(check_gradients(square({.error_16_bit = 0.03}))) == "");
  const auto found = text(check_shorter_types(square({.error_16_bit = 0.03})));
  CHECK(count(found, ": float16: ") == 8);
  CHECK(count(found, ": bfloat16: ") == 8);
  CHECK(count(found, ": float32: ") == 0);
  CHECK_THAT(text(check_shorter_types(square({.slope = 2.1}))), !Contains("gradient"));  // double is as wrong
  CHECK_THAT(text(check_gradients(square({.dense_dy = true}))), Contains("transposed: gradients: input 0, strided dy"));
#ifdef _OPENMP
  CHECK_THAT(text(check_threads(square({.by_threads = true}))), Contains("large: threads: 2 threads: element 0 is"));
#endif
}

TEST_CASE("the checks of the op table find a gradient that is wrong for an input alone") {
  OpSpec spec{.name = "forgetful", .covers = {"ForgetfulOp"}};
  const auto op = [](const auto& in) {
    using T = typename std::decay_t<decltype(in[0])>::element;
    return plinth::apply(ForgetfulOp<T>{}, in[0], in[1]);
  };
  spec.samples.push_back({"three", {{{3}}, {{3}}}, op, [](const Arrays& in) {
                            return Array(in[0].shape, [&](const Shape& i) { return in[0].at(i) * in[1].at(i); });
                          }});
  CHECK(text(check_values(spec)) == "");
  CHECK_THAT(text(check_gradients(spec)), Contains("input 0, only 0 needs a gradient: element 0 is"));
}

TEST_CASE("the checks of the op table find bad refusals") {
  CHECK_THAT(text(check_refusals(square({.refusal = "wrong"}))),
             Contains("square, refusal 0: 'wrong' does not contain 'square'"));
  OpSpec spec{.name = "x", .covers = {"X"}};
  spec.refusals = {refuses<plinth::ShapeError>([] {}, {"x"}),
                   refuses<plinth::ShapeError>([] { throw plinth::ArgumentError("x"); }, {"x"})};
  CHECK_THAT(text(check_refusals(spec)),
             Contains("refusal 0: nothing was thrown") && Contains("refusal 1: another type"));
}

TEST_CASE("the checks of the op table find poor samples, wrong shapes and exceptions") {
  auto spec = square({});
  spec.samples.erase(spec.samples.begin(), spec.samples.begin() + 2);
  spec.looser = 3;
  spec.broadcasts = true;
  const auto found = text(check_variety(spec));
  for (const char* what : {"fewer than 8 samples", "smallest size", "that broadcasts", "without a reason"})
    CHECK_THAT(found, Contains(what));
  spec.samples.erase(spec.samples.begin() + 1, spec.samples.end());
  spec.refusals.clear();
  spec.covers.clear();
  for (const char* what : {"not contiguous", "several threads", "must be refused", "no struct"})
    CHECK_THAT(text(check_variety(spec)), Contains(what));

  spec.samples[0].reference = [](const Arrays&) { return Array({3}, [](const Shape&) { return 0.0; }); };
  CHECK_THAT(text(check_values(spec)), Contains("square, empty: values: shape (0, 3), expected (3)"));
  spec.samples[0].op = Operation(
      [](const auto& in) { return plinth::apply(SquareOp<typename std::decay_t<decltype(in[0])>::element>{}, in[1]); });
  spec.samples[0].inputs.push_back({Shape{2}});
  CHECK_THAT(text(check_gradients(spec)), Contains("input 0 received no gradient"));
}

TEST_CASE("the scan for structs with a backward reads C++") {
  const auto found = structs_with_backward(R"(
#define STRUCT struct Macro { void backward(); };
/* struct Comment { void backward(); }; */
namespace plinth {
void backward(int);
struct Declared;
template <class T, class D = Cpu> struct One final : Base<T> { T x = {1}; "}"; int backward(T dy) const { return {dy}; } };
template <class F> requires (F::yes) class Two { void f() { backward(1); } static T backward(T, T); };
struct Calls { void f() { g([&] { backward(2); }); } };  // struct Line { void backward(); };
enum class Kind { backward };
template <class Op> concept Has = requires(Op op) { { op.backward(1) } -> Same; };
namespace detail { struct Hidden { void backward(); }; }
struct Outer { struct Inner { void backward(); }; };
}
namespace plinth::cpu { struct Kernel { void backward(); }; }
namespace other { struct Foreign { void backward(); }; }
)");
  CHECK(found == std::set<std::string>{"One", "Two"});
  CHECK(uncovered({"One", "Two"}, {"One"}) ==
        std::vector<std::string>{"Two has a backward and no entry in the op table"});
  CHECK(text(uncovered({"One"}, {"One", "Gone"})) ==
        "Gone is in the op table; no header has such a struct with a backward\n");
  CHECK(uncovered(found, found).empty());
}

TEST_CASE("the support matrix changes one type of one device and keeps the rest") {
  const std::string begin = SupportMatrix::begin, end = SupportMatrix::end,
                    head = "| ops | CPU | CUDA, emulated | CUDA, on a GPU |\n|---|---|---|---|\n";
  const std::string before = "text\n" + begin + head +
                             "| more: all, any | float64 | float64 | never run |\n"
                             "| sums: sum, mean, old | float64 bfloat16 | float32 | never run |\n"
                             "| gone: old | float64 | float64 | float64 |\n" +
                             end + "more\n";
  const std::string after = "text\n" + begin + head +
                            "| more: all, any, one | float16 | never run | never run |\n"  // of "one" nobody else knows
                            "| new: a, b | float16 | never run | never run |\n"
                            "| sums: sum, mean | float64 float16 bfloat16 | float32 | never run |\n" +
                            end + "more\n";
  const std::vector<OpSpec> twice = {square({}), square({}), {.name = "mean", .covers = {}}};
  CHECK(row_label("sums", twice) == "sums: square, mean");
  const std::map<std::string, bool> passed = {
      {"more: all, any, one", true}, {"new: a, b", true}, {"sums: sum, mean", true}};
  CHECK(SupportMatrix(before).with("CPU", "float16", passed) == after);
  CHECK(SupportMatrix(after).with("CPU", "float16", passed) == after);
  const auto failed = SupportMatrix(before).with("CUDA, emulated", "float32", {{"sums: sum", false}});
  CHECK_THAT(failed, Contains("| sums: sum | float64 bfloat16 | never run | never run |\n" + end));
  CHECK(SupportMatrix(before).empty("CUDA, on a GPU") == false);
  CHECK(SupportMatrix(after).empty("CUDA, on a GPU"));
  CHECK_THROWS_WITH(SupportMatrix("text\n"), Contains("no support matrix"));
}
