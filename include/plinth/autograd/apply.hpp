// SPDX-License-Identifier: MIT
// apply(op, inputs...): runs an operation and, where a gradient is needed, records it on the tape.
//
// An operation is a struct with a `name`, a forward over tensors that keeps (in Saved members) what its backward needs,
// and a backward that returns one gradient per input. Or it says why there is none: nondifferentiable = "reason".
#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>
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
  /// Keeps x, whose memory it shares, and the version it has now.
  Saved(const Tensor<T, D>& x) : tensor_(detach(x)), version_(x.version()) {}

  /// What was kept. Throws GradientError naming the operation when its memory was opened for writing since.
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

/// An operation that says why it has no gradient; apply throws when one is asked of it.
template <class Op>
concept Nondifferentiable = requires {
  { Op::nondifferentiable } -> std::convertible_to<std::string_view>;
};

/// backward(dy) or backward(dy, needed), returning a tuple with one gradient per input. An input that needs none may
/// get an undefined tensor.
template <class Op, class Output, class... Inputs>
concept Differentiable = requires(Op op, const Output& dy, Needed<sizeof...(Inputs)> needed) {
  { op.backward(dy) } -> std::same_as<std::tuple<Inputs...>>;
}
|| requires(Op op, const Output& dy, Needed<sizeof...(Inputs)> needed) {
  { op.backward(dy, needed) } -> std::same_as<std::tuple<Inputs...>>;
};

namespace detail {

/// An operation on the tape: what its type does not matter for, compiled once for all of them.
template <class Output>
class RecordedOperation : public GradientNode<typename Output::element, typename Output::device> {
 public:
  Shared<Node> run() final {
    const Output dy = std::exchange(this->gradient, {});
    require<GradientError>(!done_, this->name(), ": backward ran twice over the same forward pass");
    done_ = true;
    send(dy);
    Node::release(this->inputs);
    return nullptr;
  }

 protected:
  /// Delivers the gradient of every input and forgets what was kept for it.
  virtual void send(const Output& dy) = 0;

  /// dx to input i, which has this shape.
  template <class X>
  [[gnu::noinline]] void deliver(std::size_t i, const Shape& shape, X& dx) {
    Node* const input = this->inputs[i].get();
    if (!input) return;
    require<GradientError>(dx.defined(), this->name(), ": no gradient for input ", i);
    require<GradientError>(dx.shape() == shape, this->name(), ": gradient of shape ", dx.shape(), " for input ", i,
                           " of shape ", shape);
    if constexpr (Real<typename X::element>)
      static_cast<GradientNode<typename X::element, typename X::device>*>(input)->receive(std::move(dx));
  }

 private:
  bool done_ = false;
};

template <class Op, class Output, class... Inputs>
class OperationNode final : public RecordedOperation<Output> {
 public:
  OperationNode(Op&& recorded, const Inputs&... x) : op_(std::move(recorded)), input_shapes_{x.shape()...} {
    (this->add_input(wanted_node(x)), ...);
  }
  const char* name() const override { return Op::name; }

 private:
  void send(const Output& dy) override { send(dy, std::index_sequence_for<Inputs...>()); }

  template <std::size_t... I>
  void send(const Output& dy, std::index_sequence<I...>) {
    std::tuple<Inputs...> gradients = [&] {
      const Needed<sizeof...(Inputs)> needed = {static_cast<bool>(this->inputs[I])...};
      if constexpr (requires { op_.backward(dy, needed); })
        return op_.backward(dy, needed);
      else
        return op_.backward(dy);
    }();
    (this->deliver(I, input_shapes_[I], std::get<I>(gradients)), ...);
    op_ = Op();
  }

  Op op_;
  Shape input_shapes_[sizeof...(Inputs)];
};

/// Throws ArgumentError when one of the first `required` inputs is undefined.
[[gnu::noinline]] inline void require_defined(const char* name, int required, std::initializer_list<bool> defined) {
  for (int i = 0; i < required; ++i)
    require<ArgumentError>(defined.begin()[i], name, ": input ", i, " is an undefined tensor");
}

/// How many inputs of Op must be defined, of `count`.
template <class Op>
constexpr int required_inputs(int count) {
  if constexpr (requires { Op::required_inputs; }) return Op::required_inputs;
  return count;
}

}  // namespace detail

/// Runs op.forward(x...) and records op when one of the inputs needs a gradient. Inputs are defined; an operation whose
/// last ones may be undefined says how many must not be: static constexpr int required_inputs = 2.
/// Throws ArgumentError for an undefined input, GradientError when one that needs a gradient meets an operation
/// without one.
template <class Op, class... Inputs>
auto apply(Op op, const Inputs&... x) {
  detail::require_defined(Op::name, detail::required_inputs<Op>(sizeof...(Inputs)), {x.defined()...});
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
    detail::TensorAccess::history(y) =
        detail::Shared<detail::History>(new detail::OperationNode<Op, Output, Inputs...>(std::move(op), x...));
  }
  return y;
}

}  // namespace plinth
