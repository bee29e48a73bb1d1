// SPDX-License-Identifier: MIT
// A byte n-gram model, interpolated by Witten and Bell's rule: what a language model must beat before it is worth its
// cost.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <vector>

#include <plinth/tensor/error.hpp>

/// A model of order n predicts a byte c from the n bytes h before it:
///   P_n(c | h) = (count(h c) + distinct(h) P_{n-1}(c | h')) / (count(h) + distinct(h)),
/// where h' is h without its first byte, count(h) says how often h was followed by any byte and distinct(h) by how many
/// different ones; below P_0, which has no context, stands 1/256. Where h is unseen, or shorter than n at the start of
/// a text, P_{n-1} is taken.  Witten & Bell 1991, method C; Chen & Goodman 1998, section 2.4.
class ByteNgram {
 public:
  static constexpr int max_order = 6;

  /// Learns from the text. Throws ArgumentError for an order outside [0, 6] and a text of 2^32 bytes or more.
  ByteNgram(int order, std::string_view text) : order_(order), slots_(1 << 12) {
    plinth::detail::require<plinth::ArgumentError>(order >= 0 && order <= max_order, "n-gram: order ", order,
                                                   " is outside [0, ", max_order, "]");
    plinth::detail::require<plinth::ArgumentError>(text.size() >> 32 == 0, "n-gram: the text has ", text.size(),
                                                   " bytes, more than 2^32 - 1");
    std::uint64_t history = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const auto byte = static_cast<unsigned char>(text[i]);
      for (int length = 0; length <= order && static_cast<std::size_t>(length) <= i; ++length)
        count(key(history, length), key(history << 8 | byte, length + 1));
      history = history << 8 | byte;
    }
  }

  /// The probability that `byte` follows the history, of which the last `order` bytes matter.
  double probability(std::string_view history, char byte) const {
    history = history.substr(history.size() - std::min(history.size(), static_cast<std::size_t>(order_)));
    std::uint64_t packed = 0;
    for (const char before : history) packed = packed << 8 | static_cast<unsigned char>(before);
    return probability(packed, static_cast<int>(history.size()), static_cast<unsigned char>(byte));
  }

  /// Cross-entropy of the text under the model, in bits per byte; 0 for an empty text.
  double bits_per_byte(std::string_view text) const {
    double bits = 0;
    std::uint64_t history = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const auto byte = static_cast<unsigned char>(text[i]);
      const auto known = static_cast<int>(std::min(i, static_cast<std::size_t>(order_)));
      bits -= std::log2(probability(history, known, byte));
      history = history << 8 | byte;
    }
    return text.empty() ? 0 : bits / static_cast<double>(text.size());
  }

 private:
  /// One string: how often it occurred, how often a byte followed it, how many different ones did.
  struct Slot {
    std::uint64_t key = 0;  // 0: free
    std::uint32_t occurred = 0, followed = 0, distinct = 0;
  };

  /// The last `length` bytes of the history and the length itself in one number, never 0.
  static std::uint64_t key(std::uint64_t history, int length) {
    return (history & ((std::uint64_t{1} << (8 * length)) - 1)) | std::uint64_t(length + 1) << 56;
  }

  double probability(std::uint64_t history, int known, unsigned char byte) const {
    double p = 1.0 / 256;
    for (int length = 0; length <= known; ++length) {
      const Slot& context = slots_[find(key(history, length))];
      if (context.followed == 0) break;  // longer ones have not been seen either
      const Slot& gram = slots_[find(key(history << 8 | byte, length + 1))];
      p = (gram.occurred + context.distinct * p) / (double(context.followed) + context.distinct);
    }
    return p;
  }

  /// Where the key is, or the free slot where it belongs: linear probing from a multiplicative hash.
  std::size_t find(std::uint64_t wanted) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t i = wanted * 0x9e3779b97f4a7c15u >> (64 - std::countr_zero(slots_.size()));
    while (slots_[i].key != wanted && slots_[i].key != 0) i = (i + 1) & mask;
    return i;
  }

  Slot& insert(std::uint64_t wanted) {
    std::size_t i = find(wanted);
    if (slots_[i].key == 0) {
      if (++used_ > slots_.size() / 4 * 3) {
        grow();
        i = find(wanted);
      }
      slots_[i].key = wanted;
    }
    return slots_[i];
  }

  void grow() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    for (const Slot& slot : old)
      if (slot.key != 0) slots_[find(slot.key)] = slot;
  }

  void count(std::uint64_t context, std::uint64_t gram) {
    const bool fresh = insert(gram).occurred++ == 0;
    Slot& before = insert(context);
    ++before.followed;
    before.distinct += fresh;
  }

  int order_;
  std::size_t used_ = 0;
  std::vector<Slot> slots_;
};
