// SPDX-License-Identifier: MIT
// Which vector instructions this processor has, found once at run time, and a call that compiles a body for them.
#pragma once

#include <cstdlib>
#include <string_view>

namespace plinth {

/// Instruction sets the CPU kernels are compiled for.
enum class InstructionSet { baseline, avx2, avx512 };

namespace detail {

inline InstructionSet detect_instruction_set() {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  InstructionSet found = InstructionSet::baseline;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found = InstructionSet::avx2;
  if (found == InstructionSet::avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
    found = InstructionSet::avx512;
  if (const char* wish = std::getenv("PLINTH_INSTRUCTION_SET")) {
    if (std::string_view(wish) == "baseline") return InstructionSet::baseline;
    if (std::string_view(wish) == "avx2" && found >= InstructionSet::avx2) return InstructionSet::avx2;
  }
  return found;
#else
  return InstructionSet::baseline;
#endif
}

}  // namespace detail

/// The set in use: the widest this processor has, or a narrower one named by the environment variable
/// PLINTH_INSTRUCTION_SET (baseline, avx2, avx512).
inline InstructionSet instruction_set() {
  static const InstructionSet chosen = detail::detect_instruction_set();
  return chosen;
}

#if defined(__x86_64__) && defined(__GNUC__)
namespace detail {

template <class Job>
#ifdef __clang__
[[gnu::target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma"), gnu::flatten]]
#else  // GCC takes half of a 512-bit register unless told otherwise
[[gnu::target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,prefer-vector-width=512"), gnu::flatten]]
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
void run_job(InstructionSet set, const Job& job) {
#if defined(__x86_64__) && defined(__GNUC__)
  if (set == InstructionSet::avx512) return detail::run_avx512(job);
  if (set == InstructionSet::avx2) return detail::run_avx2(job);
#endif
  (void)set;
  job.template run<InstructionSet::baseline>();
}

namespace detail {

template <class F>
struct BodyJob {
  const F& body;
  template <InstructionSet>
  void run() const {
    body();
  }
};

}  // namespace detail

/// Calls body() compiled for the set in use.
template <class F>
void run_vectorised(const F& body) {
  run_job(instruction_set(), detail::BodyJob<F>{body});
}

}  // namespace plinth
