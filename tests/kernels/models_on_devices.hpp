// SPDX-License-Identifier: MIT
// Small decoders, their training and generation on any device, beside the same in plain loops.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include <plinth/generate/generate.hpp>
#include <plinth/models/decoder.hpp>
#include <plinth/train/trainer.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"
#include "kernels/plain_backend.hpp"

namespace models_on_devices {

using namespace plinth;

inline const TransformerConfig gpt = {.vocabulary = 13, .context = 10, .hidden = 12, .layers = 2, .heads = 3, .dropout = 0.1};
inline const TransformerConfig llama = llama_shape({.vocabulary = 13, .context = 10, .hidden = 16, .layers = 2, .heads = 4,
                                         .key_heads = 2, .feed_forward = 24, .dropout = 0.1});
/// Neither of them: ALiBi and a gate whose beta is learned.
inline const TransformerConfig other = {.vocabulary = 13, .context = 10, .hidden = 12, .layers = 2, .heads = 3,
                             .activation = ActivationKind::swish, .gated = true, .position = PositionKind::alibi};

/// A decoder on D whose weights, biases and gains too, are random numbers of a deviation at which all parts matter.
template <class T, class D>
Decoder<T, D> decoder(const TransformerConfig& config) {
  Decoder<T, D> model(config);
  std::uint32_t site = 0;
  for_each_parameter(model, [&](const std::string&, Tensor<T, D>& x) {
    const auto values = numbers::normal<T>(x.count(), ++site, 0.3, x.rank() == 1 ? 0.5 : 0);
    memory<D>::copy_from_host(x.mutable_data(), values.data(), values.size() * sizeof(T));
  });
  return model;
}

/// Logits and loss of one batch, then the gradients of all parameters; each as one list of numbers.
template <class T, class D>
std::vector<std::vector<T>> forward_and_backward(const TransformerConfig& config) {
  const auto model = decoder<T, D>(config);
  const Tensor<std::int32_t, D> tokens({3, 9}, numbers::below(13, 27, 1)), targets({3, 9}, numbers::below(13, 27, 2));
  const TrainingScope<D> training(5, 7);
  const auto logits = model(tokens);
  const auto loss = cross_entropy(logits, targets);
  backward(loss);
  std::vector<std::vector<T>> all = {logits.to_vector(), loss.to_vector()};
  for_each_parameter(model, [&](const std::string&, const Tensor<T, D>& x) { all.push_back(gradient(x).to_vector()); });
  return all;
}

template <class T>
double norm(const std::vector<T>& x) {
  return numbers::distance(x, std::vector<T>(x.size()));
}

/// On D and in plain loops: each list within the tolerance, relative to its norm; the gradients of key biases, 0 but for
/// rounding, by all gradients.
template <class T, class D>
void compare(const TransformerConfig& config, double tolerance) {
  const auto on_device = forward_and_backward<T, D>(config), on_plain = forward_and_backward<T, Plain>(config);
  REQUIRE(on_device.size() == on_plain.size());
  double gradients = 0;
  for (std::size_t i = 2; i < on_plain.size(); ++i) gradients = std::hypot(gradients, norm(on_plain[i]));
  CHECK(gradients > 0.1);
  for (std::size_t i = 0; i < on_device.size(); ++i) {
    INFO("part " << i << ": logits, loss, gradients in the order of visit");
    const double size = norm(on_plain[i]);
    CHECK(numbers::distance(on_device[i], on_plain[i]) < (size > 1e-5 * gradients ? tolerance : 1e-6 * gradients / size));
  }
}

inline TokenWindows data() { return TokenWindows(numbers::below(13, 400, 3)); }

inline const TrainerOptions options = {.steps = 5, .batch = 3, .accumulation = 2, .learning_rate = 1e-2, .seed = 4};

/// What a training run logs, the weights behind it, and what the trained model writes.
template <class D>
std::vector<double> train_and_generate(const TransformerConfig& config) {
  auto model = decoder<double, D>(config);
  std::vector<double> all;
  Trainer(model, options).fit(data(), [&](const TrainingStep& report) {
    all.push_back(report.loss);
    all.push_back(report.gradient_norm);
  });
  for_each_parameter(model, [&](const std::string&, const Tensor<double, D>& x) {
    const auto values = x.to_vector();
    all.insert(all.end(), values.begin(), values.end());
  });
  for (const std::int32_t token : generate(model, {1, 2, 3}, {.length = 20, .sampling = {.temperature = 0.8}})) all.push_back(token);
  return all;
}

}  // namespace models_on_devices
