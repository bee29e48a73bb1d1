// SPDX-License-Identifier: MIT
// apply(op, inputs...): runs an operation and, where a gradient is needed, records it on the tape.
//
// An operation is a struct with a `name`, a forward over tensors that keeps (in Saved members) what its backward needs,
// and a backward that returns one gradient per input. Or it says why there is none: nondifferentiable = "reason".
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <plinth/autograd/tape.hpp>

namespace plinth {

/// A tensor kept for backward, without its history. get() throws when it was written to in between.
template <class T, class D>
class Saved {
 public:
  Saved() = default;
  Saved(const Tensor<T, D>& x) : tensor_(detach(x)), version_(x.version()) {}

  const Tensor<T, D>& get(const char* operation) const {
    detail::require<GradientError>(!tensor_.defined() || tensor_.version() == version_, operation,
                                   ": a tensor of shape ", tensor_.shape(),
                                   " saved for backward was written to after the forward pass");
    return tensor_;
  }

 private:
  Tensor<T, D> tensor_;
  std::uint64_t version_ = 0;
};

/// Which inputs of an operation need a gradient.
template <std::size_t N>
using Needed = std::array<bool, N>;

template <class Op>
concept Nondifferentiable = requires {
  { Op::nondifferentiable } -> std::convertible_to<std::string_view>;
};

/// backward(dy) or backward(dy, needed), returning a tuple with one gradient per input. An input that needs none may
/// get an undefined tensor.
template <class Op, class Output, class... Inputs>
concept Differentiable = requires(Op op, const Output& dy, Needed<sizeof...(Inputs)> needed) {
  { op.backward(dy) } -> std::same_as<std::tuple<Inputs...>>;
} || requires(Op op, const Output& dy, Needed<sizeof...(Inputs)> needed) {
  { op.backward(dy, needed) } -> std::same_as<std::tuple<Inputs...>>;
};

namespace detail {

template <class Op, class Output, class... Inputs>
struct OperationNode final : GradientNode<typename Output::element, typename Output::device> {
  Op op;
  Shape input_shapes[sizeof...(Inputs)];

  OperationNode(Op&& recorded, const Inputs&... x) : op(std::move(recorded)), input_shapes{x.shape()...} {
    (this->inputs.push_back(wanted_node(x)), ...);
  }
  const char* name() const override { return Op::name; }

  std::shared_ptr<Node> run() override {
    const Output dy = std::exchange(this->gradient, {});
    require<GradientError>(!done_, Op::name, ": backward ran twice over the same forward pass");
    done_ = true;
    send(dy, std::index_sequence_for<Inputs...>());
    op = Op();
    Node::release(this->inputs);
    return nullptr;
  }

 private:
  template <std::size_t... I>
  void send(const Output& dy, std::index_sequence<I...>) {
    const Needed<sizeof...(Inputs)> needed = {(this->inputs[I] != nullptr)...};
    std::tuple<Inputs...> gradients;
    if constexpr (requires { op.backward(dy, needed); })
      gradients = op.backward(dy, needed);
    else
      gradients = op.backward(dy);
    (deliver<I>(std::get<I>(gradients)), ...);
  }

  template <std::size_t I, class X>
  void deliver(X& dx) {
    if (!this->inputs[I]) return;
    require<GradientError>(dx.defined(), Op::name, ": no gradient for input ", I);
    require<GradientError>(dx.shape() == input_shapes[I], Op::name, ": gradient of shape ", dx.shape(),
                           " for input ", I, " of shape ", input_shapes[I]);
    if constexpr (Real<typename X::element>)
      static_cast<GradientNode<typename X::element, typename X::device>&>(*this->inputs[I]).receive(std::move(dx));
  }

  bool done_ = false;
};

template <class Op, class... Inputs>
void require_defined(const Inputs&... x) {
  int required = sizeof...(Inputs), index = 0;
  if constexpr (requires { Op::required_inputs; }) required = Op::required_inputs;
  const auto check = [&](bool defined) {
    require<ArgumentError>(defined || index >= required, Op::name, ": input ", index, " is an undefined tensor");
    ++index;
  };
  (check(x.defined()), ...);
}

}  // namespace detail

/// Runs op.forward(x...) and records op when one of the inputs needs a gradient. Inputs are defined; an operation whose
/// last ones may be undefined says how many must not be: static constexpr int required_inputs = 2.
/// Throws ArgumentError for an undefined input, GradientError when one that needs a gradient meets an operation
/// without one.
template <class Op, class... Inputs>
auto apply(Op op, const Inputs&... x) {
  detail::require_defined<Op>(x...);
  auto y = op.forward(x...);
  using Output = decltype(y);
  static_assert(Nondifferentiable<Op> || Differentiable<Op, Output, Inputs...>,
                "an operation has `backward`, returning std::tuple with one gradient per input, or says why not: "
                "static constexpr std::string_view nondifferentiable = \"...\"");
  const bool recorded = (needs_gradient(x) || ...);
  if constexpr (Nondifferentiable<Op>) {
    detail::require<GradientError>(!recorded, Op::name, " has no gradient (", Op::nondifferentiable,
                                   "); detach its input or use NoGradient");
  } else if (recorded) {
    detail::TensorAccess::link(y) = std::static_pointer_cast<void>(
        std::static_pointer_cast<detail::GradientNode<typename Output::element, typename Output::device>>(
            std::make_shared<detail::OperationNode<Op, Output, Inputs...>>(std::move(op), x...)));
  }
  return y;
}

}  // namespace plinth
