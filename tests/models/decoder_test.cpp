// SPDX-License-Identifier: MIT
// The decoder: initialisation, causality, dropout, threads, and what it refuses.
// Gradients are in decoder_gradient_test.cpp, the comparison with PyTorch in golden_test.cpp.
#include <plinth/models/decoder.hpp>

#include <cmath>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "kernels/numbers.hpp"
#include "models/small_decoders.hpp"

using namespace plinth;
using small_decoders::gpt;
using small_decoders::Ids;
using small_decoders::llama;
using small_decoders::some_ids;

namespace {

template <class M>
std::vector<float> weights(const M& model) {
  std::vector<float> all;
  for_each_parameter(model, [&](const std::string&, const auto& x) {
    for (const auto value : x.to_vector()) all.push_back(static_cast<float>(value));
  });
  return all;
}

struct Moments {
  double mean = 0, deviation = 0;
};
template <class T>
Moments moments(const Tensor<T>& x) {
  Moments m;
  double square = 0;
  for (const T value : x.to_vector()) {
    m.mean += static_cast<double>(value) / static_cast<double>(x.count());
    square += static_cast<double>(value) * static_cast<double>(value) / static_cast<double>(x.count());
  }
  m.deviation = std::sqrt(square - m.mean * m.mean);
  return m;
}

std::int64_t count_of(const TransformerConfig& config) { return parameter_count(Decoder<float>(config)); }

}  // namespace

TEST_CASE("decoders have the parameters of their shape") {
  // Embeddings 11 12 + 8 12, two blocks of 4 (12 12 + 12) + 12 48 + 48 + 48 12 + 12 + 4 12, a norm of 24
  CHECK(count_of(gpt) == 11 * 12 + 8 * 12 + 2 * (4 * 156 + 624 + 588 + 48) + 24);
  // Embedding and head 2 (11 16), two blocks of 2 (16 16) + 2 (8 16) + 3 (24 16) + 2 16, a norm of 16
  CHECK(count_of(llama) == 2 * 176 + 2 * (512 + 256 + 1152 + 32) + 16);
  // GPT-2 small, without allocating it: 124,439,808 parameters as published, by the same formula
  const std::int64_t C = 768, V = 50257, T = 1024, L = 12;
  CHECK(V * C + T * C + L * (4 * (C * C + C) + 8 * C * C + 5 * C + 4 * C) + 2 * C == 124439808);
}

TEST_CASE("weights start as GPT-2's do") {
  const Decoder<float> model({.vocabulary = 200, .context = 64, .hidden = 96, .layers = 8, .heads = 4, .bias = true});
  const auto is_normal = [](const Tensor<float>& x, double deviation) {
    const Moments m = moments(x);
    const auto n = static_cast<double>(x.count());
    CHECK(std::fabs(m.mean) < 5 * deviation / std::sqrt(n));
    CHECK(std::fabs(m.deviation - deviation) < 5 * deviation / std::sqrt(2 * n));
  };
  is_normal(model.input.token_embedding.weight, 0.02);
  is_normal(model.input.position_embedding->weight, 0.02);
  for (const auto& block : model.stack.blocks) {
    is_normal(block.attention.query.weight, 0.02);
    is_normal(block.attention.value.weight, 0.02);
    is_normal(block.feed_forward.up.weight, 0.02);
    is_normal(block.attention.output.weight, 0.02 / 4);  // sqrt(2 layers) = 4
    is_normal(block.feed_forward.down.weight, 0.02 / 4);
    CHECK(moments(block.attention.query.bias).deviation == 0);
    CHECK(block.attention_norm.gain.to_vector() == std::vector<float>(96, 1));
  }
  CHECK(model.stack.blocks[0].attention.query.weight.to_vector() != model.stack.blocks[1].attention.query.weight.to_vector());
  CHECK(model.stack.blocks[0].attention.query.weight.to_vector() != model.stack.blocks[0].attention.key.weight.to_vector());
}

