// SPDX-License-Identifier: MIT
// The first weights of a transformer.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include <plinth/autograd/module.hpp>
#include <plinth/layers/dropout.hpp>
#include <plinth/models/config.hpp>

namespace plinth {

namespace detail {

/// Matrices N(0, deviation^2), those that end one of the residual branches of a stack N(0, branch_deviation^2). Every
/// number is a function of the seed and the dotted name, the first one of a parameter that has two.
template <Module M>
void draw_weights(M& model, double deviation, double branch_deviation, std::uint64_t seed) {
  for_each_distinct_parameter(model, [&](const std::string& name, auto& parameter) {
    using T = typename std::remove_reference_t<decltype(parameter)>::element;
    using D = typename std::remove_reference_t<decltype(parameter)>::device;
    if (parameter.rank() < 2) return;
    const std::string_view view = name;
    const bool ends_branch = view.ends_with("attention.output.weight") || view.ends_with("feed_forward.down.weight");
    const auto drawn = random_normal<T, D>(parameter.shape(), ends_branch ? branch_deviation : deviation,
                                           {seed, RandomPurpose::initialise, random_site(name)});
    kernels<D>::copy(queue<D>::current(), drawn.shape(), drawn.strides(), drawn.data(), parameter.strides(),
                     parameter.mutable_data());
  });
  name_dropout_sites(model);
}

/// How a model is constructed that is a part of another one: the whole draws all weights, once and by its own names.
struct Uninitialised {};

/// As GPT-2 does: branches end in weights smaller by sqrt(branches).  Radford et al. 2019, section 2.3.
template <Module M>
void initialise(M& model, const TransformerConfig& config, std::int64_t branches) {
  const double deviation = config.initial_deviation;
  draw_weights(model, deviation, deviation / std::sqrt(static_cast<double>(branches)), config.seed);
}

}  // namespace detail

/// First weights for a model of one's own, whose linear layers and embeddings are zero before: matrices
/// N(0, deviation^2), every number a function of the seed and the parameter's dotted name; vectors stay as they are.
/// The memory stays the same, and so does what trains it or shares it. The transformers here draw their own.  PyTorch:
/// torch.nn.init.normal_. Throws ArgumentError when the deviation is not positive and finite.
template <Module M>
void initialise(M& model, double deviation = 0.02, std::uint64_t seed = 1) {
  detail::require<ArgumentError>(deviation > 0 && std::isfinite(deviation), "initialise: a deviation of ", deviation,
                                 " is not positive and finite");
  detail::draw_weights(model, deviation, deviation, seed);
}

}  // namespace plinth
