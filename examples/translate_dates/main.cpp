// SPDX-License-Identifier: MIT
// Trains a small encoder-decoder to turn dates as people write them into ISO dates, and measures it on unseen days.
// B batch, V vocabulary.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <plinth/plinth.hpp>

#include "dates.hpp"
#include "options.hpp"
#include "text_pairs.hpp"

namespace {

using Model = plinth::EncoderDecoder<float>;

/// Dates as people write them, and the same in ISO 8601.
struct Dates {
  std::vector<std::string> texts, translations;

  void add(Day day, std::uint32_t word) {
    texts.push_back(spelled(day, word));
    translations.push_back(iso(day));
  }
};

/// The batch of a step, 64 of the days at random, each in a random spelling.
Dates draw(const std::vector<Day>& days, const plinth::MicroStep& at) {
  const plinth::RandomStream stream{at.seed, plinth::RandomPurpose::batch, 0};
  Dates batch;
  for (std::uint64_t row = 0; row < 64; ++row) {
    const auto random = stream.words(row, static_cast<std::uint32_t>(at.step));
    batch.add(days[random.word[0] % days.size()], random.word[1]);
  }
  return batch;
}

void train(Model& model, const std::vector<Day>& days, const Options& options) {
  plinth::Trainer trainer(model, {.steps = options.steps,
                                  .learning_rate = 3e-3,
                                  .warmup_steps = std::min<std::int64_t>(100, options.steps),
                                  .seed = options.seed,
                                  .report_every = std::max<std::int64_t>(1, options.steps / 10)});
  trainer.fit(
      [&](const plinth::MicroStep& at) {
        const Dates batch = draw(days, at);
        const Sources source(batch.texts);
        const Targets target(batch.translations);
        return model.loss(source.ids, target.inputs, target.wanted, source.mask);
      },
      [](const plinth::TrainingStep& step) {
        std::fprintf(stderr, "step %4lld   loss %.4f\n", static_cast<long long>(step.step + 1), step.loss);
      });
}

/// What the model writes for each of the texts: the likeliest character each time, for all texts at once, until all
/// have come to their end.
std::vector<std::string> translate(const Model& model, const std::vector<std::string>& texts) {
  const plinth::NoGradient no_gradient;
  const Sources source(texts);
  const auto memory = model.encode(source.ids, source.mask);
  const auto B = static_cast<std::int64_t>(texts.size()), V = model.config.vocabulary;
  plinth::KeyValueCache<float> cache(B, model.config.context);
  std::vector<std::int32_t> last(texts.size(), text_start);
  std::vector<bool> ended(texts.size(), false);
  std::vector<std::string> written(texts.size());
  while (cache.longest() < cache.capacity() && std::count(ended.begin(), ended.end(), false) > 0) {
    const auto hidden = model.hidden_states(plinth::Tensor<std::int32_t>({B, 1}, last), memory, &cache);
    const auto logits = model.logits(hidden).to_vector();  // (B, 1, V)
    for (std::size_t b = 0; b < texts.size(); ++b) {
      const auto row = logits.begin() + static_cast<std::ptrdiff_t>(b) * V;
      last[b] = static_cast<std::int32_t>(std::max_element(row, row + V) - row);
      ended[b] = ended[b] || last[b] == text_end;
      if (!ended[b]) written[b] += static_cast<char>(last[b]);
    }
  }
  return written;
}

/// Prints what the model makes of a few of the days, each in a random spelling, and of how many it makes what it
/// should.
void measure(const Model& model, const std::vector<Day>& days, std::uint64_t seed) {
  const plinth::RandomStream stream{seed, plinth::RandomPurpose::sample, plinth::random_site("spellings")};
  Dates dates;
  for (const Day day : days) dates.add(day, stream.word(dates.texts.size(), 0));
  const auto translated = translate(model, dates.texts);
  std::size_t right = 0;
  for (std::size_t i = 0; i < days.size(); ++i) {
    const bool exact = translated[i] == dates.translations[i];
    right += exact;
    if (i < 10) std::printf("%-38s %s%s\n", dates.texts[i].c_str(), translated[i].c_str(), exact ? "" : "  wrong");
  }
  std::printf("%.1f %% of %zu dates that were not in training are translated exactly\n",
              100 * static_cast<double>(right) / static_cast<double>(days.size()), days.size());
}

void run(const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  const SplitDays days = split_days(options.seed);
  Model model({.vocabulary = ascii_size,
               .context = Options::longest_date,
               .hidden = 64,
               .layers = 2,
               .heads = 4,
               .seed = options.seed});
  train(model, days.training, options);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  std::fprintf(stderr, "%.2f M parameters trained in %.0f s\n",
               static_cast<double>(plinth::parameter_count(model)) * 1e-6, taken.count());
  measure(model, days.held_out, options.seed);
  if (options.dates.empty()) return;
  std::printf("\n");
  const auto translated = translate(model, options.dates);
  for (std::size_t i = 0; i < translated.size(); ++i)
    std::printf("%-38s %s\n", options.dates[i].c_str(), translated[i].c_str());
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (const auto code = parse_options(argc, argv, options)) return *code;
  try {
    run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "translate_dates: %s\n", error.what());
    return 1;
  }
}
