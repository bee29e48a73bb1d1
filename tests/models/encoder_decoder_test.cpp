// SPDX-License-Identifier: MIT
// Encoder and EncoderDecoder: what padding, checkpoints, caches and threads may not change, and what is refused.
#include <cmath>
#include <string>
#include <vector>

#include <plinth/generate/generate.hpp>
#include <plinth/models/encoder.hpp>
#include <plinth/models/encoder_decoder.hpp>
#include <plinth/ops/cross_entropy.hpp>

#include "catch.hpp"
#include "kernels/numbers.hpp"

using namespace plinth;

namespace {

const TransformerConfig sizes = {
    .vocabulary = 13, .context = 12, .hidden = 12, .layers = 3, .heads = 2, .feed_forward = 20};

std::vector<TransformerConfig> shapes() {
  auto dropped = t5_shape(sizes);
  dropped.dropout = 0.2;
  dropped.attention_dropout = 0.1;
  auto alibi = sizes;
  alibi.position = PositionKind::alibi;
  return {original_shape(sizes), t5_shape(sizes), dropped, llama_shape(sizes), alibi};
}

Tensor<std::int32_t> tokens(std::int64_t rows, std::int64_t length, std::uint32_t site) {
  return Tensor<std::int32_t>({rows, length}, numbers::below(13, rows * length, site));
}

/// The loss of a batch in training, then every gradient.
template <class M>
std::vector<std::vector<float>> gradients(const M& model, const Tensor<std::int32_t>& source) {
  const auto target = tokens(2, 7, 2), next = tokens(2, 7, 3);
  const TrainingScope<Cpu> training(4, 5);
  const auto loss = cross_entropy(model(source, target, {.rows = right_padding({9, 5})}), next);
  backward(loss);
  CHECK(unreached(model).empty());
  std::vector<std::vector<float>> all = {loss.to_vector()};
  for_each_parameter(model,
                     [&](const std::string&, const Tensor<float>& x) { all.push_back(gradient(x).to_vector()); });
  clear_gradients(model);
  return all;
}

}  // namespace

TEST_CASE("gradient checkpoints of an encoder-decoder change no bit") {
  const auto source = tokens(2, 9, 1);
  for (const auto& config : shapes()) {
    EncoderDecoder<float> model(config);
    const auto expected = gradients(model, source);
    for (const std::int64_t blocks : {1, 2, 3}) {
      model.encoder.blocks_per_checkpoint = model.decoder.blocks_per_checkpoint = blocks;
      CHECK(gradients(model, source) == expected);
    }
  }
}

TEST_CASE("an encoder-decoder does not see what pads its source or comes after its target") {
  for (const auto& config : shapes()) {
    const EncoderDecoder<double> model(config);
    auto padded = numbers::below(13, 9, 1), other = padded;
    for (std::size_t i = 6; i < 9; ++i) other[i] = (other[i] + 5) % 13;
    const auto target = numbers::below(13, 7, 2);
    auto changed = target;
    changed[6] = (changed[6] + 1) % 13;
    const AttentionMask<double> mask{.rows = right_padding({6})};
    const auto logits = [&](const auto& source, const auto& written) {
      return model(Tensor<std::int32_t>({1, 9}, source), Tensor<std::int32_t>({1, 7}, written), mask).to_vector();
    };
    const auto expected = logits(padded, target);
    CHECK(logits(other, target) == expected);
    const auto later = logits(padded, changed);
    CHECK(std::vector<double>(later.begin(), later.end() - 13) ==
          std::vector<double>(expected.begin(), expected.end() - 13));
    CHECK(later != expected);
    const auto alone =
        model(Tensor<std::int32_t>({1, 6}, std::vector<std::int32_t>(padded.begin(), padded.begin() + 6)),
              Tensor<std::int32_t>({1, 7}, target))
            .to_vector();
    CHECK(numbers::distance(alone, expected) < 1e-12);
  }
}

TEST_CASE("an encoder-decoder writes the same with a cache as by its logits") {
  for (const auto& config : shapes()) {
    const EncoderDecoder<double> model(config);
    const auto source = tokens(1, 9, 1);
    const auto written = generate(given(model, source), {1}, {.length = 10, .sampling = {.temperature = 0}});
    std::vector<std::int32_t> expected = {1};
    for (int i = 0; i < 10; ++i) {
      const auto logits =
          model(source, Tensor<std::int32_t>({1, static_cast<std::int64_t>(expected.size())}, expected)).to_vector();
      expected.push_back(
          static_cast<std::int32_t>(std::max_element(logits.end() - 13, logits.end()) - (logits.end() - 13)));
    }
    CHECK(written == expected);
  }
}

TEST_CASE("a cache that was emptied looks at the next source") {
  const NoGradient no_gradient;
  const EncoderDecoder<float> model(t5_shape(sizes));
  const auto target = tokens(1, 4, 2);
  const auto first = model.encode(tokens(1, 9, 1)), second = model.encode(tokens(1, 9, 3));
  KeyValueCache<float> cache(1, 12);
  model.hidden_states(target, first, &cache);
  cache.truncate({0});
  CHECK(model.hidden_states(target, second, &cache).to_vector() == model.hidden_states(target, second).to_vector());
}

TEST_CASE("what an encoder's queries may not see is no matter of the decoder's, but for padding") {
  const NoGradient no_gradient;
  const EncoderDecoder<float> model(t5_shape(sizes));
  const auto target = tokens(2, 5, 2);
  const auto memory = model.encode(tokens(2, 5, 1), {.causal = true, .rows = right_padding({5, 3})});
  const Memory<float> padded = {memory.states, {.rows = right_padding({5, 3})}};
  CHECK(model.hidden_states(target, memory).to_vector() == model.hidden_states(target, padded).to_vector());
}

