// SPDX-License-Identifier: MIT
// What train_gpt can be told, and how it is told.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <plinth/generate/generate.hpp>
#include <plinth/models/config.hpp>
#include <plinth/train/trainer.hpp>

/// The name of each option that has a value, given or not, and the value.
using ChosenOptions = std::vector<std::pair<std::string, std::string>>;

struct Options {
  std::string device = "cpu";     // or "cuda"
  int gpu = 0;                    // which one, on cuda
  std::string dtype = "float32";  // or, on cuda, "bf16"
  std::vector<std::string> data;
  std::string run_folder = "runs/train_gpt";
  std::int64_t save_every = 500;  // steps; 0: only when stopped
  bool resume = false;
  // In the same time a smaller model in smaller steps learns more than one of 128 channels does.
  plinth::TransformerConfig model = plinth::llama_shape(
      {.vocabulary = 256, .context = 128, .hidden = 64, .layers = 4, .heads = 2, .feed_forward = 192});
  plinth::TrainerOptions training = {.steps = 7000,
                                     .batch = 4,
                                     .learning_rate = 8e-3,
                                     .final_learning_rate = 1e-4,
                                     .warmup_steps = 50,
                                     .adamw = {.beta1 = 0.9, .beta2 = 0.98, .epsilon = 1e-8, .weight_decay = 0.1}};
  std::string prompt = "template<typename ";
  plinth::GenerateOptions sample = {.length = 600, .sampling = {.temperature = 0.7, .top_k = 40}};
  ChosenOptions chosen;  // all of these, for the report
};

/// Reads the command line into the options. Returns nothing to go on, else the exit code: 0 after --help and
/// --version, 2 after a message about wrong usage.
std::optional<int> parse_options(int argc, char** argv, Options& options);
