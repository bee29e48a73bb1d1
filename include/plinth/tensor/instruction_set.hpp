// SPDX-License-Identifier: MIT
// Which vector instructions this processor has, found once at run time, and a call that compiles a body for them.
#pragma once

#include <cstdlib>
#include <string_view>

#include <plinth/tensor/error.hpp>

namespace plinth {

/// Instruction sets the CPU kernels are compiled for.
enum class InstructionSet {
  baseline,  ///< what every processor of the architecture has: SSE2 on x86-64
  avx2,      ///< AVX2 and FMA, 256 bits
  avx512     ///< AVX-512 F, VL, BW and DQ, 512 bits
};

namespace detail {

#if defined(_WIN32) && defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
/// Whether a program may keep wide vectors on its stack. There g++ for Windows moves them as if it were aligned for
/// them, which it is not (GCC bug 54412), unless the assembler has -muse-unaligned-vector-move; plinth's CMake target
/// says so. Whether it has shows in how it writes such a move.
inline bool wide_vectors_work() {
  const unsigned char* move;
  asm("jmp 1f\n0: vmovaps %%ymm0, (%%rax)\n1: leaq 0b(%%rip), %0" : "=r"(move));
  return move[2] == 0x11;  // as vmovups
}
#else
constexpr bool wide_vectors_work() { return true; }
#endif

/// The widest set this processor has and this program may use.
inline InstructionSet widest_instruction_set() {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  if (!wide_vectors_work() || !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
    return InstructionSet::baseline;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
  return avx512 ? InstructionSet::avx512 : InstructionSet::avx2;
#else
  return InstructionSet::baseline;
#endif
}

/// The set called `wish` if it is no wider than `widest`, and `widest` without a wish. Throws ArgumentError.
inline InstructionSet wished_instruction_set(InstructionSet widest, const char* wish) {
  if (!wish) return widest;
  constexpr std::string_view names[] = {"baseline", "avx2", "avx512"};
  for (int set = 0; set <= static_cast<int>(widest); ++set)
    if (names[set] == wish) return InstructionSet(set);
  fail<ArgumentError>("PLINTH_INSTRUCTION_SET is \"", wish, "\", but must be baseline, avx2 or avx512 and at most ",
                      names[static_cast<int>(widest)], ", the widest that works here");
}

}  // namespace detail

/// The set in use: the widest that works, or a narrower one named by the environment variable
/// PLINTH_INSTRUCTION_SET (baseline, avx2, avx512). Throws ArgumentError when it names no set of this processor.
inline InstructionSet instruction_set() {
  static const InstructionSet chosen =
      detail::wished_instruction_set(detail::widest_instruction_set(), std::getenv("PLINTH_INSTRUCTION_SET"));
  return chosen;
}

/// Whether a job for `set` may multiply pairs of bfloat16 by the processor's own instruction (AVX512_BF16). Not every
/// processor with AVX-512 has it, and compilers use it only where it is asked for by name.
inline bool multiplies_bfloat16([[maybe_unused]] InstructionSet set) {
#if defined(__x86_64__) && defined(__GNUC__)
  static const bool has_instruction = (__builtin_cpu_init(), __builtin_cpu_supports("avx512bf16"));
  return set == InstructionSet::avx512 && has_instruction;
#else
  return false;
#endif
}

#if defined(__x86_64__) && defined(__GNUC__)
namespace detail {

template <class Job>
#ifdef __clang__
[[gnu::target("avx512f,avx512vl,avx512bw,avx512dq,avx512bf16,avx2,fma"), gnu::flatten]]
#else  // GCC takes half of a 512-bit register unless told otherwise
[[gnu::target("avx512f,avx512vl,avx512bw,avx512dq,avx512bf16,avx2,fma,prefer-vector-width=512"), gnu::flatten]]
#endif
void run_avx512(const Job& job) {
  job.template run<InstructionSet::avx512>();
}
template <class Job>
[[gnu::target("avx2,fma"), gnu::flatten]] void run_avx2(const Job& job) {
  job.template run<InstructionSet::avx2>();
}

}  // namespace detail
#endif

/// Calls job.run<set>() with everything it calls inlined into a function compiled for that set, so that its plain loops
/// become wide vector code without any compiler flag. Jobs hold no intrinsics in lambdas and no OpenMP pragma.
template <class Job>
[[gnu::noinline]] void run_job(InstructionSet set, const Job& job) {
#if defined(__x86_64__) && defined(__GNUC__)
  if (set == InstructionSet::avx512) return detail::run_avx512(job);
  if (set == InstructionSet::avx2) return detail::run_avx2(job);
#endif
  (void)set;
  job.template run<InstructionSet::baseline>();
}

}  // namespace plinth
