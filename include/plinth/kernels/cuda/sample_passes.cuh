// SPDX-License-Identifier: MIT
// Tokens drawn from long rows of logits: a block takes a slice of a row, and the row goes by in passes. Each finds by
// itself what the sums of the pass before it mean, so that no block waits for another.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <plinth/kernels/cuda/launch.cuh>
#include <plinth/kernels/cuda/sample_row.cuh>
#include <plinth/kernels/cuda/scratch.cuh>
#include <plinth/tensor/random.hpp>

namespace plinth::cuda {

/// Rows of logits and what is made of them.
template <class T>
struct SampledRows {
  int columns;
  bool aligned;
  SampleSettings settings;
  RandomStream stream;
  const T* logits;
  std::int32_t *drawn, *tokens;

  template <class Team>
  __device__ SampleRow<Team, T> row(std::int64_t r) const {
    return {logits + r * columns, columns, aligned, settings};
  }
  __device__ std::uint32_t word(std::int64_t r) const { return stream.word(static_cast<std::uint32_t>(drawn[r]), 0); }
  __device__ void write(std::int64_t r, int token) const {
    tokens[r] = token;
    ++drawn[r];
  }
};

/// What a pass sums up in each slice of a row: the largest place; by four bits of the order, the weights of tokens that
/// have the wanted order above them; the weights of tokens of the wanted order; or nothing, for the token is known.
struct SamplePass {
  enum What { none, largest, orders, equals, token } what;
  Cut cut = Cut::by_count;
  int shift = 0;  // where the four bits are
};

/// What the passes have found of a row.
struct SampleState {
  std::uint64_t best, last, rest;  // places of the largest logit and of the last token left; what sums have yet to pass
  std::uint32_t order;             // the upper bits of the wanted order
};

/// A block, and the slice of a row that it takes: as much as its threads load at once.
struct SliceTeam : BlockTeamOf<256> {
  static constexpr int tokens = size * 16, parts = 16;  // of a slice; its sums
  static constexpr std::size_t shared_bytes = size * sizeof(std::uint64_t);

