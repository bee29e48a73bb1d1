// SPDX-License-Identifier: MIT
// The dropout layer. Its masks follow from its dotted name in the model, so it has no state.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <type_traits>

#include <plinth/autograd/module.hpp>
#include <plinth/ops/dropout.hpp>

namespace plinth {

/// Dropout with a probability; active inside a TrainingScope only. Layers of the same site draw the same masks: a part
/// of a model, which visit names, gets its own from name_dropout_sites, as this library's models and a Trainer call it.
/// PyTorch: nn.Dropout.
struct Dropout {
  double probability = 0;  ///< that an element becomes 0, in [0, 1]
  std::uint32_t site = 0;  ///< what its masks are drawn for, see name_dropout_sites

  /// x of any shape -> the same shape. Throws as plinth::dropout does.
  template <class T, class D>
  Tensor<T, D> operator()(const Tensor<T, D>& x) const {
    return dropout(x, probability, site);
  }
  static void visit(auto&, auto&&) {}
};

/// Gives every Dropout of the model the site of its dotted name, so that no two draw the same masks.
template <Module M>
void name_dropout_sites(M& model) {
  walk("", model, [](const std::string& name, auto& part) {
    if constexpr (std::same_as<std::remove_cvref_t<decltype(part)>, Dropout>) part.site = random_site(name);
  });
}

}  // namespace plinth
