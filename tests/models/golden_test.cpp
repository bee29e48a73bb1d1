// SPDX-License-Identifier: MIT
// Decoders in GPT-2's and Llama's shape against PyTorch: logits, loss, every gradient, ten losses of training.
// The numbers and the script that made them are in tests/golden.
#include "models/golden.hpp"

using namespace plinth;

namespace {

TransformerConfig gpt2_config() {
  return {.vocabulary = 61, .context = 24, .hidden = 32, .layers = 2, .heads = 4, .feed_forward = 128};
}
TransformerConfig llama_config() {
  return llama_shape(
      {.vocabulary = 61, .context = 24, .hidden = 32, .layers = 2, .heads = 4, .key_heads = 2, .feed_forward = 88});
}

template <class T>
void compare(const std::string& name, const TransformerConfig& config) {
  const SafetensorsFile file("tests/golden/" + name);
  Decoder<T, golden::Device> model(config);
  golden::set_weights(model, file);
  const auto tokens = golden::ids(file, "tokens"), targets = golden::ids(file, "targets");
  golden::check_model(model, model(tokens), file);

  clear_gradients(model);
  AdamW optimizer(model, {.beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .weight_decay = 0.1});
  auto losses = file.template read<double>("losses");
  if (!op_table::is_cpu && !op_table::is_gpu) losses.resize(2);  // the emulator takes seconds for ten
  for (const double expected : losses) {
    const auto loss = cross_entropy(model(tokens), targets);
    INFO("expected loss " << expected);
    CHECK(std::abs(static_cast<double>(loss.item()) / expected - 1) <= (std::same_as<T, double> ? 1e-9 : 1e-5));
    backward(loss);
    clip_gradient_norm(model, 1.0);
    optimizer.step(1e-3);
    clear_gradients(model);
  }
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("A GPT-2-shaped decoder agrees with PyTorch", "", golden::Types) {
  compare<TestType>("decoder_gpt2.safetensors", gpt2_config());
}

TEMPLATE_LIST_TEST_CASE("A Llama-shaped decoder agrees with PyTorch", "", golden::Types) {
  compare<TestType>("decoder_llama.safetensors", llama_config());
}