TEST_CASE("twice the deviation makes each matrix twice as large, and nothing else") {
  auto wide = llama;
  wide.initial_deviation = 0.04;
  const Decoder<float> model(llama), larger(wide);
  std::vector<std::vector<float>> expected, found;
  for_each_parameter(model, [&](const std::string&, const auto& x) {
    expected.push_back((x.rank() < 2 ? x : x * 2).to_vector());
  });
  for_each_parameter(larger, [&](const std::string&, const auto& x) { found.push_back(x.to_vector()); });
  CHECK(found == expected);
}

TEST_CASE("the seed decides the weights") {
  auto other = gpt;
  other.seed = 2;
  CHECK(weights(Decoder<float>(gpt)) == weights(Decoder<float>(gpt)));
  CHECK(weights(Decoder<float>(gpt)) != weights(Decoder<float>(other)));
}

TEST_CASE("every dropout of a decoder has a site of its own") {
  const Decoder<float> model(gpt);
  std::set<std::uint32_t> sites = {model.input.embedding_dropout.site};
  for (const auto& block : model.stack.blocks) sites.insert({block.attention_dropout.site, block.feed_forward_dropout.site});
  CHECK(sites.size() == 5);
}

TEST_CASE("a token changes no logits before it and all from it on") {
  for (const TransformerConfig& config : {gpt, llama}) {
    const Decoder<float> model(config);
    const NoGradient no_gradient;
    auto ids = some_ids(2, 6);
    const auto before = model(ids).to_vector();
    auto& changed = ids.mutable_data()[3];  // of the first row
    changed = (changed + 1) % 11;
    const auto after = model(ids).to_vector();
    for (std::size_t position = 0; position < 12; ++position) {
      bool same = true;
      for (std::size_t i = position * 11; i < (position + 1) * 11; ++i) same = same && before[i] == after[i];
      INFO("position " << position);
      CHECK(same == (position < 3 || position >= 6));
    }
  }
}

TEST_CASE("a decoder refuses tokens, positions and lengths that it has no row for") {
  const Decoder<float> model(gpt), rotary(llama);
  CHECK_THROWS_AS(model(Ids({1, 2}, {0, 11})), ArgumentError);
  CHECK_THROWS_AS(model(Ids({1, 2}, {-1, 0})), ArgumentError);
  CHECK_THROWS_WITH(model(some_ids(1, 9)), "decoder: a sequence of 9 tokens is longer than the context of 8");
  CHECK_THROWS_AS(rotary(some_ids(1, 9)), ArgumentError);
  CHECK_THROWS_AS(model(some_ids(1, 2), Ids({1, 2}, {7, 8})), ArgumentError);
  CHECK_THROWS_AS(rotary(some_ids(1, 2), Ids({1, 2}, {7, 8})), ArgumentError);
  CHECK_THROWS_AS(model(some_ids(2, 2), Ids({1, 2}, {0, 1})), ShapeError);
  CHECK_THROWS_WITH(model(Ids({3}, {1, 2, 3})), "decoder: tokens (3) are not (B, T)");
  CHECK_THROWS_AS(model(Ids()), Error);
  CHECK(model(Ids({0, 4})).shape() == Shape{0, 4, 11});
  CHECK(rotary(Ids({2, 0})).shape() == Shape{2, 0, 11});
}

TEST_CASE("dropout acts in training and not outside") {
  auto config = gpt;
  config.dropout = 0.5;
  const Decoder<float> model(config), without(gpt);
  const NoGradient no_gradient;
  const auto ids = some_ids(2, 5);
  const auto plain = without(ids).to_vector();
  CHECK(model(ids).to_vector() == plain);
  const auto trained = [&](std::int64_t step) {
    const TrainingScope<Cpu> training(1, step);
    return model(ids).to_vector();
  };
  CHECK(trained(0) != plain);
  CHECK(trained(0) == trained(0));
  CHECK(trained(0) != trained(1));
}

TEST_CASE("threads share one frozen model") {
  Decoder<float> model(llama);
  set_trainable(model, false);
  const auto expected = model(some_ids(2, 6)).to_vector();
  int wrong[2] = {};
  std::vector<std::thread> threads;
  for (int& count : wrong)
    threads.emplace_back([&] {
      const auto ids = some_ids(2, 6);
      for (int round = 0; round < 50; ++round) count += model(ids).to_vector() != expected;
    });
  for (auto& thread : threads) thread.join();
  CHECK(wrong[0] + wrong[1] == 0);
}
