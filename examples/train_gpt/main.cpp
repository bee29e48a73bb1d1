// SPDX-License-Identifier: MIT
// Trains a small GPT on the bytes of any text, compares it with n-gram models of the same text, and lets it write.
#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <plinth/io/safetensors.hpp>
#include <plinth/plinth.hpp>
#include <plinth/report/line_plot.hpp>

#include "byte_ngram.hpp"
#include "progress_line.hpp"
#include "text_source.hpp"

namespace {

using Model = plinth::Decoder<float>;

std::atomic<bool> interrupted = false;

struct Options {
  std::vector<std::string> data;
  std::filesystem::path run_folder = "runs/train_gpt";
  plinth::DecoderConfig model = plinth::llama_shape(
      {.vocabulary = 256, .context = 128, .hidden = 128, .layers = 4, .heads = 4, .feed_forward = 384});
  plinth::TrainerOptions training = {
      .steps = 1200, .batch = 16, .learning_rate = 4e-3, .final_learning_rate = 1e-4, .warmup_steps = 50};
  std::string prompt = "template<typename ";
  plinth::GenerateOptions sample = {.length = 600, .temperature = 0.7, .top_k = 40};
};

/// Fills the options. Returns -1 to go on, else the exit code.
int parse(int argc, char** argv, Options& options) {
  CLI::App app("Trains a small GPT on the bytes of a text and lets it write.\n"
               "Example: train_gpt --data book.txt notes.txt --steps 3000 --prompt \"Once upon\"");
  app.option_defaults()->always_capture_default();
  app.add_option("--data", options.data, "Files or folders to learn from, all but the last tenth of their bytes; "
                                         "without it Eigen's C++ headers")->type_name("FILE");
  app.add_option("--run-folder", options.run_folder, "Where log, loss curve, samples and checkpoint go");
  app.add_option("--steps", options.training.steps, "Optimiser steps")->check(CLI::Range(1, 100000000));
  app.add_option("--batch", options.training.batch, "Windows per step")->check(CLI::Range(1, 65536));
  app.add_option("--accumulation", options.training.accumulation, "Batches per step")->check(CLI::Range(1, 4096));
  app.add_option("--context", options.model.context, "Bytes the model sees at once")->check(CLI::Range(2, 65536));
  app.add_option("--hidden", options.model.hidden, "Channels")->check(CLI::Range(2, 16384));
  app.add_option("--feed-forward", options.model.feed_forward, "Inner channels")->check(CLI::Range(1, 65536));
  app.add_option("--layers", options.model.layers, "Blocks")->check(CLI::Range(1, 256));
  app.add_option("--heads", options.model.heads, "Attention heads")->check(CLI::Range(1, 256));
  app.add_option("--dropout", options.model.dropout, "Probability of dropping a channel")->check(CLI::Range(0.0, 0.95));
  app.add_option("--learning-rate", options.training.learning_rate, "Peak of the cosine schedule")->check(CLI::Range(0.0, 10.0));
  app.add_option("--warmup", options.training.warmup_steps, "Steps of linear warm-up")->check(CLI::Range(0, 100000000));
  app.add_option("--seed", options.training.seed, "Seed of weights, batches, dropout and samples");
  app.add_option("--prompt", options.prompt, "What the samples start with");
  app.add_option("--sample-length", options.sample.length, "Bytes to write")->check(CLI::Range(0, 1000000));
  app.add_option("--temperature", options.sample.temperature, "0 takes the likeliest byte")->check(CLI::Range(0.0, 10.0));
  app.add_option("--top-k", options.sample.top_k, "Choose among the likeliest; 0: all")->check(CLI::Range(0, 256));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  options.training.warmup_steps = std::min(options.training.warmup_steps, options.training.steps);
  options.model.seed = options.sample.seed = options.training.seed;
  return -1;
}

double bits(double nats) { return nats / std::numbers::ln2; }

/// One line of the log for each step. Free of times, so that the same seed gives the same log.
struct Log {
  std::ofstream file;
  std::vector<double> steps, losses;  // bits per byte, for the picture

