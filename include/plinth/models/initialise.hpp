// SPDX-License-Identifier: MIT
// The first weights of a transformer.
#pragma once

#include <cmath>
#include <string>
#include <string_view>
#include <type_traits>

#include <plinth/autograd/module.hpp>
#include <plinth/layers/dropout.hpp>
#include <plinth/models/config.hpp>

namespace plinth::detail {

/// How a model is constructed that is a part of another one: the whole draws all weights, once and by its own names.
struct Uninitialised {};

/// As GPT-2 does: matrices N(0, config.initial_deviation^2), those that end one of the residual branches of a stack
/// smaller by sqrt(branches); vectors stay as they are. Every number is a function of the seed and the dotted name.
/// Dropouts get their sites.  Radford et al. 2019, section 2.3.
template <Module M>
void initialise(M& model, const TransformerConfig& config, std::int64_t branches) {
  const double deviation = config.initial_deviation, residual = deviation / std::sqrt(static_cast<double>(branches));
  for_each_parameter(model, [&](const std::string& name, auto& parameter) {
    using Parameter = std::remove_reference_t<decltype(parameter)>;
    if (parameter.rank() < 2) return;
    const std::string_view view = name;
    const bool ends_branch = view.ends_with("attention.output.weight") || view.ends_with("feed_forward.down.weight");
    const RandomStream stream{config.seed, RandomPurpose::initialise, random_site(name)};
    parameter = random_normal<typename Parameter::element, typename Parameter::device>(
        parameter.shape(), ends_branch ? residual : deviation, stream);
    require_gradient(parameter);
  });
  name_dropout_sites(model);
}

}  // namespace plinth::detail
