// SPDX-License-Identifier: MIT
// Pairs of short texts as tensors, for a model that turns the first into the second.
// B batch, S source, T target.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <plinth/attention/mask.hpp>

/// A token is an ASCII character, and ASCII has characters for what is around a text: NUL, start and end of text.
inline constexpr std::int32_t padding = 0, text_start = 2, text_end = 3;
inline constexpr std::int64_t ascii_size = 128;

/// Rows of tokens (B, longest), shorter ones filled up.
inline plinth::Tensor<std::int32_t> filled(const std::vector<std::vector<std::int32_t>>& rows, std::int32_t filling) {
  std::size_t longest = 0;
  for (const auto& row : rows) longest = std::max(longest, row.size());
  std::vector<std::int32_t> ids;
  for (const auto& row : rows) {
    ids.insert(ids.end(), row.begin(), row.end());
    ids.insert(ids.end(), longest - row.size(), filling);
  }
  return {{static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(longest)}, ids};
}

/// What an encoder reads.
struct Sources {
  plinth::Tensor<std::int32_t> ids;  // (B, S)
  plinth::AttentionMask<float> mask;

  explicit Sources(const std::vector<std::string>& texts) {
    std::vector<std::vector<std::int32_t>> rows;
    std::vector<std::int64_t> lengths;
    for (const std::string& text : texts) {
      rows.emplace_back(text.begin(), text.end());
      lengths.push_back(static_cast<std::int64_t>(text.size()));
    }
    ids = filled(rows, padding);
    mask = {.rows = plinth::right_padding(lengths)};
  }
};

/// What a decoder reads while it learns, a text behind its start, and what it should say at each place, the text and
/// its end: -1, no target, behind that.
struct Targets {
  plinth::Tensor<std::int32_t> inputs, wanted;  // (B, T)

  explicit Targets(const std::vector<std::string>& texts) {
    std::vector<std::vector<std::int32_t>> in, out;
    for (const std::string& text : texts) {
      out.emplace_back(text.begin(), text.end()).push_back(text_end);
      in.emplace_back(text.begin(), text.end());
      in.back().insert(in.back().begin(), text_start);
    }
    inputs = filled(in, padding);
    wanted = filled(out, -1);
  }
};
