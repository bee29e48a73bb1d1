// SPDX-License-Identifier: MIT
// The tape: nodes that know how to send the gradient of an output to its inputs, and the backward pass over them.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <unordered_set>
#include <utility>
#include <vector>

#include <plinth/autograd/mode.hpp>
#include <plinth/kernels/cpu.hpp>
#include <plinth/tensor/tensor.hpp>

namespace plinth {

namespace detail {

/// One recorded operation, or a leaf.
struct Node : History {
  Node() {
    static std::atomic<std::uint64_t> count = 0;
    order = ++count;
  }
  ~Node() override { release(inputs); }

  /// Sends the gathered gradient on to the inputs and forgets what was saved for it. Returns a node made by that whose
  /// history is yet to run, or null.
  virtual Shared<Node> run() = 0;
  /// Drops the gathered gradient.
  virtual void forget() = 0;
  virtual const char* name() const = 0;

  virtual bool is_leaf() const { return false; }

  [[gnu::noinline]] void add_input(Shared<Node> node) { inputs.push_back(std::move(node)); }

  bool wanted = true;   // false: a leaf that gathers no gradient for now
  std::uint64_t order;  // nodes of all threads are numbered as they are made, so an input's number is lower
  std::vector<Shared<Node>> inputs;  // null where the input needs no gradient

  /// Drops a list of nodes without recursion: a chain of a million of them would overflow the stack.
  static void release(std::vector<Shared<Node>>& nodes) noexcept {
    std::vector<Shared<Node>> pending = std::move(nodes);
    nodes.clear();
    while (!pending.empty()) {
      Shared<Node> node = std::move(pending.back());
      pending.pop_back();
      if (node && node.sole_owner()) {
        for (auto& input : node->inputs) pending.push_back(std::move(input));
        node->inputs.clear();
      }
    }
  }
};

/// A node whose output is a tensor of T on D; it gathers that tensor's gradient.
template <class T, class D>
struct GradientNode : Node {
  Tensor<T, D> gradient;

  void forget() override { gradient = {}; }

  /// gradient += dy. The first one is kept as it is; memory that others see is never written to.
  void receive(Tensor<T, D> dy) {
    if (!gradient.defined()) {
      gradient = TensorAccess::without_history(dy);
      return;
    }
    gradient = owned(std::move(gradient));
    const Tensor<T, D> dense = dy.contiguous() ? dy : copied(dy);
    kernels<D>::accumulate(queue<D>::current(), dense.count(), dense.data(), gradient.mutable_data());
  }

  /// x itself when it is dense and nobody else sees its memory, else a dense copy.
  static Tensor<T, D> owned(Tensor<T, D> x) { return TensorAccess::sole_owner(x) && x.contiguous() ? x : copied(x); }

