// SPDX-License-Identifier: MIT
// Decoders in GPT-2's and Llama's shape against PyTorch: logits, loss, every gradient, ten losses of training.
// The numbers and the script that made them are in tests/golden.
#include <algorithm>
#include <cmath>
#include <concepts>
#include <string>
#include <vector>

#include "catch.hpp"
#include <plinth/io/safetensors.hpp>
#include <plinth/plinth.hpp>

using namespace plinth;

namespace {

DecoderConfig gpt2_config() {
  return {.vocabulary = 61, .context = 24, .hidden = 32, .layers = 2, .heads = 4, .feed_forward = 128};
}
DecoderConfig llama_config() {
  return llama_shape(
      {.vocabulary = 61, .context = 24, .hidden = 32, .layers = 2, .heads = 4, .key_heads = 2, .feed_forward = 88});
}

double norm(const std::vector<double>& x) {
  double sum = 0;
  for (const double value : x) sum += value * value;
  return std::sqrt(sum);
}

template <class T>
double distance(const std::vector<T>& x, const std::vector<double>& reference) {
  REQUIRE(x.size() == reference.size());
  std::vector<double> difference;
  for (std::size_t i = 0; i < x.size(); ++i) difference.push_back(static_cast<double>(x[i]) - reference[i]);
  return norm(difference);
}

/// In float: within 1e-5 of the reference, plus 1e-8 of the scale, and at most twice as far from it as PyTorch's own
/// float. In double: within 1e-9, plus 1e-12 of the scale for gradients that are 0 in exact arithmetic.
template <class T>
void check(const std::string& name, const std::vector<T>& x, const SafetensorsFile& golden, double scale) {
  const auto reference = golden.read<double>(name);
  const double error = distance(x, reference);
  INFO(name << ": error " << error << ", norm " << norm(reference) << ", scale " << scale);
  if constexpr (std::same_as<T, double>) {
    CHECK(error <= 1e-9 * norm(reference) + 1e-12 * scale);
  } else {
    const double peer = golden.read<double>("float_error." + name)[0];
    INFO("PyTorch float's error " << peer);
    CHECK(error <= 1e-5 * norm(reference) + 1e-8 * scale);
    CHECK(error <= 2 * peer);
  }
}

template <class T>
void compare(const std::string& file, const DecoderConfig& config) {
  const SafetensorsFile golden("tests/golden/" + file);
  Decoder<T> model(config);
  for_each_parameter(model, [&](const std::string& name, Tensor<T>& x) {
    const auto values = golden.read<T>("weights." + name);
    REQUIRE(static_cast<std::int64_t>(values.size()) == x.count());
    memory<Cpu>::copy_from_host(x.mutable_data(), values.data(), values.size() * sizeof(T));
  });
  const Tensor<std::int32_t> tokens(golden.shape("tokens"), golden.read<std::int32_t>("tokens"));
  const Tensor<std::int32_t> targets(golden.shape("targets"), golden.read<std::int32_t>("targets"));

  const auto logits = model(tokens);
  double largest = 0;
  for (const double value : golden.read<double>("logits")) largest = std::max(largest, std::abs(value));
  check("logits", logits.to_vector(), golden, largest);

  const auto loss = cross_entropy(logits, targets);
  const double tolerance = std::same_as<T, double> ? 1e-9 : 1e-5;
  CHECK(std::abs(static_cast<double>(loss.item()) / golden.read<double>("loss")[0] - 1) <= tolerance);

  backward(loss);
  CHECK(unreached(model).empty());
  const double global = golden.read<double>("gradient_norm")[0];
  for_each_parameter(model, [&](const std::string& name, Tensor<T>& x) {
    check("gradients." + name, gradient(x).to_vector(), golden, global);
  });

  clear_gradients(model);
  AdamW optimizer(model, {.beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .weight_decay = 0.1});
  for (const double expected : golden.read<double>("losses")) {
    const auto step_loss = cross_entropy(model(tokens), targets);
    INFO("expected loss " << expected);
    CHECK(std::abs(static_cast<double>(step_loss.item()) / expected - 1) <= tolerance);
    backward(step_loss);
    clip_gradient_norm(model, 1.0);
    optimizer.step(1e-3);
    clear_gradients(model);
  }
}

}  // namespace

TEST_CASE("A GPT-2-shaped decoder agrees with PyTorch") {
  compare<float>("decoder_gpt2.safetensors", gpt2_config());
  compare<double>("decoder_gpt2.safetensors", gpt2_config());
}

TEST_CASE("A Llama-shaped decoder agrees with PyTorch") {
  compare<float>("decoder_llama.safetensors", llama_config());
  compare<double>("decoder_llama.safetensors", llama_config());
}
