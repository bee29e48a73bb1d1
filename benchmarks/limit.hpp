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

/// Fused multiply-adds of floats: twelve chains hide their latency.
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
};

/// Whether the processor multiplies pairs of bfloat16 and adds them to floats in one instruction.
inline bool multiplies_bfloat16() {
#if defined(__x86_64__) && defined(__GNUC__)
  return plinth::instruction_set() == plinth::InstructionSet::avx512 && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

#if defined(__x86_64__) && defined(__GNUC__)
/// The same twelve chains of that instruction. Its operands' values do not matter.
[[gnu::target("avx512f")]] inline void spin_bfloat16(std::int64_t rounds) {
  typedef float V __attribute__((vector_size(64)));
  V x{}, a{}, b{}, c{}, d{}, e{}, f{}, g{}, h{}, i{}, j{}, k{}, l{};
  for (std::int64_t round = 0; round < rounds; ++round)
    asm volatile(
        "vdpbf16ps %[x], %[x], %0\n\tvdpbf16ps %[x], %[x], %1\n\tvdpbf16ps %[x], %[x], %2\n\t"
        "vdpbf16ps %[x], %[x], %3\n\tvdpbf16ps %[x], %[x], %4\n\tvdpbf16ps %[x], %[x], %5\n\t"
        "vdpbf16ps %[x], %[x], %6\n\tvdpbf16ps %[x], %[x], %7\n\tvdpbf16ps %[x], %[x], %8\n\t"
        "vdpbf16ps %[x], %[x], %9\n\tvdpbf16ps %[x], %[x], %10\n\tvdpbf16ps %[x], %[x], %11"
        : "+v"(a), "+v"(b), "+v"(c), "+v"(d), "+v"(e), "+v"(f), "+v"(g), "+v"(h), "+v"(i), "+v"(j), "+v"(k), "+v"(l)
        : [x] "v"(x));
}
#endif

/// Operations a second of fused multiply-adds over T, all threads together: of bfloat16 where the processor has such an
/// instruction, else of the floats that bfloat16 is computed in.
template <class T>
double peak(int threads) {
  constexpr std::int64_t rounds = 1000000;
  constexpr double operations = 2.0 * PeakJob::chains * rounds;
  double lanes = static_cast<double>(plinth::cpu::tile_size<float>(plinth::instruction_set()).columns) / 2;
  const bool pairs = std::same_as<T, plinth::bfloat16> && multiplies_bfloat16();
  if (pairs) lanes *= 2;
  std::vector<float> sinks(static_cast<std::size_t>(threads) * 64, 1e-3f);
  const double start = now();
  plinth::queue<plinth::Cpu>::current().each_thread(threads, [&](int thread, std::int64_t, std::int64_t) {
#if defined(__x86_64__) && defined(__GNUC__)
    if (pairs) return spin_bfloat16(rounds);
#endif
    plinth::run_job(plinth::instruction_set(), PeakJob{rounds, sinks.data() + thread * 64});
  });
  return threads * lanes * operations / (now() - start);
}

/// The sum of floats [begin, end), to read them.
struct ReadJob {
  const float *begin, *end;
  float* sum;

  template <plinth::InstructionSet Set>
  [[gnu::always_inline]] inline void run() const {
    constexpr int bytes = plinth::cpu::GemmTile<Set>::bytes, lanes = bytes / 4, chains = 8;
    using V = typename plinth::cpu::Vector<float, bytes>::type;
    V sums[chains] = {};
    for (const float* x = begin; end - x >= chains * lanes; x += chains * lanes)
      for (int i = 0; i < chains; ++i) {
        V next;
        __builtin_memcpy(&next, x + i * lanes, sizeof next);
        sums[i] += next;
      }
    for (const V& one : sums)
      for (int i = 0; i < lanes; ++i) *sum += one[i];
  }
};

/// Bytes a second of reading `count` floats, each thread its share.
inline double read_rate(const float* x, std::int64_t count, int threads) {
  std::vector<float> sums(static_cast<std::size_t>(threads) * 16);
  const double start = now();
  plinth::queue<plinth::Cpu>::current().each_thread(threads, [&](int thread, std::int64_t, std::int64_t) {
    plinth::run_job(plinth::instruction_set(), ReadJob{x + count * thread / threads, x + count * (thread + 1) / threads,
                                                       sums.data() + thread * 16});
  });
  return static_cast<double>(count) * sizeof(float) / (now() - start);
}

}  // namespace benchmark
