// SPDX-License-Identifier: MIT
// The mean loss on held-out tokens against averages by hand.
#include <plinth/evaluate/loss.hpp>

#include <cmath>
#include <cstdint>
#include <numbers>
#include <string>
#include <vector>

#include <plinth/models/decoder.hpp>

#include "catch.hpp"

using namespace plinth;
using Catch::Matchers::Contains;
using Tokens = std::vector<std::int32_t>;

namespace {

constexpr std::int64_t V = 5;

double logit(std::int64_t token, std::int64_t place, std::int64_t next) {
  return std::sin(static_cast<double>(token + 3 * place + 7 * next)) * 2;
}

/// A model whose logits depend on the token and its place in the window, and which notes the windows it is shown.
template <class T>
struct Table {
  using element = T;
  using device = Cpu;
  std::vector<Shape>* shown;

  Tensor<T> operator()(const Tensor<std::int32_t>& tokens) const {
    CHECK_FALSE(detail::recording);  // for a backward pass
    shown->push_back(tokens.shape());
    const std::int64_t B = tokens.size(0), time = tokens.size(1);
    std::vector<T> logits;  // (B, T, V)
    for (std::int64_t i = 0; i < B * time; ++i)
      for (std::int64_t next = 0; next < V; ++next)
        logits.push_back(static_cast<T>(logit(tokens.to_vector()[static_cast<std::size_t>(i)], i % time, next)));
    return Tensor<T>({B, time, V}, logits);
  }
  Tensor<accumulator_t<T>> loss(const Tensor<std::int32_t>& tokens, const Tensor<std::int32_t>& targets) const {
    return cross_entropy((*this)(tokens), targets);
  }
};

/// Pseudo-random tokens.
Tokens text(std::size_t size) {
  Tokens tokens;
  for (std::size_t i = 0; i < size; ++i) tokens.push_back(static_cast<std::int32_t>((i * i + 3 * i / 2) % V));
  return tokens;
}

/// -log softmax of each next token, one after the other.
double by_hand(const Tokens& tokens, std::int64_t context) {
  double sum = 0;
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    const std::int64_t place = static_cast<std::int64_t>(i) % context;
    double total = 0;
    for (std::int64_t next = 0; next < V; ++next) total += std::exp(logit(tokens[i], place, next));
    sum += std::log(total) - logit(tokens[i], place, tokens[i + 1]);
  }
  return sum / static_cast<double>(tokens.size() - 1);
}

/// The result in double, and the shapes of the windows.
double loss_of(const Tokens& tokens, std::int64_t context, std::int64_t rows, std::vector<Shape>& shown) {
  shown.clear();
  return mean_loss(Table<double>{&shown}, tokens, context, rows);
}

void refuses(const Tokens& tokens, std::int64_t context, std::int64_t rows, const char* text) {
  std::vector<Shape> shown;
  CHECK_THROWS_AS(loss_of(tokens, context, rows, shown), ArgumentError);
  CHECK_THROWS_WITH(loss_of(tokens, context, rows, shown), Contains(text));
}

}  // namespace

TEST_CASE("the loss is the mean over all tokens but the first") {
  std::vector<Shape> shown;
  for (const std::size_t size : {2u, 5u, 6u, 7u, 11u, 23u, 100u})
    for (const std::int64_t context : {1, 5, 8, 200})
      for (const std::int64_t rows : {1, 2, 64}) {
        INFO(size << " tokens, context " << context << ", rows " << rows);
        CHECK(loss_of(text(size), context, rows, shown) == Approx(by_hand(text(size), context)).epsilon(1e-12));
      }
  CHECK(mean_loss(Table<float>{&shown}, text(100), 8) == Approx(by_hand(text(100), 8)).epsilon(1e-6));
}

