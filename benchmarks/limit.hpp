// SPDX-License-Identifier: MIT
// What every benchmark of a CPU kernel needs: the processor's limit in fused multiply-adds, rates and medians.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

#include <plinth/kernels/cpu/gemm_tile.hpp>
#include <plinth/tensor/queue.hpp>

namespace benchmark {

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

inline double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

/// Fused multiply-adds on registers alone.
struct PeakJob {
  std::int64_t rounds;
  float* sink;

  static constexpr int chains = 12;

  template <plinth::InstructionSet Set>
  [[gnu::always_inline]] inline void run() const {
    spin<plinth::cpu::GemmTile<Set>::bytes>(std::make_integer_sequence<int, chains>{});
  }
  template <int Bytes, int... I>
  [[gnu::always_inline]] inline void spin(std::integer_sequence<int, I...>) const {
    using V = typename plinth::cpu::Vector<float, Bytes>::type;
    V x, y;
    __builtin_memcpy(&x, sink, sizeof x);
    __builtin_memcpy(&y, sink + 16, sizeof y);
    V sum[chains] = {x * float{I}...};
    for (std::int64_t i = 0; i < rounds; ++i) ((sum[I] = sum[I] * x + y), ...);
    ((x += sum[I]), ...);
    __builtin_memcpy(sink, &x, sizeof x);
  }
  static double flops(std::int64_t rounds) {
    const double lanes = static_cast<double>(plinth::cpu::tile_size<float>(plinth::instruction_set()).columns) / 2;
    return 2.0 * chains * lanes * static_cast<double>(rounds);
  }
};

/// GFLOP/s of fused multiply-adds in float, all threads together.
inline double peak(int threads) {
  constexpr std::int64_t rounds = 1000000;
  std::vector<float> sinks(static_cast<std::size_t>(threads) * 64, 1e-3f);
  const double start = now();
  plinth::queue<plinth::Cpu>::current().each_thread(threads, [&](int thread, std::int64_t, std::int64_t) {
    plinth::run_job(plinth::instruction_set(), PeakJob{rounds, sinks.data() + thread * 64});
  });
  return threads * PeakJob::flops(rounds) / (now() - start) * 1e-9;
}

/// GFLOP/s of a workload, and that as a part of the limit measured just before and after it.
struct Sample {
  double rate, share;
};

/// Runs `call`, which does `flops` operations, again and again for some 20 ms.
template <class F>
Sample sample(int threads, double flops, const F& call) {
  call();
  const double before = peak(threads);
  const double start = now();
  std::int64_t calls = 0;
  double seconds = 0;
  do {
    call();
    ++calls;
    seconds = now() - start;
  } while (seconds < 0.02);
  const double rate = flops * static_cast<double>(calls) / seconds * 1e-9;
  return {rate, 2 * rate / (before + peak(threads))};
}

/// The medians of rates and of shares.
inline Sample median(const std::vector<Sample>& samples) {
  std::vector<double> rates, shares;
  for (const Sample& one : samples) rates.push_back(one.rate), shares.push_back(one.share);
  return {median(rates), median(shares)};
}

/// The same numbers in [-0.5, 0.5) in every run.
inline std::vector<float> numbers(std::int64_t count, std::uint32_t seed = 1) {
  std::vector<float> x(static_cast<std::size_t>(count));
  for (float& value : x) value = static_cast<float>((seed = seed * 1664525u + 1013904223u) >> 8) * 0x1p-24f - 0.5f;
  return x;
}

}  // namespace benchmark