  void write(std::int64_t step, double loss, double learning_rate, double norm) {
    char line[160];
    std::snprintf(line, sizeof line, "{\"step\": %lld, \"loss\": %.7g, \"learning_rate\": %.6g, \"gradient_norm\": %.6g}\n",
                  static_cast<long long>(step), loss, learning_rate, norm);
    file << line;
    steps.push_back(static_cast<double>(step));
    losses.push_back(bits(loss));
  }
};

/// Each point the mean of what came before, the last `window` steps counting most.
std::vector<double> smoothed(const std::vector<double>& values, double window) {
  std::vector<double> result;
  double sum = 0, weight = 0;
  for (const double value : values) {
    sum = sum * (1 - 1 / window) + value;
    weight = weight * (1 - 1 / window) + 1;
    result.push_back(sum / weight);
  }
  return result;
}

void train(Model& model, const plinth::TokenWindows& data, const Options& options, Log& log) {
  using clock = std::chrono::steady_clock;
  const auto start = clock::now();
  ProgressLine progress(options.training.steps);
  const auto tokens_per_step =
      static_cast<double>(options.training.batch * options.training.accumulation * model.config.context);
  plinth::Trainer trainer(model, options.training);
  trainer.fit(data, [&](const plinth::TrainingStep<Model>& step) {
    const double loss = static_cast<double>(step.loss.item()), norm = static_cast<double>(step.gradient_norm.item());
    if (!std::isfinite(loss))
      throw plinth::Error("the loss is no longer finite at step " + std::to_string(step.step) + ": lower --learning-rate");
    log.write(step.step, loss, step.learning_rate, norm);
    const double seconds = std::chrono::duration<double>(clock::now() - start).count();
    progress.show({.step = step.step + 1, .loss = loss, .learning_rate = step.learning_rate, .gradient_norm = norm,
                   .tokens_per_second = tokens_per_step * static_cast<double>(step.step + 1) / seconds});
    return !interrupted;
  });
  progress.finish();
}

void draw(const std::filesystem::path& file, const Log& log, double held_out, const std::string& best_ngram_name, double best_ngram) {
  const double last = log.steps.empty() ? 0 : log.steps.back();
  plinth::LinePlot plot{.title = "Training a GPT", .x_label = "step", .y_label = "bits per byte"};
  plot.series.push_back({"training loss (smoothed)", log.steps, smoothed(log.losses, 20)});
  plot.series.push_back({"GPT, held-out text", {0, last}, {held_out, held_out}});
  plot.series.push_back({best_ngram_name + ", held-out text", {0, last}, {best_ngram, best_ngram}});
  plinth::write_svg(file, plot);
}

int run(const Options& options) {
  const std::string text = read_sources(options.data.empty() ? default_sources() : options.data);
  const std::size_t split = text.size() / 10 * 9;
  const std::string_view train_text = std::string_view(text).substr(0, split), held_text = std::string_view(text).substr(split);
  const auto needed = static_cast<std::size_t>(options.model.context) + 2;
  if (held_text.size() < needed || train_text.size() < needed)
    throw plinth::ArgumentError("the text has " + std::to_string(text.size()) + " bytes; a context of " +
                                std::to_string(options.model.context) + " needs at least " + std::to_string(10 * needed));

  std::filesystem::create_directories(options.run_folder);
  const plinth::ByteVocabulary vocabulary;
  const plinth::TokenWindows data(vocabulary.encode(train_text));
  Model model(options.model);
  std::fprintf(stderr, "%.1f MB of text, the last tenth held out; %.2f M parameters; %d threads\n",
               static_cast<double>(text.size()) * 1e-6, static_cast<double>(plinth::parameter_count(model)) * 1e-6,
               plinth::queue<plinth::Cpu>::current().threads());

  Log log{std::ofstream(options.run_folder / "log.jsonl"), {}, {}};
  if (!log.file) throw plinth::IoError((options.run_folder / "log.jsonl").string() + ": cannot be written");
  train(model, data, options, log);
  plinth::save_parameters(options.run_folder / "model.safetensors", model);
  if (interrupted) {
    std::fprintf(stderr, "stopped; the model so far is in %s\n", (options.run_folder / "model.safetensors").c_str());
    return 130;
  }

  const double held_out = bits(plinth::mean_loss(model, vocabulary.encode(held_text), options.model.context));
  std::printf("held-out loss, bits per byte\n");
  int best_order = 0;
  double best = std::numeric_limits<double>::infinity();
  for (int order = 1; order <= 5; ++order) {
    const double loss = ByteNgram(order, train_text).bits_per_byte(held_text);
    std::printf("  %d-gram  %.3f\n", order, loss);
    if (loss < best) best = loss, best_order = order;
  }
  std::printf("  GPT     %.3f\n\n", held_out);
  draw(options.run_folder / "loss.svg", log, held_out, std::to_string(best_order) + "-gram", best);

  const auto written = plinth::generate(model, vocabulary.encode(options.prompt), options.sample);
  const std::string sample = vocabulary.decode(written);
  std::printf("%s\n", sample.c_str());
  std::ofstream(options.run_folder / "samples.txt") << sample << '\n';
  std::fprintf(stderr, "log, loss curve, samples and checkpoint are in %s\n", options.run_folder.c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (const int code = parse(argc, argv, options); code >= 0) return code;
  std::signal(SIGINT, [](int) { interrupted = true; });
  try {
    return run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "train_gpt: %s\n", error.what());
    return 1;
  }
}
