// SPDX-License-Identifier: MIT
// The one file of the app that includes the whole library.
#include "completer.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include <plinth/plinth.hpp>

namespace {

constexpr const char* proverbs =
    "\na bird in the hand is worth two in the bush"
    "\na chain is only as strong as its weakest link"
    "\na journey of a thousand miles begins with a single step"
    "\na picture is worth a thousand words"
    "\na rolling stone gathers no moss"
    "\na stitch in time saves nine"
    "\na watched pot never boils"
    "\nactions speak louder than words"
    "\nall that glitters is not gold"
    "\nan apple a day keeps the doctor away"
    "\nbetter late than never"
    "\nbirds of a feather flock together"
    "\ndo not count your chickens before they hatch"
    "\ndo not put all your eggs in one basket"
    "\nearly to bed and early to rise makes a man healthy, wealthy and wise"
    "\nevery cloud has a silver lining"
    "\nfortune favours the bold"
    "\nhaste makes waste"
    "\nif it is not broken, do not fix it"
    "\nlook before you leap"
    "\nmany hands make light work"
    "\nnecessity is the mother of invention"
    "\npractice makes perfect"
    "\nrome was not built in a day"
    "\nslow and steady wins the race"
    "\nstill waters run deep"
    "\nthe early bird catches the worm"
    "\nthe pen is mightier than the sword"
    "\ntoo many cooks spoil the broth"
    "\nwhen in rome, do as the romans do"
    "\nwhere there is smoke there is fire"
    "\nyou cannot judge a book by its cover\n";

/// Longer than the longest proverb.
constexpr std::int64_t context = 80;

}  // namespace

struct ProverbCompleter::Model {
  plinth::CharacterVocabulary vocabulary{proverbs};
  plinth::Decoder<float> decoder{plinth::llama_shape(
      {.vocabulary = vocabulary.size(), .context = context, .hidden = 64, .layers = 1, .heads = 4})};

  /// Learns which character follows which: a row of the batch for each proverb, targets of -1 where there is nothing.
  Model() {
    const auto ids = vocabulary.encode(proverbs);
    std::vector<std::int32_t> inputs, targets;
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      if (ids[i] == ids[0]) fill_row(inputs, 0), fill_row(targets, -1);  // a line break
      inputs.push_back(ids[i]);
      targets.push_back(ids[i + 1]);
    }
    fill_row(inputs, 0), fill_row(targets, -1);
    const auto rows = static_cast<std::int64_t>(inputs.size()) / context;
    const plinth::Tensor<std::int32_t> x({rows, context}, inputs), y({rows, context}, targets);
    plinth::Trainer trainer(decoder, {.steps = 100, .learning_rate = 1e-2, .warmup_steps = 10});
    trainer.fit([&](const plinth::MicroStep&) { return decoder.loss(x, y); });
  }

  /// Fills the row that is begun.
  static void fill_row(std::vector<std::int32_t>& ids, std::int32_t filling) {
    while (ids.size() % context != 0) ids.push_back(filling);
  }
};

ProverbCompleter::ProverbCompleter() : model_(std::make_unique<const Model>()) {}
ProverbCompleter::~ProverbCompleter() = default;

std::string ProverbCompleter::complete(const std::string& beginning) const {
  const auto prompt = model_->vocabulary.encode('\n' + beginning);
  const auto line_break = prompt.front();
  const auto written = plinth::generate(model_->decoder, prompt,
                                        {.length = 70, .sampling = {.temperature = 0}, .stop = [=](const auto& ids) {
                                           return ids.back() == line_break;
                                         }});
  const std::string line = model_->vocabulary.decode(written).substr(1);
  return line.substr(0, line.find('\n'));
}