TEST_CASE("windows do not overlap, and what is left over counts too") {
  std::vector<Shape> shown;
  loss_of(text(23), 5, 2, shown);
  CHECK(shown == std::vector<Shape>{{2, 5}, {2, 5}, {1, 2}});
  loss_of(text(16), 5, 2, shown);
  CHECK(shown == std::vector<Shape>{{2, 5}, {1, 5}});
  loss_of(text(4), 5, 2, shown);
  CHECK(shown == std::vector<Shape>{{1, 3}});
  mean_loss(Table<double>{&shown}, text(130 * 4 + 1), 4);
  CHECK(shown == std::vector<Shape>{{1, 3}, {64, 4}, {64, 4}, {2, 4}});  // 64 rows unless told
}

TEST_CASE("a model that knows nothing needs the logarithm of the vocabulary") {
  Decoder<double> model({.vocabulary = 8, .context = 4, .hidden = 8, .layers = 1, .heads = 1});
  for_each_parameter(model, [](const std::string&, Tensor<double>& x) {
    for (std::int64_t i = 0; i < x.count(); ++i) x.mutable_data()[i] = 0;
  });
  const double loss = mean_loss(model, text(20), 4);
  CHECK(loss / std::numbers::ln2 == Approx(3).epsilon(1e-12));  // bits for one of 8 tokens
  CHECK(std::exp(loss) == Approx(8).epsilon(1e-12));            // perplexity
}

TEST_CASE("what has no mean is refused") {
  refuses({}, 4, 2, "mean_loss: needs at least two tokens, got 0");
  refuses({1}, 4, 2, "mean_loss: needs at least two tokens, got 1");
  refuses({1, 2}, 0, 2, "mean_loss: 2 windows of 0 tokens at once");
  refuses({1, 2}, -3, 2, "mean_loss: 2 windows of -3 tokens at once");
  refuses({1, 2}, 4, 0, "mean_loss: 0 windows of 4 tokens at once");
  refuses({1, 9}, 4, 1, "9");  // a target outside the vocabulary
  const Decoder<float> model({.vocabulary = 5, .context = 8, .hidden = 8, .layers = 1, .heads = 1});
  CHECK_THROWS_AS(mean_loss(model, text(50), 9), ArgumentError);  // longer than the model's context
}

TEST_CASE("every target counts the same in a mean over batches, and equal logits are as perplexing as they are many") {
  const Tensor<double> first({2, V}, {0.5, -1, 2, 0, 0.25, 1, 1, -2, 0.125, 3});
  const Tensor<double> second({3, V}, {1, 2, 3, 4, 5, 0, 0, 0, 0, 0, -1, 0.5, 0.5, 2, 1});
  const Tensor<std::int32_t> first_targets({2}, {3, -1}), second_targets({3}, {0, 4, 2});
  MeanLoss loss;
  CHECK(loss.mean() == 0);
  loss.add(first, first_targets);
  loss.add(second, second_targets);
  const auto negative_log_likelihood = [](std::vector<double> row, std::size_t target) {
    double total = 0;
    for (const double x : row) total += std::exp(x);
    return std::log(total) - row[target];
  };
  const double by_hand = negative_log_likelihood({0.5, -1, 2, 0, 0.25}, 3) +
                         negative_log_likelihood({1, 2, 3, 4, 5}, 0) + std::log(5.0) +
                         negative_log_likelihood({-1, 0.5, 0.5, 2, 1}, 2);
  CHECK(loss.count() == 4);
  CHECK(loss.mean() == Approx(by_hand / 4).epsilon(1e-12));
  CHECK(loss.perplexity() == Approx(std::exp(by_hand / 4)).epsilon(1e-12));
  MeanLoss uniform;
  uniform.add(Tensor<float>({1, 2, V}, std::vector<float>(2 * V, 0.75f)), Tensor<std::int32_t>({1, 2}, {1, 4}));
  CHECK(uniform.perplexity() == Approx(static_cast<double>(V)).epsilon(1e-6));
}
