// SPDX-License-Identifier: MIT
// Sorts sentences of financial news into negative, neutral and positive with a small BERT, and compares it with what
// counting words can do.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <plinth/plinth.hpp>

#include "labelled_texts.hpp"
#include "naive_bayes.hpp"
#include "news.hpp"
#include "options.hpp"
#include "word_vocabulary.hpp"

namespace {

using Model = plinth::SequenceClassifier<float>;

constexpr int failed = 1;

/// Sentences side by side, padded on the right to the longest of them: tokens (B, T).
plinth::EncoderInput<float> padded(const std::vector<Ids>& texts) {
  std::size_t T = 0;
  for (const Ids& ids : texts) T = std::max(T, ids.size());
  Ids tokens;
  std::vector<std::int64_t> lengths;
  for (const Ids& ids : texts) {
    tokens.insert(tokens.end(), ids.begin(), ids.end());
    tokens.resize(tokens.size() + T - ids.size());
    lengths.push_back(static_cast<std::int64_t>(ids.size()));
  }
  const auto B = static_cast<std::int64_t>(texts.size());
  return {.tokens = plinth::Tensor<std::int32_t>({B, static_cast<std::int64_t>(T)}, tokens),
          .mask = {.rows = plinth::right_padding(lengths)}};
}

void train(Model& model, const Labelled& data, std::int64_t steps) {
  constexpr std::int64_t B = 64;
  plinth::Trainer trainer(model, {.steps = steps,
                                  .learning_rate = 1e-3,
                                  .warmup_steps = steps / 10,
                                  .report_every = std::max<std::int64_t>(1, steps / 8)});
  trainer.fit(
      [&](const plinth::MicroStep& at) {
        const Labelled batch = draw(data, B, at);
        return cross_entropy(model(padded(batch.texts)), plinth::Tensor<std::int32_t>({B}, batch.labels));
      },
      [](const plinth::TrainingStep& step) {
        std::fprintf(stderr, "step %4lld   loss %.3f\n", static_cast<long long>(step.step + 1), step.loss);
      });
}

Ids predicted(const Model& model, const std::vector<Ids>& texts) {
  const plinth::NoGradient no_gradient;
  return plinth::predicted_classes(model(padded(texts)));
}

plinth::ConfusionMatrix compare(const char* name, const Ids& labels, const Ids& predictions) {
  plinth::ConfusionMatrix matrix(sentiments.size());
  matrix.add(labels, predictions);
  std::printf("  %-28s %5.1f %%   %5.3f\n", name, 100 * matrix.accuracy(), matrix.macro_scores().f1);
  return matrix;
}

void print(const plinth::ConfusionMatrix& matrix) {
  std::printf("\n  %-10s", "");
  for (const char* name : sentiments) std::printf(" %9s", name);
  std::printf("   precision  recall     F1\n");
  for (std::int64_t c = 0; c < matrix.classes(); ++c) {
    std::printf("  %-10s", sentiments[static_cast<std::size_t>(c)]);
    for (std::int64_t p = 0; p < matrix.classes(); ++p)
      std::printf(" %9lld", static_cast<long long>(matrix.count(c, p)));
    const auto scores = matrix.scores(c);
    std::printf("   %9.3f  %6.3f  %5.3f\n", scores.precision, scores.recall, scores.f1);
  }
}

void run(const Options& options, const WordVocabulary& vocabulary, const Labelled& learned, const Labelled& held_out) {
  Model model(plinth::bert_shape({.vocabulary = vocabulary.size(),
                                  .context = Options::longest_sentence + 1,
                                  .hidden = 64,
                                  .layers = 2,
                                  .heads = 4,
                                  .initial_deviation = 0.125}),  // 1 / sqrt(hidden): 0.02 is for wider models
              sentiments.size());
  train(model, learned, options.steps);

  NaiveBayes bayes(vocabulary.size(), sentiments.size());
  for (std::size_t i = 0; i < learned.texts.size(); ++i) bayes.add(learned.texts[i], learned.labels[i]);
  Ids guesses;
  for (const Ids& ids : held_out.texts) guesses.push_back(bayes.predict(ids));
  std::printf("%zu held-out sentences      accuracy   macro F1\n", held_out.texts.size());
  compare("always neutral", held_out.labels, Ids(held_out.labels.size(), 1));
  compare("naive Bayes, a bag of words", held_out.labels, guesses);
  print(compare("encoder", held_out.labels, predicted(model, held_out.texts)));

  std::printf("\n");
  for (const std::string& sentence : options.sentences)
    std::printf("  %-8s  %s\n",
                sentiments[static_cast<std::size_t>(predicted(model, {vocabulary.encode(sentence)})[0])],
                sentence.c_str());
}

}  // namespace

int main(int count, char** arguments) {
  try {
    WordVocabulary vocabulary;
    const Labelled learned = write(8000, false, vocabulary), held_out = write(1000, true, vocabulary);
    Options options;
    if (const auto exit_code = parse_options(count, arguments, vocabulary, options)) return *exit_code;
    run(options, vocabulary, learned, held_out);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "classify_text: %s\n", error.what());
    return failed;
  }
}
