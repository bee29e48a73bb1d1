// SPDX-License-Identifier: MIT
// The bits of a training run do not depend on the number of threads or on where in memory the weights lie: SHA-256 of
// all weights and of the log. CMake runs these tests for narrower instruction sets too.
#include <string>
#include <vector>

#include <plinth/io/sha256.hpp>
#include <plinth/models/decoder.hpp>
#include <plinth/train/trainer.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"
#include "threads.hpp"

using namespace plinth;

namespace {

/// The digest of the losses, gradient norms and weights of a training run that starts from copies of `initial`, all of
/// which lie `offset` elements behind a 64-byte boundary.
std::string trained(const Decoder<float>& initial, const TrainerOptions& options, int threads, std::size_t offset = 0) {
  const Threads some(threads);
  Decoder<float> model = initial;
  for_each_parameter(model, [&](const std::string&, Tensor<float>& x) {
    const auto block = std::make_shared<numbers::Placed<float>>(x.to_vector(), offset);
    x = Tensor<float>::view_of(block->data(), x.shape(), contiguous_strides(x.shape()), block);
    require_gradient(x);
  });
  Sha256 hash;
  std::int64_t steps = 0;
  const TokenWindows data(numbers::below(static_cast<std::int32_t>(model.config.vocabulary), 1000, 1));
  Trainer(model, options).fit(data, [&](const TrainingStep& report) {
    hash.add(std::vector<double>{report.loss, report.gradient_norm});
    ++steps;
  });
  CHECK(steps == options.steps);
  for_each_parameter(model, [&](const std::string&, const Tensor<float>& x) { hash.add(x.to_vector()); });
  return hash.digest();
}

void same_bits(const TransformerConfig& config, const TrainerOptions& options) {
  const Decoder<float> initial(config);
  const std::string first = trained(initial, options, 1);
  for (const int threads : {2, 3, 4}) {
    INFO(threads << " threads");
    CHECK(trained(initial, options, threads) == first);
  }
  CHECK(trained(initial, options, 2, 1) == first);
}

}  // namespace

TEST_CASE("determinism: 50 steps of a GPT-2 shape with dropout and accumulation") {
  const TransformerConfig config = {.vocabulary = 90, .context = 32, .hidden = 48, .layers = 2, .heads = 4, .dropout = 0.1};
  const TrainerOptions options = {.steps = 50, .batch = 3, .accumulation = 2, .learning_rate = 1e-2};
  same_bits(config, options);
}

TEST_CASE("determinism: 50 steps of a Llama shape with dropout and accumulation") {
  const TransformerConfig config = llama_shape({.vocabulary = 90, .context = 24, .hidden = 48, .layers = 1, .heads = 4,
                                            .key_heads = 2, .feed_forward = 112, .dropout = 0.1});
  const TrainerOptions options = {.steps = 50, .batch = 4, .accumulation = 2, .learning_rate = 1e-2};
  same_bits(config, options);
}

TEST_CASE("determinism: hidden size 768 and products over K = 3072") {
  const TransformerConfig config = {.vocabulary = 40, .context = 8, .hidden = 768, .layers = 1, .heads = 12,
                                .feed_forward = 3072, .dropout = 0.1};
  same_bits(config, {.steps = 2, .batch = 1, .accumulation = 2, .learning_rate = 1e-3});
}

TEST_CASE("determinism: the digest changes with the seed, the model and a single step") {
  const TransformerConfig config = {.vocabulary = 20, .context = 8, .hidden = 16, .layers = 1, .heads = 2, .dropout = 0.1};
  auto other = config;
  other.seed = 2;
  const Decoder<float> initial(config), another(other);
  const TrainerOptions options = {.steps = 3, .batch = 2, .seed = 1};
  auto other_seed = options, longer = options;
  other_seed.seed = 2;
  longer.steps = 4;
  const std::string first = trained(initial, options, 1);
  CHECK(trained(initial, options, 1) == first);
  CHECK(trained(initial, other_seed, 1) != first);
  CHECK(trained(initial, longer, 1) != first);
  CHECK(trained(another, options, 1) != first);
}