  /// All sums, of which each member has one term, of number member % parts; in shared memory, behind a barrier.
  __device__ static const std::uint64_t* add_up(std::uint64_t term) {
    auto* const terms = shared_memory<std::uint64_t>();
    block_barrier();  // what was there has been read
    terms[member()] = term;
    block_barrier();
    if (member() < parts)
      for (int i = parts; i < size; i += parts) terms[member()] += terms[i + member()];
    block_barrier();
    return terms;
  }
  /// The same where each member has a term of every sum: half a warp adds them up first.
  __device__ static const std::uint64_t* add_up(std::uint64_t (&terms)[parts]) {
    for_constants<4>([&](auto step) {
      constexpr int distance = 8 >> step;
      const bool upper = WarpTeam::member() & distance;
      for_constants<distance>([&](auto i) {  // a lane keeps half of its sums, and gives the others away
        const std::uint64_t low = terms[i], high = terms[i + distance];
        terms[i] = (upper ? high : low) + shuffle_xor(upper ? low : high, distance);
      });
    });
    return add_up(terms[0]);
  }
};

/// Finds what `before` means for row r, whose sums are (parts, slices).
template <class T>
__device__ void settle(const SampledRows<T>& all, std::int64_t r, int slices, const SamplePass& before,
                       const std::uint64_t* sums, SampleRow<SliceTeam, T>& row, SampleState& state) {
  if (before.what == SamplePass::largest) {
    state.best = reduce_row<SliceTeam>(slices, std::uint64_t{0}, Max(), [&](std::int64_t s) { return sums[s]; });
    state.last = all.settings.top_k == 1 ? state.best : 0;
  }
  row.top = Order<T>::number(static_cast<std::uint32_t>(state.best >> 32));
  row.last = state.last;
  row.begin(before.cut);
  if (before.what == SamplePass::orders) {
    constexpr int parts_of_all = SliceTeam::parts, members = SliceTeam::size / parts_of_all;  // that add up a sum
    const int own = SliceTeam::member() % parts_of_all;
    std::uint64_t term = 0;
    for (int s = SliceTeam::member() / parts_of_all; s < slices; s += members) term += sums[own * slices + s];
    const std::uint64_t* const parts = SliceTeam::add_up(term);
    if (before.shift == Order<T>::bits - 4) {  // the first of the cut
      std::uint64_t sum = 0;
      for_constants<SliceTeam::parts>([&](auto i) { sum += parts[i]; });
      state.rest = row.target(before.cut, sum, all.word(r));
    }
    int part = 0;
    for_constants<SliceTeam::parts - 1>([&](auto i) {
      if (part < i || state.rest < parts[i]) return;
      state.rest -= parts[i];
      ++part;
    });
    state.order = state.order * SliceTeam::parts + static_cast<unsigned>(SliceTeam::parts - 1 - part);
  }
  if (before.what == SamplePass::equals) {
    int s = 0;
    for (; s < slices - 1 && state.rest >= sums[s]; ++s) state.rest -= sums[s];
    const int begin = s * SliceTeam::tokens, end = std::min(begin + SliceTeam::tokens, all.columns);
    row.last = state.last = row.find(state.order, begin, end, state.rest);
    state.order = 0;
  }
}

/// Sums up slice `slice` of a row.
template <class T>
__device__ void sum_up(const SampleRow<SliceTeam, T>& row, const SampleState& state, const SamplePass& pass, int slice,
                       int slices, std::uint64_t* to) {
  const int begin = slice * SliceTeam::tokens, end = std::min(begin + SliceTeam::tokens, row.columns);
  std::uint64_t terms[SliceTeam::parts] = {}, sum = 0;
  if (pass.what == SamplePass::largest) {
    row.each(begin, end, [&](float x, int id) { sum = std::max(sum, row.place(Order<T>::of(x), id)); });
    sum = SliceTeam::reduce(sum, Max());
  } else {
    const bool whole = pass.what == SamplePass::equals;
    row.each(begin, end, [&](float x, int id) {
      const std::uint32_t order = Order<T>::of(x), bits = order >> pass.shift;
      if ((whole ? order : bits >> 4) != state.order || row.place(order, id) < state.last) return;
      const int part = whole ? 0 : SliceTeam::parts - 1 - static_cast<int>(bits % SliceTeam::parts);
      const std::uint64_t weight = row.weight(x);
      for_constants<SliceTeam::parts>([&](auto i) { terms[i] += part == i ? weight : 0; });
    });
    sum = SliceTeam::add_up(terms)[SliceTeam::member() % SliceTeam::parts];
  }
  if (SliceTeam::member() < SliceTeam::parts) to[SliceTeam::member() * slices + slice] = sum;
}

template <class T>
__global__ void __launch_bounds__(SliceTeam::block)
    sample_slices(SampledRows<T> all, int slices, SamplePass before, SamplePass pass, const SampleState* old_states,
                  const std::uint64_t* old_sums, SampleState* states, std::uint64_t* sums) {
  const bool last = pass.what == SamplePass::token;
  const int slice = last ? 0 : static_cast<int>(blockIdx.x) % slices;
  const std::int64_t r = last ? blockIdx.x : blockIdx.x / static_cast<unsigned>(slices);
  auto row = all.template row<SliceTeam>(r);
  SampleState state = {};
  if (before.what != SamplePass::none) {
    state = old_states[r];
    settle(all, r, slices, before, old_sums + r * slices * SliceTeam::parts, row, state);
  }
  const bool first = SliceTeam::member() == 0;
  if (last) {
    const bool found = Order<T>::finite(static_cast<std::uint32_t>(state.best >> 32));
    if (first) all.write(r, found ? row.id_of(state.last) : -1);
    return;
  }
  if (first && slice == 0) states[r] = state;
  row.begin(pass.cut);
  sum_up(row, state, pass, slice, slices, sums + r * slices * SliceTeam::parts);
}

/// Queues the passes that draw a token from each row.
template <class T>
void sample_in_passes(queue<Cuda>& queue, std::int64_t rows, const SampledRows<T>& all) {
  std::vector<SamplePass> passes = {{SamplePass::none}, {SamplePass::largest}};
  for (int c = 0; c < cuts; ++c) {
    const auto cut = static_cast<Cut>(c);
    if (all.settings.top_k == 1 || !all.settings.has(cut, all.columns)) continue;
    for (int shift = Order<T>::bits - 4; shift >= 0; shift -= 4) passes.push_back({SamplePass::orders, cut, shift});
    passes.push_back({SamplePass::equals, cut});
  }
  passes.push_back({SamplePass::token});
  const auto slices = static_cast<int>(blocks_for(all.columns, SliceTeam::tokens));
  const std::int64_t sums_of_pass = rows * slices * SliceTeam::parts;
  const Scratch<SampleState> states(2 * rows);
  const Scratch<std::uint64_t> sums(2 * sums_of_pass);
  for (std::size_t i = 1; i < passes.size(); ++i) {
    const auto to = static_cast<std::int64_t>(i % 2), from = 1 - to;
    launch(queue, i + 1 == passes.size() ? rows : rows * slices, SliceTeam::block, SliceTeam::shared_bytes,
           sample_slices<T>, all, slices, passes[i - 1], passes[i], states.data() + from * rows,
           sums.data() + from * sums_of_pass, states.data() + to * rows, sums.data() + to * sums_of_pass);
  }
}

}  // namespace plinth::cuda
