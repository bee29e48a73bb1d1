// SPDX-License-Identifier: MIT
// Bodies compiled for the processor's instruction set give what plain code gives.
#include <plinth/tensor/instruction_set.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "catch.hpp"

using namespace plinth;

namespace {

struct SumOfSquares {
  std::vector<std::int64_t>& values;
  std::int64_t& sum;
  template <InstructionSet>
  void run() const {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int64_t>(i * i);
    for (const std::int64_t value : values) sum += value;
  }
};

}  // namespace

TEST_CASE("run_job calls its job once, whatever the set") {
  for (const InstructionSet set : {InstructionSet::baseline, instruction_set()}) {
    std::vector<std::int64_t> values(1003);
    std::int64_t sum = 0;
    run_job(set, SumOfSquares{values, sum});
    CHECK(sum == 1002 * 1003 * 2005 / 6);
  }
}

TEST_CASE("a wish for an instruction set is granted or refused in clear words") {
  using detail::wished_instruction_set;
  CHECK(wished_instruction_set(InstructionSet::avx2, nullptr) == InstructionSet::avx2);
  CHECK(wished_instruction_set(InstructionSet::avx512, "baseline") == InstructionSet::baseline);
  CHECK(wished_instruction_set(InstructionSet::avx512, "avx2") == InstructionSet::avx2);
  CHECK(wished_instruction_set(InstructionSet::avx512, "avx512") == InstructionSet::avx512);
  for (const char* wish : {"avx512", "AVX2", "sse", ""})
    try {
      wished_instruction_set(InstructionSet::avx2, wish);
      FAIL("accepted: " << wish);
    } catch (const ArgumentError& error) {
      const std::string text = error.what();
      CHECK(text.find("\"" + std::string(wish) + "\"") != std::string::npos);
      CHECK(text.find("at most avx2") != std::string::npos);
    }
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

TEST_CASE("only jobs for AVX-512 multiply bfloat16") {
  CHECK_FALSE(multiplies_bfloat16(InstructionSet::baseline));
  CHECK_FALSE(multiplies_bfloat16(InstructionSet::avx2));
}