 private:
  static Tensor<T, D> copied(const Tensor<T, D>& x) {
    Tensor<T, D> dense(x.shape());
    kernels<D>::copy(queue<D>::current(), x.shape(), x.strides(), x.data(), dense.strides(), dense.mutable_data());
    return dense;
  }
};

/// A tensor the user wants the gradient of. It stays in the slot, from one backward to the next.
template <class T, class D>
struct Leaf final : GradientNode<T, D> {
  /// After a backward pass the slot owns its memory, so that clipping may scale it in place.
  Shared<Node> run() override {
    if (!this->wanted) this->gradient = {};
    if (this->gradient.defined()) this->gradient = this->owned(std::move(this->gradient));
    return nullptr;
  }
  const char* name() const override { return "leaf"; }
  bool is_leaf() const override { return true; }
};

/// The node that x's gradient goes to; null where there is none.
template <class T, class D>
GradientNode<T, D>* node_of(const Tensor<T, D>& x) {
  return static_cast<GradientNode<T, D>*>(TensorAccess::history(x).get());
}

/// The same, shared; null also where none is wanted.
template <class T, class D>
[[gnu::noinline]] Shared<GradientNode<T, D>> wanted_node(const Tensor<T, D>& x) {
  auto* const node = node_of(x);
  return Shared(node && node->wanted ? node : nullptr);
}

}  // namespace detail

/// Whether operations on x are recorded: it is a leaf that wants a gradient, or was computed from one.
template <class T, class D>
bool needs_gradient(const Tensor<T, D>& x) {
  const auto* const node = detail::node_of(x);
  return detail::recording && node && node->wanted;
}

/// From now on gradients of x are gathered (or, with false, no longer; what was gathered is forgotten). Copies of x
/// share its slot and so the decision; with false, the result of an operation loses its history.
/// PyTorch: x.requires_grad_().
template <Real T, class D>
void require_gradient(Tensor<T, D>& x, bool wanted = true) {
  auto* node = detail::node_of(x);
  if (!node || (!wanted && !node->is_leaf())) {
    node = new detail::Leaf<T, D>();
    detail::TensorAccess::history(x) = detail::Shared<detail::History>(node);
  }
  if (!wanted) node->gradient = {};
  node->wanted = wanted;
}

/// The gradient gathered for x so far, in x's shape; undefined when there is none.  PyTorch: x.grad.
template <Real T, class D>
Tensor<T, D> gradient(const Tensor<T, D>& x) {
  const auto* const node = detail::node_of(x);
  return node ? node->gradient : Tensor<T, D>();
}

/// Forgets the gradient of x.  PyTorch: x.grad = None.
template <Real T, class D>
void clear_gradient(const Tensor<T, D>& x) {
  if (auto* const node = detail::node_of(x)) node->gradient = {};
}

/// The same values without their history.  PyTorch: x.detach().
template <class T, class D>
Tensor<T, D> detach(const Tensor<T, D>& x) {
  return detail::TensorAccess::without_history(x);
}

namespace detail {

/// A backward pass: the nodes that a result depends on, which run latest first, so that each has gathered its whole
/// gradient before it runs. Nodes that come into being on the way, in a replay, take their place among the others.
class BackwardPass {
 public:
  /// Runs the history of `root`. When a node throws, no node is left with a gradient.
  void run(const Shared<Node>& root) {
    try {
      add_history(root);
      while (!waiting_.empty()) {
        std::pop_heap(waiting_.begin(), waiting_.end(), earlier);
        Node* const latest = waiting_.back();
        waiting_.pop_back();
        if (const auto made = latest->run()) add_history(made);
      }
    } catch (...) {
      for (const auto& node : found_) node->forget();
      throw;
    }
  }

 private:
  static bool earlier(const Node* a, const Node* b) { return a->order < b->order; }

  void add_history(const Shared<Node>& root) {
    std::size_t next = found_.size();
    const auto find = [&](const Shared<Node>& node) {
      if (node && seen_.insert(node.get()).second) found_.push_back(node);
    };
    find(root);
    for (; next < found_.size(); ++next) {
      Node* const node = found_[next].get();
      for (const auto& input : node->inputs) find(input);
      waiting_.push_back(node);
      std::push_heap(waiting_.begin(), waiting_.end(), earlier);
    }
  }

  std::vector<Shared<Node>> found_;  // all of them, alive until the end
  std::unordered_set<const Node*> seen_;
  std::vector<Node*> waiting_;  // a heap, the latest on top
};

}  // namespace detail

/// Adds the gradients of `y` (with dy = seed, in y's shape) to every leaf it was computed from, and releases the tape.
/// Throws GradientError when y has no history, when the tape was already released, or when a tensor that an operation
/// saved has been written to since; the leaves it was computed from are then left without a gradient.
/// PyTorch: y.backward(dy). Throws ShapeError when seed has another shape.
template <Real T, class D>
void backward(const Tensor<T, D>& y, const Tensor<T, D>& seed) {
  auto* const root = detail::node_of(y);
  detail::require<GradientError>(root != nullptr,
                                 "backward: the tensor was not computed from anything that needs a gradient");
  detail::require<ShapeError>(seed.shape() == y.shape(), "backward: tensor ", y.shape(), " and seed ", seed.shape(),
                              " differ in shape");
  const NoGradient no_gradient;
  root->receive(seed);
  detail::BackwardPass().run(detail::Shared<detail::Node>(root));
}

/// backward of a tensor with one element, such as a loss, with dy = 1.  PyTorch: y.backward(). Throws ShapeError for
/// another number of elements, and as above.
template <Real T, class D>
void backward(const Tensor<T, D>& y) {
  detail::require<ShapeError>(y.count() == 1, "backward: shape ", y.shape(),
                              " has not one element; give the gradient of the loss as a second argument");
  Tensor<T, D> one(y.shape());
  kernels<D>::fill(queue<D>::current(), 1, T(1), one.mutable_data());
  backward(y, one);
}

}  // namespace plinth
