// SPDX-License-Identifier: MIT
// Trains a small BERT to guess the bytes that were hidden from it in a text, and lets it fill in blanks.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include <plinth/plinth.hpp>

#include "../train_gpt/text_source.hpp"
#include "masking.hpp"
#include "options.hpp"

namespace {

using Model = plinth::MaskedLanguageModel<float>;

constexpr int failed = 1;
constexpr std::int64_t B = 32, T = 64;

void train(Model& model, const plinth::TokenWindows& data, std::int64_t steps) {
  plinth::Trainer trainer(model, {.steps = steps,
                                  .learning_rate = 3e-3,
                                  .warmup_steps = steps / 10,
                                  .report_every = std::max<std::int64_t>(1, steps / 10)});
  trainer.fit(
      [&](const plinth::MicroStep& at) {
        const auto windows = data.batch(B, T, at.seed, at.step).inputs;
        const plinth::RandomStream stream{at.seed, plinth::RandomPurpose::sample, plinth::random_site("mask")};
        const MaskedBatch batch = masked(windows, stream, static_cast<std::uint32_t>(at.step));
        return cross_entropy(model({batch.inputs}), batch.targets);
      },
      [](const plinth::TrainingStep& step) {
        std::fprintf(stderr, "step %5lld   loss %.3f\n", static_cast<long long>(step.step + 1), step.loss);
      });
}

std::int32_t most_frequent(std::string_view text) {
  std::array<std::int64_t, 256> counts{};
  for (const char byte : text) ++counts[static_cast<unsigned char>(byte)];
  return static_cast<std::int32_t>(std::max_element(counts.begin(), counts.end()) - counts.begin());
}

/// Accuracy at the chosen bytes of 256 windows of the held-out text, beside that of one guess for all.
void measure(const Model& model, std::string_view training, std::string_view held_out) {
  const plinth::NoGradient no_gradient;
  const plinth::ByteVocabulary bytes;
  const auto windows = plinth::TokenWindows(bytes.encode(held_out)).batch(256, T, 0, 0).inputs;
  const MaskedBatch batch = masked(windows, {0, plinth::RandomPurpose::sample, plinth::random_site("mask")}, 0);
  const std::int32_t guess = most_frequent(training);
  std::int64_t asked = 0, guessed = 0;
  for (const std::int32_t target : batch.targets.to_vector()) asked += target >= 0, guessed += target == guess;
  std::printf("%lld chosen bytes of held-out text\n", static_cast<long long>(asked));
  std::printf("  always \"%s\", the most frequent   %5.1f %%\n", bytes.decode(std::vector{guess}).c_str(),
              100 * static_cast<double>(guessed) / static_cast<double>(asked));
  std::printf("  encoder                         %5.1f %%\n",
              100 * plinth::accuracy(model({batch.inputs}), batch.targets));
}

/// The line with the likeliest byte at each underscore; ? where that is none that can be shown.
std::string filled(const Model& model, std::string line) {
  const plinth::NoGradient no_gradient;
  auto ids = plinth::ByteVocabulary().encode(line);
  std::replace(ids.begin(), ids.end(), std::int32_t{'_'}, mask_id);
  const plinth::Tensor<std::int32_t> tokens({1, static_cast<std::int64_t>(ids.size())}, ids);
  const auto guesses = plinth::predicted_classes(model({tokens}));
  for (std::size_t i = 0; i < line.size(); ++i)
    if (line[i] == '_') line[i] = guesses[i] >= ' ' && guesses[i] <= '~' ? static_cast<char>(guesses[i]) : '?';
  return line;
}

/// The first line of 30 to T bytes, indentation aside, that has no underscore; empty if there is none.
std::string suitable_line(std::string_view text) {
  while (!text.empty()) {
    const std::string_view whole = text.substr(0, text.find('\n'));
    const std::string_view line = whole.substr(std::min(whole.size(), whole.find_first_not_of(' ')));
    if (line.size() >= 30 && line.size() <= T && line.find('_') == line.npos) return std::string(line);
    text.remove_prefix(std::min(text.size(), whole.size() + 1));
  }
  return "";
}

/// Fills in a line from each quarter of the held-out text, in which one byte in six is blank.
void fill_blanks(const Model& model, std::string_view text) {
  const plinth::RandomStream stream{0, plinth::RandomPurpose::sample, plinth::random_site("blanks")};
  for (std::uint32_t quarter = 0; quarter < 4; ++quarter) {
    const std::string line =
        suitable_line(text.substr(std::min(text.size(), text.find('\n', text.size() / 4 * quarter))));
    std::string blanks = line;
    for (std::size_t i = 0; i < line.size(); ++i)
      if (stream.uniform(i, quarter) * 6 < 1) blanks[i] = '_';
    if (blanks == line) continue;
    const std::string full = filled(model, blanks);
    std::printf("\n  blanks  %s\n  filled  %s\n  text    %s\n", blanks.c_str(), full.c_str(), line.c_str());
  }
}

void run(const Options& options) {
  const std::string text = read_sources(options.data.empty() ? default_sources() : options.data);
  const std::size_t learned = text.size() / 10 * 9;
  plinth::detail::require<plinth::ArgumentError>(text.size() - learned > T, "the text has ", text.size(),
                                                 " bytes, must have at least ", 10 * (T + 1));
  const auto training = std::string_view(text).substr(0, learned), held_out = std::string_view(text).substr(learned);
  auto config =
      plinth::bert_shape({.vocabulary = vocabulary_size, .context = T, .hidden = 64, .layers = 3, .heads = 2});
  config.initial_deviation = 0.125;                // 1 / sqrt(hidden): BERT's 0.02 is for wider models
  config.position = plinth::PositionKind::rotary;  // who stands beside whom need not be learned place by place
  Model model(config);
  train(model, plinth::TokenWindows(plinth::ByteVocabulary().encode(training)), options.steps);
  measure(model, training, held_out);
  fill_blanks(model, held_out);
}

}  // namespace

int main(int count, char** arguments) {
  Options options;
  if (const auto exit_code = parse_options(count, arguments, options)) return *exit_code;
  try {
    run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "train_masked_lm: %s\n", error.what());
    return failed;
  }
}
