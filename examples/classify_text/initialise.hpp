// SPDX-License-Identifier: MIT
// First weights for a narrow BERT.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>

#include <plinth/autograd/module.hpp>
#include <plinth/ops/create.hpp>

/// Draws the matrices of a model of C channels from N(0, 1 / C). BERT's N(0, 0.02^2) is made for hundreds of channels:
/// with 64, what tokens tell each other begins so faint that training stalls where counting tokens ends.
template <plinth::Module M>
void initialise(M& model, std::int64_t C) {
  const double deviation = 1 / std::sqrt(static_cast<double>(C));
  plinth::for_each_parameter(model, [&](const std::string& name, plinth::Tensor<float>& weight) {
    if (weight.rank() < 2) return;
    const plinth::RandomStream stream{1, plinth::RandomPurpose::initialise, plinth::random_site(name)};
    weight = plinth::random_normal<float>(weight.shape(), deviation, stream);
    require_gradient(weight);
  });
}
