// SPDX-License-Identifier: MIT
// The op table. An entry says which structs with a `backward` it covers and gives samples, a reference in double and
// inputs that must be refused; everything that is checked of an op follows from its entry (runner.hpp).
//
// An op is added by one entry in a table file: a function returning an OpSpec, in the list of that file.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <functional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <plinth/autograd/apply.hpp>
#include <plinth/autograd/gradcheck.hpp>

#include "kernels/random_problem.hpp"
#include "ops/array.hpp"
#include "ops/parity.hpp"

namespace op_table {
inline namespace PLINTH_OP_TABLE {

template <class T>
using Tensors = std::vector<Tensor<T>>;
using Arrays = std::vector<Array>;

/// One differentiable input: uniform numbers of [low, high), or the given values.
struct Input {
  Shape shape;
  Layout layout = Layout::dense;
  double low = -2, high = 2;
  std::vector<double> values = {};
};

/// What to ask of one run: the memory order of dy, and which input alone needs a gradient (-1: all).
struct Request {
  Layout dy = Layout::dense;
  int only = -1;
};

/// n irregular numbers of [0.5, 1.5) that every element type holds exactly.
inline std::vector<double> seeds(std::int64_t n) {
  std::vector<double> result(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = 0.5 + static_cast<double>((i * i + 29 * i + 7) % 61) / 64;
  return result;
}

template <class T>
std::vector<double> as_doubles(const Tensor<T>& x) {
  const auto values = x.to_vector();
  return std::vector<double>(values.begin(), values.end());
}

template <class T, class F>
Computed compute(const F& f, Tensors<T> inputs, const Request& request) {
  for (std::size_t k = 0; k < inputs.size(); ++k)
    if (request.only < 0 || static_cast<std::size_t>(request.only) == k) plinth::require_gradient(inputs[k]);
  const auto y = f(inputs);
  using Output = typename decltype(f(inputs))::element;
  plinth::backward(y, placed<Output>(y.shape(), request.dy, seeds(y.count())));
  Computed result{y.shape(), as_doubles(y), {}};
  for (const auto& x : inputs) {
    const auto dx = plinth::gradient(x);
    result.gradients.push_back(dx.defined() ? as_doubles(dx) : std::vector<double>());
  }
  return result;
}

/// An op with its arguments filled in, from tensors of any of the element types to one tensor.
class Operation {
 public:
  template <class T>
  using Run = std::function<Computed(const Tensors<T>&, const Request&)>;

  /// f(inputs), inputs being Tensors<T>, for every element type.
  template <class F>
  Operation(const F& f) : Operation(f, static_cast<Types*>(nullptr)) {}

  /// The op itself, in double.
  const std::function<Tensor<double>(const Tensors<double>&)>& value() const { return value_; }
  /// The op and its gradients.
  template <class T>
  const Run<T>& run() const {
    return std::get<Run<T>>(runs_);
  }

 private:
  template <class F, class... T>
  Operation(const F& f, std::tuple<T...>*)
      : value_(f), runs_([f](const Tensors<T>& x, const Request& request) { return compute<T>(f, x, request); }...) {}

  template <class List>
  struct RunsOf;
  template <class... T>
  struct RunsOf<std::tuple<T...>> {
    using type = std::tuple<Run<T>...>;
  };

  std::function<Tensor<double>(const Tensors<double>&)> value_;
  RunsOf<Types>::type runs_;
};

using Reference = std::function<Array(const Arrays&)>;

struct Sample {
  std::string what;  // what is special about it
  std::vector<Input> inputs;
  Operation op;
  Reference reference;
};

using random_operands::Random;

inline Layout any_layout(Random& random) {
  return random.one_in(2) ? Layout::dense : static_cast<Layout>(random.below(static_cast<int>(Layout::shifted) + 1));
}
/// So many axes, now and then empty ones, and no more elements than the problem may have.
inline Shape any_shape(Random& random, std::int64_t axes) {
  Shape shape;
  for (int i = 0; i < axes; ++i) shape.push_back(1);
  std::int64_t left = random.most();
  for (std::int64_t n = axes, first = axes ? random.below(axes) : 0; n > 0; --n) {
    std::int64_t& size = shape[static_cast<int>((first + n) % axes)];
    size = random.one_in(60) ? 0 : random.length(left);
    left /= std::max<std::int64_t>(size, 1);
  }
  return shape;
}
/// A shape that is broadcast to the given one.
inline Shape any_part(Random& random, const Shape& shape) {
  Shape part;
  const int missing = random.one_in(2) ? 0 : static_cast<int>(random.below(shape.rank() + 1));
  for (int i = missing; i < shape.rank(); ++i) part.push_back(random.one_in(3) ? 1 : shape[i]);
  return part;
}

/// A call that must throw; complaint() says what is wrong with how it does, or is empty.
struct Refusal {
  std::function<std::string()> complaint;
};

/// call() throws an E whose text has all the fragments: the op's name and the shapes.
template <class E, class F>
Refusal refuses(F call, std::vector<std::string> fragments) {
  return {[=]() -> std::string {
    try {
      call();
    } catch (const E& error) {
      for (const auto& fragment : fragments)
        if (std::string(error.what()).find(fragment) == std::string::npos)
          return "'" + std::string(error.what()) + "' does not contain '" + fragment + "'";
      return {};
    } catch (const std::exception& error) {
      return "another type of exception: " + std::string(error.what());
    }
    return "nothing was thrown where the text should contain '" + fragments.front() + "'";
  }};
}

/// call() reads a table at an index that it has not: refused on the CPU, as above; on a GPU, where indices are not seen
/// before the kernel runs, some of what comes out is NaN. Not one of memory that the emulator handed out and no kernel
/// wrote: all its bits are 1.
template <class E, class F>
Refusal misses(F call, std::vector<std::string> fragments) {
  if constexpr (is_cpu) return refuses<E>(call, fragments);
  return {[=]() -> std::string {
    for (const double value : as_doubles(call()))
      if (value != value && ~std::bit_cast<std::uint64_t>(value) != 0) return {};
    return "no NaN came out where the CPU's text contains '" + fragments.front() + "'";
  }};
}

struct OpSpec {
  std::string name;
  std::vector<std::string> covers;  // the structs with a `backward`
  bool broadcasts = false;          // whether operands of different shapes are sampled
  std::int64_t smallest = 1;        // elements of each input in the smallest sample
  std::vector<Sample> samples = {};
  std::function<Sample(Random&)> random = {};  // a problem of random sizes, without what is special and a reference
  std::vector<Refusal> refusals = {};
  plinth::GradcheckOptions gradcheck = {};
  double looser = 1;        // factor on the tolerances of bfloat16 and half
  bool by_largest = false;  // whether a GPU's values are measured by the largest of them, as gradients are
  std::string why = {};     // the reason of other options of gradcheck or a looser tolerance
};

using Specs = std::vector<OpSpec>;

/// The entries of one table file, and what they have in common.
struct Table {
  std::string group;
  Specs (*specs)();
};

/// Those of every table file in the program.
inline std::vector<Table>& tables() {
  static std::vector<Table> all;
  return all;
}

/// Enters a file's list in the table: const InTable sums_table("sums", sums_specs).
struct InTable {
  InTable(std::string group, Specs (*specs)()) { tables().push_back({std::move(group), specs}); }
};

}  // namespace PLINTH_OP_TABLE
}  // namespace op_table
