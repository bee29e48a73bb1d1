// SPDX-License-Identifier: MIT
// A look inside a forward pass: what enters each block, and what each head attends to.
// B batch, T sequence, S keys, C channels, H heads.
#pragma once

#include <vector>

#include <plinth/tensor/tensor.hpp>

namespace plinth {

/// Given to a forward pass, it is told of every layer, without history. The pass computes the same bits with and
/// without it, and keeps the (T, S) probabilities for it alone.  transformers: output_hidden_states, output_attentions.
template <class T, class D = Cpu>
struct Probe {
  std::vector<Tensor<T, D>> hidden_states = {};             ///< (B, T, C): before each block, then behind the last norm
  std::vector<Tensor<accumulator_t<T>, D>> attention = {};  ///< (B, H, T, S): probabilities before dropout
  std::vector<Tensor<accumulator_t<T>, D>> cross_attention = {};  ///< the same of what a decoder sees of its memory
};

}  // namespace plinth
