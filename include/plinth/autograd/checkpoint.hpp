// SPDX-License-Identifier: MIT
// Gradient checkpointing: what a function computed is forgotten and computed again when its gradient is wanted.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <plinth/autograd/apply.hpp>

namespace plinth {

namespace detail {

/// y = f(x...), of which only f and x are kept. Running it replays f onto the tape that is being run: the operations of
/// the replay are the latest there, so they run next, and they send gradients to the same nodes, in the same order, as
/// if they had been recorded at first.
template <class F, class Output, class... Inputs>
class CheckpointNode final : public GradientNode<typename Output::element, typename Output::device> {
  using D = typename Output::device;

 public:
  CheckpointNode(const F& f, const Shape& shape, const Inputs&... x) : function_(f), shape_(shape), saved_(x...) {
    (this->add_input(wanted_node(x)), ...);
  }
  const char* name() const override { return "checkpoint"; }

  Shared<Node> run() override {
    Output dy = std::exchange(this->gradient, {});
    require<GradientError>(function_.has_value(), "checkpoint: backward ran twice over the same forward pass");
    const F function = *std::exchange(function_, std::nullopt);
    const auto y = replay(function, std::index_sequence_for<Inputs...>());
    require<GradientError>(y.shape() == shape_, "checkpoint: the function gave shape ", shape_, " and then ",
                           y.shape());
    saved_ = decltype(saved_)();
    Node::release(this->inputs);
    const auto made = wanted_node(y);
    if (made) made->receive(std::move(dy));  // where there is none, nothing in f wanted a gradient
    return made;
  }

 private:
  template <std::size_t... I>
  Output replay(const F& function, std::index_sequence<I...>) const {
    const Recording record;
    const TrainingScope<D> scope(key_);
    return function(linked<I>()...);
  }

  /// Input I as it was, with the node its gradient goes to.
  template <std::size_t I>
  auto linked() const {
    auto x = std::get<I>(saved_).get("checkpoint");
    TensorAccess::history(x) = this->inputs[I];
    return x;
  }

  std::optional<F> function_;
  Shape shape_;
  typename TrainingScope<D>::Key key_ = TrainingScope<D>::key();
  std::tuple<Saved<typename Inputs::element, typename Inputs::device>...> saved_;
};

/// h through some blocks, the first of which has an index. Never inlined: a block is large,
/// and with what replays it there would be three copies.
template <class Block, class H, class Step>
[[gnu::noinline]] H through_blocks(std::span<const Block> blocks, std::int64_t first, const Step& step, H h) {
  for (const Block& block : blocks) h = step(block, first++, h);
  return h;
}

}  // namespace detail

/// f(x...), a tensor computed from tensors, without what f would keep for backward: backward calls f again, in the
/// TrainingScope of now, for the price of one more forward pass. Gradients are bit for bit those without a checkpoint.
/// f may use parameters, which gather gradients whether or not an x wants one, tensors with a history, and checkpoints.
/// f is copied, must compute the same when called again, and what it refers to must live as long as the result, which
/// counts as a tensor that needs a gradient.
/// Chen, Xu, Zhang & Guestrin 2016 (arXiv:1604.06174), section 4.
/// PyTorch: torch.utils.checkpoint.checkpoint(f, *x, use_reentrant=False).
template <class F, class... Ts, class... Ds>
auto checkpoint(const F& f, const Tensor<Ts, Ds>&... x) {
  using Output = std::remove_cvref_t<decltype(f(x...))>;
  const bool replayed = detail::recording;
  Output y;
  {
    const NoGradient no_gradient;
    y = detach(f(detach(x)...));
  }
  if (!replayed) return y;
  using Node = detail::CheckpointNode<F, Output, Tensor<Ts, Ds>...>;
  detail::TensorAccess::history(y) = detail::Shared<detail::History>(new Node(f, y.shape(), x...));
  return y;
}

/// x through all blocks, h = step(block, its index, h), with a checkpoint for every `blocks_per_checkpoint` of them; 0:
/// none. Of L blocks that keep A bytes each, with inputs of X bytes, backward then needs about X L / k + A k bytes for
/// k blocks to a checkpoint, in place of A L: least, 2 sqrt(L X A), at k = sqrt(L X / A). A block of GPT-2
/// keeps about 16 times its input, so k is 1 up to some 30 layers. step and the blocks are copied; copies of blocks
/// share their parameters.
/// Chen et al. 2016, section 4.1.  PyTorch: torch.utils.checkpoint.checkpoint_sequential.
/// Throws ArgumentError when blocks_per_checkpoint is negative.
template <class Block, class T, class D, class Step>
Tensor<T, D> checkpoint_sequence(const std::vector<Block>& blocks, std::int64_t blocks_per_checkpoint, Tensor<T, D> x,
                                 const Step& step) {
  detail::require<ArgumentError>(blocks_per_checkpoint >= 0, "checkpoint_sequence: ", blocks_per_checkpoint,
                                 " blocks per checkpoint; it must be at least 1, or 0 for no checkpoints");
  const auto count = static_cast<std::int64_t>(blocks.size());
  if (blocks_per_checkpoint == 0 || !detail::recording) return detail::through_blocks<Block>(blocks, 0, step, x);
  for (std::int64_t i = 0; i < count; i += blocks_per_checkpoint) {
    const auto begin = blocks.begin() + i, end = begin + std::min(blocks_per_checkpoint, count - i);
    x = checkpoint([=, some = std::vector<Block>(begin, end)](
                       const Tensor<T, D>& h) { return detail::through_blocks<Block>(some, i, step, h); },
                   x);
  }
  return x;
}

}  // namespace plinth
