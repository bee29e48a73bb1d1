// SPDX-License-Identifier: MIT
// What both translation units do: a training step of a tiny model, which instantiates most of the library.
#pragma once

#include <plinth/plinth.hpp>

/// The loss of that step, and the bytes in use when it was over.
struct Seen {
  double loss;
  std::size_t bytes_in_use;
};

/// Defined in second.cpp.
Seen seen_by_second();

namespace {

double training_step() {
  const plinth::Decoder<float> model({.vocabulary = 8, .context = 4, .hidden = 8, .layers = 1, .heads = 2});
  const plinth::Tensor<std::int32_t> tokens({1, 4}, {1, 2, 3, 4});
  const auto loss = plinth::cross_entropy(model(tokens), tokens);
  plinth::backward(loss);
  return static_cast<double>(loss.item());
}

Seen seen() {
  const double loss = training_step();
  return {loss, plinth::memory<plinth::Cpu>::use().current};
}

}  // namespace
