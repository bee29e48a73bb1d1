// SPDX-License-Identifier: MIT
// The bits of a training run do not depend on the number of threads or on where in memory the weights lie: SHA-256 of
// all weights and of the log. CMake runs these tests for narrower instruction sets too.
#include <string>
#include <vector>

#include <plinth/io/sha256.hpp>
#include <plinth/models/decoder.hpp>
#include <plinth/models/encoder.hpp>
#include <plinth/models/encoder_decoder.hpp>
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

/// The same of a model that make() builds and loss(model, step) trains.
template <class Make, class Loss>
std::string trained_by(const Make& make, const Loss& loss, int threads) {
  const Threads some(threads);
  auto model = make();
  Sha256 hash;
  Trainer trainer(model, {.steps = 20, .accumulation = 2, .learning_rate = 1e-2});
  trainer.fit([&](const MicroStep& at) { return loss(model, at); },
              [&](const TrainingStep& report) { hash.add(std::vector<double>{report.loss, report.gradient_norm}); });
  for_each_parameter(model, [&](const std::string&, const Tensor<float>& x) { hash.add(x.to_vector()); });
  return hash.digest();
}

template <class Make, class Loss>
void same_bits(const Make& make, const Loss& loss) {
  const std::string first = trained_by(make, loss, 1);
  for (const int threads : {2, 3, 4}) CHECK(trained_by(make, loss, threads) == first);
}

/// Token ids (6, time) of a micro-step.
Tensor<std::int32_t> ids(const MicroStep& at, std::int64_t time, std::uint32_t site) {
  const auto draw = static_cast<std::uint32_t>(2 * at.step + at.micro_step);
  return Tensor<std::int32_t>({6, time}, numbers::below(50, 6 * time, 10 * draw + site));
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

TEST_CASE("determinism: a masked language model in BERT's shape over padded sequences") {
  auto config = bert_shape({.vocabulary = 50, .context = 40, .hidden = 48, .layers = 2, .heads = 4, .dropout = 0.1});
  config.attention_dropout = 0.1;
  same_bits([&] { return MaskedLanguageModel<float>(config); },
            [](const auto& model, const MicroStep& at) {
              const EncoderInput<float> x{ids(at, 40, 1), {.rows = right_padding({40, 33, 8, 1, 17, 40})}, {}};
              return cross_entropy(model(x), ids(at, 40, 2));
            });
}

TEST_CASE("determinism: an encoder-decoder in T5's shape with gradient checkpoints") {
  const auto config = t5_shape({.vocabulary = 50, .context = 40, .hidden = 48, .layers = 2, .heads = 4, .dropout = 0.1});
  const auto make = [&] {
    EncoderDecoder<float> model(config);
    model.encoder.blocks_per_checkpoint = model.decoder.blocks_per_checkpoint = 1;
    return model;
  };
  same_bits(make, [](const auto& model, const MicroStep& at) {
    const auto mask = AttentionMask<float>{.rows = right_padding({40, 33, 8, 1, 17, 40})};
    return cross_entropy(model(ids(at, 40, 1), ids(at, 29, 2), mask), ids(at, 29, 3));
  });
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
