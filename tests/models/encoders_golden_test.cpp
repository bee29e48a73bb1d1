// SPDX-License-Identifier: MIT
// A masked language model in BERT's shape and an encoder-decoder in T5's against transformers: logits, loss and every
// gradient, over padded sequences. The numbers and the script that made them are in tests/golden.
#include <cstdint>

#include "models/golden.hpp"

using namespace plinth;

namespace {

template <class T>
AttentionMask<T, golden::Device> padding_of(const SafetensorsFile& file) {
  const auto lengths = file.template read<std::int32_t>("lengths");
  return {.rows = right_padding<golden::Device>({lengths.begin(), lengths.end()})};
}

template <class T>
void compare_bert() {
  const SafetensorsFile file("tests/golden/bert.safetensors");
  MaskedLanguageModel<T, golden::Device> model(
      bert_shape({.vocabulary = 29, .context = 16, .hidden = 24, .layers = 2, .heads = 3, .feed_forward = 40}));
  golden::set_weights(model, file);
  golden::check_model(model, model({golden::ids(file, "tokens"), padding_of<T>(file), golden::ids(file, "segments")}),
                      file);
}

template <class T>
void compare_t5() {
  const SafetensorsFile file("tests/golden/t5.safetensors");
  auto config = t5_shape(
      {.vocabulary = 29, .context = 16, .hidden = 24, .layers = 2, .heads = 3, .head_size = 6, .feed_forward = 40});
  config.relative_buckets = 8;
  config.relative_distance = 9;
  EncoderDecoder<T, golden::Device> model(config);
  golden::set_weights(model, file);
  golden::check_model(model, model(golden::ids(file, "tokens"), golden::ids(file, "target"), padding_of<T>(file)),
                      file);
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("A BERT-shaped masked language model agrees with transformers", "", golden::Types) {
  compare_bert<TestType>();
}

TEMPLATE_LIST_TEST_CASE("A T5-shaped encoder-decoder agrees with transformers", "", golden::Types) {
  compare_t5<TestType>();
}
