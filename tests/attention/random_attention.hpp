// SPDX-License-Identifier: MIT
// Random operands and weights for tests of attention.
#pragma once

#include <cstdint>
#include <string>

#include <plinth/attention/multi_head.hpp>

#include "kernels/numbers.hpp"

namespace random_attention {

using namespace plinth;

inline Tensor<double> random(const Shape& shape, std::uint32_t site) {
  return Tensor<double>(shape, numbers::normal<double>(element_count(shape), site));
}

inline MultiHeadAttention<double> with_random_weights(const AttentionConfig& config) {
  MultiHeadAttention<double> attend(config);
  std::uint32_t site = 10;
  for_each_parameter(attend, [&](const std::string&, Tensor<double>& x) { x = random(x.shape(), ++site); });
  set_trainable(attend, true);
  return attend;
}

}  // namespace random_attention
