// SPDX-License-Identifier: MIT
// The n-gram models of train_gpt against exact fractions; the numbers are printed by golden/byte_ngram_golden.py.
#include "../../examples/train_gpt/byte_ngram.hpp"

#include <cmath>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "catch.hpp"

using plinth::ArgumentError;

namespace {

constexpr std::string_view training = "abracadabra, abracadabra!", held_out = "cadabra abra";

double total(const ByteNgram& model, std::string_view history) {
  double sum = 0;
  for (int byte = 0; byte < 256; ++byte) sum += model.probability(history, static_cast<char>(byte));
  return sum;
}

}  // namespace

TEST_CASE("n-gram probabilities are Witten and Bell's, in exact fractions") {
  struct Expected {
    std::string_view history;
    char byte;
    double probability;
  };
  const std::vector<Expected> expected = {
      {"", 'a', 107.0 / 352},   {"", 'z', 1.0 / 1056},     {"a", 'b', 541.0 / 1760}, {"br", 'a', 1711.0 / 1760},
      {"ab", 'z', 1.0 / 26400}, {"xa", 'b', 541.0 / 1760}, {"ra", ',', 197.0 / 1120}};
  const ByteNgram model(2, training);
  for (const auto& [history, byte, probability] : expected) {
    INFO("'" << history << "' then '" << byte << "'");
    CHECK(model.probability(history, byte) == Approx(probability).epsilon(1e-14));
  }
  CHECK(model.probability("cab", 'r') == model.probability("ab", 'r'));  // only the last two bytes matter
}

TEST_CASE("bits per byte of each order") {
  const std::vector<double> expected = {2.81387860246513, 1.58995477003674, 1.21650765476373, 1.27940910929054,
                                        1.37304233530903, 1.45591320056089, 1.53919692585021};
  for (int order = 0; order <= ByteNgram::max_order; ++order)
    CHECK(ByteNgram(order, training).bits_per_byte(held_out) ==
          Approx(expected[static_cast<std::size_t>(order)]).epsilon(1e-13));
  CHECK(ByteNgram(3, training).bits_per_byte("") == 0);
  CHECK(ByteNgram(3, "").bits_per_byte("xyz") == Approx(8));
}

TEST_CASE("n-gram probabilities sum to one after any history") {
  std::mt19937 random(1);
  std::string text;
  for (int i = 0; i < 20000; ++i) text += static_cast<char>(random() % 4 == 0 ? random() % 256 : random() % 3);
  for (int order = 0; order <= ByteNgram::max_order; ++order) {
    const ByteNgram model(order, text);
    CHECK(total(model, "") == Approx(1).epsilon(1e-12));
    CHECK(total(model, std::string(8, '\0')) == Approx(1).epsilon(1e-12));
    CHECK(total(model, "\xFF\xFE\xFD\xFC\xFB\xFA\xF9") == Approx(1).epsilon(1e-12));
    for (std::size_t at : {1u, 77u, 4321u, 19990u})
      CHECK(total(model, std::string_view(text).substr(at, 9)) == Approx(1).epsilon(1e-12));
  }
}

TEST_CASE("n-gram orders out of range are refused") {
  CHECK_THROWS_WITH(ByteNgram(-1, "a"), "n-gram: order -1 is outside [0, 6]");
  CHECK_THROWS_AS(ByteNgram(7, "a"), ArgumentError);
}
