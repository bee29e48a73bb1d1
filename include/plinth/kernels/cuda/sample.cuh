// SPDX-License-Identifier: MIT
// The next token, drawn on the device: what sample() draws from the same logits and the same random word, up to the
// rounding of probabilities, which are floats here. Nothing is sorted: the token at which the sum of weights in sorted
// order passes a target is found by some bits of its logit after the others. Weights are integers, so that sums depend
// on no order.
#pragma once

#include <cstdint>
#include <type_traits>

#include <plinth/kernels/arguments.hpp>
#include <plinth/kernels/cuda/launch.cuh>
#include <plinth/kernels/cuda/sample_passes.cuh>
#include <plinth/kernels/cuda/sample_row.cuh>

namespace plinth::cuda {

/// A row of up to short_row tokens with each warp.
template <class T>
__global__ void __launch_bounds__(WarpTeam::block) sample_rows(std::int64_t rows, SampledRows<T> all) {
  const std::int64_t r = WarpTeam::row();
  if (r >= rows) return;
  const bool first = WarpTeam::member() == 0;
  const int token = all.template row<WarpTeam>(r).draw(first ? all.word(r) : 0);
  if (first) all.write(r, token);
}

struct CudaSample {
  /// tokens[r] = what sample() draws from row r of logits (rows, columns) by uniform number drawn[r] of the stream,
  /// with all options but the repetition penalty; -1 where the largest logit is not finite. drawn[r] is raised by one.
  /// Throws ArgumentError for more than 2^22 columns.
  template <class T>
    requires(std::is_same_v<accumulator_t<T>, float>)
  static void sample(queue<Cuda>& queue, std::int64_t rows, std::int64_t columns, const SamplingOptions& options,
                     const RandomStream& stream, const T* logits, std::int32_t* drawn, std::int32_t* tokens) {
    detail::require<ArgumentError>(columns <= 1 << 22, "sample: ", columns,
                                   " tokens, where weights are summed of 2^22");
    const bool aligned =
        reinterpret_cast<std::uintptr_t>(logits) % 16 == 0 && columns * std::int64_t{sizeof(T)} % 16 == 0;
    const SampledRows<T> all{
        static_cast<int>(columns), aligned, SampleSettings(options), stream, logits, drawn, tokens};
    if (columns > short_row) return sample_in_passes(queue, rows, all);
    launch(queue, blocks_for(rows, WarpTeam::rows_per_block), WarpTeam::block, 0, sample_rows<T>, rows, all);
  }
};

}  // namespace plinth::cuda
