// SPDX-License-Identifier: MIT
// A run from text to sample, for a model of any element type on any device.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <plinth/plinth.hpp>

#include "byte_ngram.hpp"
#include "interrupt.hpp"
#include "options.hpp"
#include "progress_line.hpp"
#include "run_log.hpp"
#include "run_report.hpp"
#include "saved_run.hpp"
#include "text_source.hpp"

/// Exit codes.
constexpr int done = 0, failed = 1, stopped = 130;

struct NgramResult {
  int order = 0;
  double bits_per_byte = std::numeric_limits<double>::infinity();
};

template <class Queue>
std::string where_it_runs(const Queue& queue) {
  if constexpr (requires { queue.threads(); })
    return std::to_string(queue.threads()) + " threads";
  else
    return "GPU " + std::to_string(queue.ordinal());
}

/// The loss, in nats, over the same `bytes` bytes or so of the held-out text each time.
template <class Model>
double quick_held_out(const Model& model, const plinth::TokenWindows& held_out, std::int64_t bytes) {
  const plinth::NoGradient no_gradient;
  const std::int64_t context = model.config.context, windows = std::max<std::int64_t>(1, bytes / context);
  const auto batch = held_out.template batch<typename Model::device>(windows, context, 0, 0);
  return static_cast<double>(model.loss(batch.inputs, batch.targets).item());
}

/// Trains until all steps are done or Ctrl-C, from the checkpoint on where there is one, saves one now and then, and
/// the weights at the end. Nothing is returned when it was stopped.
template <class Model>
std::optional<RunLog> train(Model& model, const SplitText& text, const Options& options, const SavedRun& saved) {
  using clock = std::chrono::steady_clock;
  const std::filesystem::path folder = options.run_folder;
  TrainerOf<Model> trainer(model, options.training);
  saved.restore(model, trainer);

  const plinth::ByteVocabulary vocabulary;
  const plinth::TokenWindows data(vocabulary.encode(text.training())), held_out(vocabulary.encode(text.held_out()));
  const std::int64_t steps = options.training.steps, first = trainer.state().next_step;
  const std::int64_t measure_every = std::max<std::int64_t>(1, steps / 12),
                     measured = std::min<std::int64_t>(16384, std::ssize(text.held_out()));
  const auto tokens_per_step =
      static_cast<double>(options.training.batch * options.training.accumulation * model.config.context);
  const auto start = clock::now();
  bool stopped_early = false;
  RunLog log((folder / "log.jsonl").string(), first);
  ProgressLine progress(steps, stderr, first);
  const InterruptGuard guard;
  trainer.fit(data, [&](const plinth::TrainingStep& report) {
    const std::int64_t step = report.step + 1;
    const bool measure = step % measure_every == 0;
    stopped_early = guard.interrupted();
    log.write(report, measure ? std::optional(quick_held_out(model, held_out, measured)) : std::nullopt);
    const bool save = options.save_every > 0 && step % options.save_every == 0 && step < steps;
    if (save || stopped_early) saved.save(model, trainer);
    const double seconds = std::chrono::duration<double>(clock::now() - start).count();
    progress.show({.step = step,
                   .loss = bits(report.loss),
                   .learning_rate = report.learning_rate,
                   .gradient_norm = report.gradient_norm,
                   .tokens_per_second = tokens_per_step * static_cast<double>(step - first) / seconds});
    return !stopped_early;
  });
  save_weights(folder / "model.safetensors", model);
  return stopped_early ? std::nullopt : std::optional(std::move(log));
}

/// Prints a line for each order and returns the best one.
inline NgramResult compare_ngrams(const SplitText& text) {
  NgramResult best;
  for (int order = 1; order <= 5; ++order) {
    const double loss = ByteNgram(order, text.training()).bits_per_byte(text.held_out());
    std::printf("  n-gram, %d %s of context %8.3f\n", order, order == 1 ? "byte " : "bytes", loss);
    if (loss < best.bits_per_byte) best = {order, loss};
  }
  return best;
}

/// Throws IoError when the folder neither exists nor can be made.
inline void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error || !std::filesystem::is_directory(folder, error))
    throw plinth::IoError(folder.string() + ": the folder cannot be made: " +
                          (error ? error.message() : "a file has its name") + "; choose another with --run-folder");
}

/// The whole run with such a model; returns the exit code.
template <class Model>
int run(const Options& options) {
  const SplitText text(read_sources(options.data.empty() ? default_sources() : options.data), options.model.context);
  const std::filesystem::path folder = options.run_folder;
  make_folder(folder);
  Model model(options.model);
  std::fprintf(stderr, "%.2f MB of text, the last tenth held out; %.2f M parameters; %s; seed %llu\n",
               static_cast<double>(text.size()) * 1e-6, static_cast<double>(plinth::parameter_count(model)) * 1e-6,
               where_it_runs(plinth::queue<typename Model::device>::current()).c_str(),
               static_cast<unsigned long long>(options.training.seed));
  const SavedRun saved(options, text);
  const auto log = train(model, text, options, saved);
  if (!log) {
    std::fprintf(stderr, "stopped; go on with --resume; the model so far is in %s\n",
                 (folder / "model.safetensors").string().c_str());
    return stopped;
  }

  std::printf("held-out text, bits per byte\n");
  const NgramResult ngram = compare_ngrams(text);
  const plinth::ByteVocabulary vocabulary;
  const double gpt = bits(plinth::mean_loss(model, vocabulary.encode(text.held_out()), options.model.context));
  std::printf("  GPT, %3lld bytes of context %8.3f\n\n", static_cast<long long>(options.model.context), gpt);

  const auto written = plinth::generate(model, vocabulary.encode(options.prompt), options.sample);
  const std::string sample = vocabulary.decode(written) + '\n';
  plinth::write_text((folder / "samples.txt").string(), sample);
  write_report(folder, options.chosen, *log, ngram.bits_per_byte, sample);
  std::fwrite(sample.data(), 1, sample.size(), stdout);
  if (std::fflush(stdout) != 0 || std::ferror(stdout)) throw plinth::IoError("standard output cannot be written");
  saved.remove();
  std::fprintf(stderr, "report, log, samples and weights are in %s\n", folder.string().c_str());
  return done;
}
