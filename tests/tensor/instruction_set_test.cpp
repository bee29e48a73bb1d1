// SPDX-License-Identifier: MIT
// Bodies compiled for the processor's instruction set give what plain code gives.
#include <plinth/tensor/instruction_set.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "catch.hpp"

using namespace plinth;

TEST_CASE("run_vectorised calls its body once") {
  int calls = 0;
  run_vectorised([&] { ++calls; });
  CHECK(calls == 1);

  std::vector<std::int64_t> values(1003);
  std::int64_t sum = 0;
  run_vectorised([&] {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int64_t>(i * i);
    for (const std::int64_t value : values) sum += value;
  });
  CHECK(sum == 1002 * 1003 * 2005 / 6);
}

TEST_CASE("the instruction set is one the processor has, or the one asked for") {
  const InstructionSet set = instruction_set();
  CHECK(set == instruction_set());
  if (const char* wish = std::getenv("PLINTH_INSTRUCTION_SET")) {
    if (std::string(wish) == "baseline") CHECK(set == InstructionSet::baseline);
    if (std::string(wish) == "avx2") CHECK(set <= InstructionSet::avx2);
  }
#if defined(__x86_64__) && defined(__GNUC__)
  if (set >= InstructionSet::avx2) CHECK(__builtin_cpu_supports("avx2"));
  if (set == InstructionSet::avx512) CHECK(__builtin_cpu_supports("avx512f"));
#else
  CHECK(set == InstructionSet::baseline);
#endif
}
