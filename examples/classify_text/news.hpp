// SPDX-License-Identifier: MIT
// Sentences of financial news, written from templates, with the sentiment that a reader would give them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include <plinth/tensor/random.hpp>

inline const std::array<const char*, 3> sentiments = {"negative", "neutral", "positive"};

struct Sentence {
  std::string text;
  std::int32_t sentiment = 0;  // place in `sentiments`
};

/// Good or bad news follows from three things at once: what moves, in which direction, and whether it did. Each half of
/// the quantities is good to have, each half of the verbs goes up, and no word alone tells anything of the sum.
class NewsWriter {
 public:
  /// Half of the sentences are neutral. Those for training never hold a quantity and a verb of a held-out pair, a
  /// quarter of all pairs; what the others report is always such a pair.
  NewsWriter(const plinth::RandomStream& stream, bool held_out) : stream_(stream), held_out_(held_out) {}

  Sentence write() {
    do {
      quantity_ = below(8), other_quantity_ = below(8);
      verb_ = below(8), other_verb_ = below(8);
    } while (held_out_ ? !unseen(quantity_, verb_)
                       : unseen(quantity_, verb_) || unseen(quantity_, other_verb_) || unseen(other_quantity_, verb_) ||
                             unseen(other_quantity_, other_verb_));
    const bool neutral = below(2) == 0, denied = below(4) == 0;
    const bool good = ((quantity_ < goods) == (verb_ < ups)) != denied;
    const std::string report = choose(neutral ? undecided : denied ? denying : affirming);
    // Drawn one by one: in which order the operands of + are computed is up to the compiler.
    const std::string closing = choose(closings), opening = choose(openings);
    return {fill(opening + ' ' + report + ' ' + closing), neutral ? 1 : good ? 2 : 0};
  }

 private:
  using Lines = std::vector<const char*>;
  inline static const Lines affirming = {"QUANTITY at COMPANY PAST", "COMPANY said QUANTITY PAST",
                                         "QUANTITY PAST in MONTH"};
  inline static const Lines denying = {"QUANTITY at COMPANY did not BASE", "COMPANY denied that QUANTITY PAST",
                                       "QUANTITY failed to BASE in MONTH"};
  inline static const Lines undecided = {"COMPANY did not say whether QUANTITY PAST",
                                         "QUANTITY at COMPANY neither PAST nor OTHER_PAST",
                                         "COMPANY will say in MONTH whether QUANTITY PAST"};
  inline static const Lines openings = {"", "", "", "unlike COMPANY where OTHER_QUANTITY OTHER_PAST"};
  inline static const Lines closings = {"", "", "", "although analysts had expected them to OTHER_BASE"};
  inline static const Lines quantities = {"profits",   "sales", "orders", "margins",
                                          "dividends", "debts", "losses", "layoffs"};
  inline static const Lines past = {"rose", "grew", "surged", "jumped", "fell", "shrank", "slid", "plunged"};
  inline static const Lines base = {"rise", "grow", "surge", "jump", "fall", "shrink", "slide", "plunge"};
  inline static const Lines companies = {"nordwind", "acme", "helvetia", "orion", "lumen", "tessera"};
  inline static const Lines months = {"january", "march", "may", "july", "september", "november"};

  static constexpr std::size_t goods = 5, ups = 4;  // the first of the quantities and verbs

  static bool unseen(std::size_t quantity, std::size_t verb) { return (quantity + verb) % 4 == 0; }

  /// The template with its words in capitals replaced.
  std::string fill(const std::string& line) {
    std::istringstream words(line);
    std::string text;
    for (std::string word; words >> word;) {
      if (!text.empty()) text += ' ';
      text += replaced(word);
    }
    return text;
  }
  std::string replaced(const std::string& word) {
    if (word == "QUANTITY") return quantities[quantity_];
    if (word == "PAST") return past[verb_];
    if (word == "BASE") return base[verb_];
    if (word == "OTHER_QUANTITY") return quantities[other_quantity_];
    if (word == "OTHER_PAST") return past[other_verb_];
    if (word == "OTHER_BASE") return base[other_verb_];
    if (word == "COMPANY") return choose(companies);
    if (word == "MONTH") return choose(months);
    return word;
  }

  std::size_t below(std::size_t n) { return stream_.word(next_++, 0) % n; }
  std::string choose(const Lines& lines) { return lines[below(lines.size())]; }

  plinth::RandomStream stream_;
  bool held_out_;
  std::uint64_t next_ = 0;
  std::size_t quantity_ = 0, verb_ = 0, other_quantity_ = 0, other_verb_ = 0;
};
