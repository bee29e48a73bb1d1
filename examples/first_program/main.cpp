// SPDX-License-Identifier: MIT
#include <plinth/plinth.hpp>
#include <iostream>

int main(int count, char** arguments) {
  const auto text = plinth::read_text(count > 1 ? arguments[1] : "input.txt");
  const plinth::CharacterVocabulary vocabulary(text);
  plinth::Decoder<float> model({.vocabulary = vocabulary.size(), .context = 64, .hidden = 128, .layers = 4, .heads = 4});
  plinth::Trainer trainer(model, {.steps = 2000, .batch = 12, .learning_rate = 1e-3});
  trainer.fit(plinth::TokenWindows(vocabulary.encode(text)));
  const auto prompt = vocabulary.encode(text.substr(0, 20));
  const auto written = plinth::generate(model, prompt, {.length = 200, .sampling = {.temperature = 0.8}});
  std::cout << vocabulary.decode(written) << '\n';
}
