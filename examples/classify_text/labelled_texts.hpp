// SPDX-License-Identifier: MIT
// Sentences as tokens with their classes, written and drawn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <plinth/train/trainer.hpp>

#include "news.hpp"
#include "word_vocabulary.hpp"

using Ids = std::vector<std::int32_t>;

/// Encoded sentences and the class of each.
struct Labelled {
  std::vector<Ids> texts;
  Ids labels;
};

/// Writes so many sentences and makes their words known.
inline Labelled write(std::size_t count, bool held_out, WordVocabulary& vocabulary) {
  NewsWriter writer({1, plinth::RandomPurpose::sample, held_out ? 1u : 0u}, held_out);
  Labelled data;
  for (std::size_t i = 0; i < count; ++i) {
    const Sentence sentence = writer.write();
    vocabulary.add(sentence.text);
    data.texts.push_back(vocabulary.encode(sentence.text));
    data.labels.push_back(sentence.sentiment);
  }
  return data;
}

/// So many sentences drawn with replacement: a function of the step alone.
inline Labelled draw(const Labelled& data, std::size_t count, const plinth::MicroStep& at) {
  const plinth::RandomStream stream{at.seed, plinth::RandomPurpose::batch, 0};
  Labelled batch;
  for (std::size_t row = 0; row < count; ++row) {
    const std::size_t i = stream.word(row, static_cast<std::uint32_t>(at.step)) % data.texts.size();
    batch.texts.push_back(data.texts[i]);
    batch.labels.push_back(data.labels[i]);
  }
  return batch;
}
