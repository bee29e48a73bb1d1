// SPDX-License-Identifier: MIT
// Lists of arrays for kernels that take them: one array cut into pieces of many lengths.
#pragma once

#include <cstdint>
#include <vector>

#include <plinth/kernels/arguments.hpp>

/// Piece k of [0, n) begins here: pieces grow, and the first ones may be empty.
inline std::int64_t piece_begin(std::int64_t n, std::int64_t k, std::int64_t count) {
  return n * k * k / (count * count);
}

template <class T>
std::vector<plinth::DenseArray<T>> pieces(const plinth::DenseArray<T>& x, std::int64_t count) {
  std::vector<plinth::DenseArray<T>> all;
  for (std::int64_t k = 0; k < count; ++k) {
    const std::int64_t begin = piece_begin(x.count, k, count);
    all.push_back({piece_begin(x.count, k + 1, count) - begin, x.data + begin});
  }
  return all;
}

/// The pieces of a parameter; each has a group of its own.
template <class T>
std::vector<plinth::TrainedParameter<T>> pieces(const plinth::TrainedParameter<T>& whole, std::int64_t count) {
  std::vector<plinth::TrainedParameter<T>> all;
  for (std::int64_t k = 0; k < count; ++k) {
    const std::int64_t begin = piece_begin(whole.count, k, count);
    plinth::TrainedParameter<T> piece = whole;
    piece.count = piece_begin(whole.count, k + 1, count) - begin;
    piece.group.rate_factor += 0.01 * static_cast<double>(k);
    piece.group.weight_decay *= 1 + 0.01 * static_cast<double>(k);
    piece.gradient += begin;
    piece.weight += begin;
    for (auto* state : {&piece.first, &piece.second, &piece.master})
      if (*state) *state += begin;
    all.push_back(piece);
  }
  return all;
}