TEST_CASE("an encoder-decoder writes the same before a padded source as before that source alone") {
  for (const auto& config : shapes()) {
    const EncoderDecoder<double> model(config);
    const auto padded = tokens(1, 9, 1), alone = slice(padded, 1, 0, 6);
    const AttentionMask<double> mask{.rows = right_padding({6})};
    const GenerateOptions options{.length = 10, .sampling = {.temperature = 0}};
    CHECK(generate(given(model, padded, mask), {1}, options) == generate(given(model, alone), {1}, options));
    const Tensor<std::int32_t> start({1, 1}, {1});
    const auto states = [&](const auto& decoder) { return decoder.hidden_states(start, {}, nullptr).to_vector(); };
    CHECK(numbers::distance(states(given(model, padded, mask)), states(given(model, alone))) < 1e-12);
    CHECK(numbers::distance(states(given(model, padded)), states(given(model, alone))) > 1e-6);
  }
}

TEST_CASE("an encoder does not see padding, and tells segments apart") {
  auto config = bert_shape(sizes);
  const Encoder<double> model(config);
  auto padded = numbers::below(13, 9, 1), other = padded;
  other[7] = (other[7] + 5) % 13;
  const auto states = [&](const auto& ids, std::vector<std::int32_t> segments) {
    const auto y = model(
        {Tensor<std::int32_t>({1, 9}, ids), {.rows = right_padding({6})}, Tensor<std::int32_t>({1, 9}, segments)});
    return slice(y, 1, 0, 6).to_vector();
  };
  const std::vector<std::int32_t> none(9, 0), two = {0, 0, 0, 1, 1, 1, 0, 0, 0};
  CHECK(states(padded, none) == states(other, none));
  CHECK(states(padded, none) != states(padded, two));
}

TEST_CASE("the heads of an encoder have the shapes of their tasks") {
  const auto config = bert_shape(sizes);
  const auto x = tokens(2, 9, 1);
  CHECK(MaskedLanguageModel<float>(config)({x}).shape() == Shape({2, 9, 13}));
  CHECK(SequenceClassifier<float>(config, 4)({x}).shape() == Shape({2, 4}));
  CHECK(TokenClassifier<float>(config, 5)({x}).shape() == Shape({2, 9, 5}));
  SequenceClassifier<float> model(config, 4);
  const auto loss = cross_entropy(model({x}), Tensor<std::int32_t>({2}, {1, 3}));
  backward(loss);
  CHECK(unreached(model).empty());
}

TEST_CASE("the weights of an encoder that is a part are drawn by the whole, as by its names in it") {
  auto config = bert_shape(sizes);
  config.initial_deviation = 0.3;
  const Encoder<float> part(config, detail::Uninitialised());
  for_each_parameter(part, [](const std::string&, const Tensor<float>& x) {
    if (x.rank() == 2) CHECK(x.to_vector() == std::vector<float>(static_cast<std::size_t>(x.count()), 0));
  });
  const auto drawn = [&](const Tensor<float>& weight, const char* name, double deviation) {
    const RandomStream stream{config.seed, RandomPurpose::initialise, random_site(name)};
    CHECK(weight.to_vector() == random_normal<float>(weight.shape(), deviation, stream).to_vector());
  };
  const SequenceClassifier<float> model(config, 4);
  drawn(model.encoder.input.token_embedding.weight, "encoder.token_embedding.weight", 0.3);
  drawn(model.encoder.stack.blocks[1].feed_forward.down.weight, "encoder.blocks.1.feed_forward.down.weight",
        0.3 / std::sqrt(6.0));  // 2 branches in each of 3 layers
  drawn(model.classifier.weight, "classifier.weight", 0.3);
}

TEST_CASE("encoders and encoder-decoders refuse what does not fit") {
  const EncoderDecoder<float> model(t5_shape(sizes));
  CHECK_THROWS_AS(model(tokens(2, 13, 1), tokens(2, 3, 2)), ArgumentError);
  CHECK_THROWS_AS(model(tokens(2, 5, 1), tokens(2, 13, 2)), ArgumentError);
  CHECK_THROWS_AS(model(tokens(2, 5, 1), tokens(3, 4, 2)), ShapeError);
  CHECK_THROWS_AS(model(Tensor<std::int32_t>({2}, {1, 2}), tokens(2, 4, 2)), ShapeError);
  CHECK_THROWS_AS(model(tokens(2, 5, 1), tokens(2, 4, 2), {.rows = right_padding({3})}), ShapeError);
  const Encoder<float> encoder(bert_shape(sizes));
  CHECK_THROWS_AS(encoder({Tensor<std::int32_t>({1, 2}, {3, 13})}), ArgumentError);
  CHECK_THROWS_AS(encoder({tokens(1, 3, 1), {}, Tensor<std::int32_t>({1, 3}, {0, 1, 2})}), ArgumentError);
  CHECK_THROWS_AS(encoder({tokens(1, 3, 1), {}, Tensor<std::int32_t>({1, 2}, {0, 1})}), ShapeError);
  auto windowed = bert_shape(sizes);
  windowed.window = 4;
  CHECK_THROWS_AS(Encoder<float>(windowed), ArgumentError);
  CHECK_THROWS_WITH(TokenClassifier<float>(windowed, 3), Catch::Matchers::Contains("a window of 4 keys"));
  CHECK_NOTHROW(EncoderDecoder<float>(windowed));
  CHECK_THROWS_AS(Encoder<float>({.vocabulary = 3, .context = 4, .hidden = 6, .layers = 1, .heads = 4}), ArgumentError);
}
