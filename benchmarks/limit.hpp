// SPDX-License-Identifier: MIT
// What the processor can do at most: fused multiply-adds on registers alone, and reading memory.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <utility>
#include <vector>

#include <plinth/kernels/cpu/gemm_tile.hpp>
#include <plinth/tensor/element.hpp>
#include <plinth/tensor/queue.hpp>

namespace benchmark {

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Fused multiply-adds of floats, or of pairs of bfloat16: enough chains to hide their latency.
template <class P>
struct PeakJob {
  std::int64_t rounds;
  float* sink;

  static constexpr int chains(int bytes) { return bytes == 64 ? 24 : 12; }

  template <plinth::InstructionSet Set>
  [[gnu::always_inline]] inline void run() const {
    constexpr int bytes = plinth::cpu::GemmTile<Set>::bytes;
    if constexpr (plinth::cpu::multiplies<Set, P>) spin<bytes>(std::make_integer_sequence<int, chains(bytes)>{});
  }
  template <int Bytes, int... I>
  [[gnu::always_inline]] inline void spin(std::integer_sequence<int, I...>) const {
    using V = typename plinth::cpu::Vector<float, Bytes>::type;
    V x, y;
    __builtin_memcpy(&x, sink, sizeof x);
    __builtin_memcpy(&y, sink + 16, sizeof y);
    V sum[sizeof...(I)] = {x * float{I}...};
    for (std::int64_t i = 0; i < rounds; ++i) (step(x, y, sum[I]), ...);
    ((x += sum[I]), ...);
    __builtin_memcpy(sink, &x, sizeof x);
  }
  template <class V>
  [[gnu::always_inline]] static inline void step(const V& x, const V& y, V& sum) {
    if constexpr (std::same_as<P, float>)
      sum = sum * x + y;
    else
      plinth::cpu::multiply_add(P{0x3f803f80}, reinterpret_cast<const typename plinth::cpu::Vector<P, sizeof(V)>::type&>(x), sum);
  }
};

/// Operations a second of fused multiply-adds over T, all threads together: of bfloat16 where the processor has such an
/// instruction, else of the floats that bfloat16 is computed in.
template <class T>
double peak(int threads) {
  using plinth::cpu::bfloat16_pair;
  constexpr std::int64_t rounds = 500000;
  const plinth::InstructionSet set = plinth::instruction_set();
  const std::int64_t lanes = plinth::cpu::tile_size<float>(set).columns / 2;
  const bool pairs = std::same_as<T, plinth::bfloat16> && plinth::multiplies_bfloat16(set);
  std::vector<float> sinks(static_cast<std::size_t>(threads) * 64, 1e-3f);
  const double start = now();
  plinth::queue<plinth::Cpu>::current().each_thread(threads, [&](int thread, std::int64_t, std::int64_t) {
    float* const sink = sinks.data() + thread * 64;
    pairs ? plinth::run_job(set, PeakJob<bfloat16_pair>{rounds, sink}) : plinth::run_job(set, PeakJob<float>{rounds, sink});
  });
  const std::int64_t chains = PeakJob<float>::chains(static_cast<int>(lanes * 4));
  return static_cast<double>(threads * 2 * chains * lanes * (pairs ? 2 : 1) * rounds) / (now() - start);
}

/// The sum of `count` floats, to read them: in four streams side by side, of which memory yields more than of one.
struct ReadJob {
  const float* x;
  std::int64_t count;
  float* sum;

  template <plinth::InstructionSet Set>
  [[gnu::always_inline]] inline void run() const {
    constexpr int bytes = plinth::cpu::GemmTile<Set>::bytes, lanes = bytes / 4, streams = 4, vectors = 2;
    using V = typename plinth::cpu::Vector<float, bytes>::type;
    V sums[streams][vectors] = {};
    const std::int64_t part = count / streams;
    for (std::int64_t i = 0; i + vectors * lanes <= part; i += vectors * lanes)
      for (int stream = 0; stream < streams; ++stream)
        for (int v = 0; v < vectors; ++v) {
          V next;
          __builtin_memcpy(&next, x + stream * part + i + v * lanes, sizeof next);
          sums[stream][v] += next;
        }
    for (const auto& stream : sums)
      for (const V& one : stream)
        for (int i = 0; i < lanes; ++i) *sum += one[i];
  }
};

/// Bytes a second of reading `count` floats, each thread its share.
inline double read_rate(const float* x, std::int64_t count, int threads) {
  std::vector<float> sums(static_cast<std::size_t>(threads) * 16);
  const double start = now();
  plinth::queue<plinth::Cpu>::current().each_thread(threads, [&](int thread, std::int64_t, std::int64_t) {
    const std::int64_t begin = count * thread / threads, end = count * (thread + 1) / threads;
    plinth::run_job(plinth::instruction_set(), ReadJob{x + begin, end - begin, sums.data() + thread * 16});
  });
  return static_cast<double>(count) * sizeof(float) / (now() - start);
}

}  // namespace benchmark
