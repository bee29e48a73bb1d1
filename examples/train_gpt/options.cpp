// SPDX-License-Identifier: MIT
// The command line of train_gpt; apart from main.cpp, since CLI11 takes as long to compile as half a GPT.
#include "options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include <plinth/tensor/error.hpp>
#include <plinth/version.hpp>

namespace {

constexpr double many = 1e8;

/// A number from low to high, both allowed; CLI::Range would let "nan" through.
CLI::Validator between(double low, double high) {
  const auto check = [low, high](const std::string& text) -> std::string {
    double value = 0;
    if (CLI::detail::lexical_cast(text, value) && value >= low && value <= high) return "";
    return plinth::detail::join(text, " is not a number from ", low, " to ", high);
  };
  return CLI::Validator(check, "");
}

/// A page of help that shows defaults in brackets, without the ranges, which the message about a wrong value names.
struct Help : CLI::Formatter {
  std::string make_option_opts(const CLI::Option* option) const override {
    if (option->get_type_size() == 0) return "";  // a flag
    const std::string value = option->get_default_str();
    return ' ' + option->get_type_name() + (value.empty() ? "" : " [" + value + ']');
  }
};

void add_data(CLI::App& app, Options& options) {
  app.add_option("--data", options.data, "Files or folders to learn from; without it Eigen's C++ headers")
      ->type_name("FILE...")
      ->default_str("");
  app.add_option("--run-folder", options.run_folder, "Where report, log, samples and weights go")->type_name("FOLDER");
}

void add_device(CLI::App& app, Options& options) {
  const auto check = [](const std::string& text) -> std::string {
    const std::string number = text.substr(std::min<std::size_t>(text.size(), 5));
    const bool gpu = text == "cuda:" + number && !number.empty() && number.size() < 4 &&
                     number.find_first_not_of("0123456789") == std::string::npos;
    return gpu || text == "cpu" || text == "cuda" ? "" : text + " is neither cpu nor cuda nor cuda:NUMBER";
  };
  app.add_option("--device", options.device, "Where it computes: cpu, cuda, cuda:1 ...; cuda needs train_gpt_cuda")
      ->check(CLI::Validator(check, ""));
  app.add_option("--dtype", options.dtype, "What it computes in; bf16 is for cuda")
      ->check(CLI::IsMember({"float32", "bf16"}));
}

void add_checkpoints(CLI::App& app, Options& options) {
  app.add_option("--save-every", options.save_every, "Steps from checkpoint to checkpoint; 0: only at Ctrl-C")
      ->check(between(0, many));
  app.add_flag("--resume", options.resume, "Go on from the last checkpoint in --run-folder, given the same options");
}

void add_model(CLI::App& app, plinth::TransformerConfig& model) {
  const auto group = [](CLI::Option* option) { option->group("Model"); };
  group(app.add_option("--context", model.context, "Bytes the model sees at once")->check(between(2, 65536)));
  group(app.add_option("--hidden", model.hidden, "Channels")->check(between(2, 16384)));
  group(app.add_option("--feed-forward", model.feed_forward, "Inner channels")->check(between(1, 65536)));
  group(app.add_option("--layers", model.layers, "Blocks")->check(between(1, 256)));
  group(app.add_option("--heads", model.heads, "Attention heads, a divisor of --hidden")->check(between(1, 256)));
  group(app.add_option("--dropout", model.dropout, "Probability of dropping a channel")->check(between(0, 0.95)));
}

void add_training(CLI::App& app, plinth::TrainerOptions& training) {
  const auto group = [](CLI::Option* option) { option->group("Training"); };
  group(app.add_option("--steps", training.steps, "Optimiser steps")->check(between(1, many)));
  group(app.add_option("--batch", training.batch, "Windows of --context bytes at once")->check(between(1, 65536)));
  group(app.add_option("--accumulation", training.accumulation, "Batches per step")->check(between(1, 4096)));
  group(
      app.add_option("--learning-rate", training.learning_rate, "Peak of the cosine schedule")->check(between(0, 10)));
  group(app.add_option("--final-learning-rate", training.final_learning_rate, "End of it")->check(between(0, 10)));
  group(app.add_option("--warmup", training.warmup_steps, "Steps of linear warm-up, at most --steps")
            ->check(between(0, many)));
  group(app.add_option("--beta2", training.adamw.beta2, "AdamW's memory of squared gradients")
            ->check(between(0, 0.999999)));
  group(app.add_option("--weight-decay", training.adamw.weight_decay, "AdamW's, per step and learning rate")
            ->check(between(0, 100)));
  group(app.add_option("--seed", training.seed, "Seed of weights, batches, dropout and samples")
            ->check(between(0, 1e18)));
}

void add_sample(CLI::App& app, Options& options) {
  const auto group = [](CLI::Option* option) { option->group("Sample"); };
  group(app.add_option("--prompt", options.prompt, "What the sample starts with, at least one byte"));
  group(app.add_option("--sample-length", options.sample.length, "Bytes to write")->check(between(0, 1000000)));
  auto& sampling = options.sample.sampling;
  group(app.add_option("--temperature", sampling.temperature, "0 takes the likeliest byte")->check(between(0, 10)));
  group(app.add_option("--top-k", sampling.top_k, "Choose among so many of the likeliest bytes; 0: all")
            ->check(between(0, 256)));
}

/// "cuda:1" is the device "cuda" and its GPU 1.
void split_device(Options& options) {
  if (const auto colon = options.device.find(':'); colon != std::string::npos) {
    options.gpu = std::stoi(options.device.substr(colon + 1));
    options.device.resize(colon);
  }
}

/// Refuses options that fit one by one but not together.
void check_together(const Options& options) {
  const auto refuse_if = [](bool wrong, const std::string& text) {
    if (wrong) throw CLI::ValidationError(text, CLI::ExitCodes::ValidationError);
  };
  const auto hidden = options.model.hidden, heads = options.model.heads;
  const std::string sizes = "--hidden " + std::to_string(hidden) + " and --heads " + std::to_string(heads) + ": ";
  refuse_if(hidden % heads != 0, sizes + "the heads must divide the channels");
  refuse_if(hidden / heads % 2 != 0,
            sizes + "rotary positions need an even number of channels per head, not " + std::to_string(hidden / heads));
  refuse_if(options.dtype == "bf16" && options.device != "cuda", "--dtype bf16 needs --device cuda");
  refuse_if(options.prompt.empty(), "--prompt is empty: the model needs a byte to start from");
  refuse_if(options.run_folder.empty(), "--run-folder is empty: name a folder");
}

ChosenOptions chosen(const CLI::App& app) {
  ChosenOptions result;
  for (const CLI::Option* option : app.get_options()) {
    const bool given = option->count() > 0;
    const std::string value = given ? CLI::detail::join(option->results(), " ") : option->get_default_str();
    if (!value.empty()) result.emplace_back(option->get_name(), value);
  }
  return result;
}

}  // namespace

std::optional<int> parse_options(int argc, char** argv, Options& options) {
  CLI::App app("Trains a small GPT on the bytes of a text, compares it with n-gram models and lets it write.",
               "train_gpt");
  app.footer(
      "Example: train_gpt --data book.txt notes/ --steps 3000 --prompt \"Once upon\"\n"
      "Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C after saving.");
  app.formatter(std::make_shared<Help>());
  app.option_defaults()->always_capture_default();
  constexpr int major = PLINTH_VERSION / 10000, minor = PLINTH_VERSION / 100 % 100, patch = PLINTH_VERSION % 100;
  app.set_version_flag(
      "--version", "train_gpt " + std::to_string(major) + '.' + std::to_string(minor) + '.' + std::to_string(patch));
  add_data(app, options);
  add_device(app, options);
  add_checkpoints(app, options);
  add_model(app, options.model);
  add_training(app, options.training);
  add_sample(app, options);
  try {
    app.parse(argc, argv);
    split_device(options);
    check_together(options);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  options.training.warmup_steps = std::min(options.training.warmup_steps, options.training.steps);
  options.chosen = chosen(app);
  options.model.seed = options.sample.seed = options.training.seed;
  return std::nullopt;
}
