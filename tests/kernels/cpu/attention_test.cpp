// SPDX-License-Identifier: MIT
// Tiled attention against loops in double, for every instruction set this processor has.
#include <plinth/kernels/cpu/attention.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "catch.hpp"
#include "kernels/attention_definition.hpp"
#include "kernels/numbers.hpp"

using namespace plinth;
using namespace attention_definition;

namespace {

using kernels_of_cpu = cpu::CpuAttention;

constexpr float infinity = std::numeric_limits<float>::infinity(),
                not_a_number = std::numeric_limits<float>::quiet_NaN();

template <class T>
struct Computed {
  std::vector<T> output, dquery, dkey, dvalue;
  std::vector<accumulator_t<T>> log2_sum;

  /// Everything lies `offset` elements behind a cache line.
  Computed(InstructionSet set, const Problem<T>& p, std::size_t offset = 0) {
    auto& threads = queue<Cpu>::current();
    using Placed = numbers::Placed<T>;
    const T unset = static_cast<T>(not_a_number);
    Placed q(p.query, offset), k(p.key, offset), v(p.value, offset), dy(p.doutput, offset);
    Placed y(std::vector<T>(p.query.size(), unset), offset), dq(y.values(), offset);
    Placed dk(std::vector<T>(p.key.size(), unset), offset), dv(dk.values(), offset);
    log2_sum.resize(static_cast<std::size_t>(p.shape.batch * p.shape.heads * p.shape.queries));
    const std::int32_t* const rows = p.rows.empty() ? nullptr : p.rows.data();
    cpu::AttentionForward<T>(threads, set, p.shape, rows).run(q.data(), k.data(), v.data(), y.data(), log2_sum.data());
    cpu::AttentionBackward<T>(
        threads, set, p.shape, rows,
        {q.data(), k.data(), v.data(), y.data(), log2_sum.data(), dy.data(), dq.data(), dk.data(), dv.data()})
        .run();
    output = y.values(), dquery = dq.values(), dkey = dk.values(), dvalue = dv.values();
  }
};

std::vector<InstructionSet> instruction_sets() {
  std::vector<InstructionSet> sets;
  for (const auto set : {InstructionSet::baseline, InstructionSet::avx2, InstructionSet::avx512})
    if (set <= instruction_set()) sets.push_back(set);
  return sets;
}

/// Sizes below, at and beyond tiles (2 to 14 rows), vectors, and blocks (224 and 896 keys), queries that see no key,
/// one head; windows and keys of each row that begin and end inside tiles and blocks, or leave rows, blocks and all
/// without keys.
const std::vector<Sizes>& many_sizes() {
  static const std::vector<Sizes> sizes = {
      {1, 1, 1, 1, 1, 1, false},
      {1, 1, 1, 1, 1, 1, true},
      {2, 4, 2, 17, 17, 8, true},
      {1, 2, 1, 14, 32, 16, false},
      {1, 1, 1, 57, 57, 5, true},
      {1, 2, 2, 16, 250, 33, true},
      {1, 2, 2, 16, 250, 33, false},
      {1, 2, 1, 40, 9, 5, true},
      {1, 1, 1, 230, 225, 3, true},
      {3, 3, 1, 13, 29, 64, false},
      {1, 6, 2, 113, 113, 7, true},
      {1, 1, 1, 2, 500, 17, true},
      {2, 1, 1, 5, 448, 40, false},
      {1, 2, 1, 57, 57, 5, true, 1},
      {1, 1, 1, 300, 300, 7, true, 20},
      {1, 1, 1, 13, 700, 7, true, 230},
      {1, 2, 1, 20, 2000, 7, true},
      {1, 1, 1, 40, 1900, 9, true, 1000},
      {1, 1, 1, 30, 1000, 5, false},
      {1, 2, 1, 40, 9, 5, true, 4},
      {1, 1, 1, 17, 17, 8, true, 99},
      {3, 2, 1, 20, 300, 5, false, 0, {0, 0, 300, 0, 17, 251, 0, 290, 12}},
      {3, 2, 1, 20, 300, 5, true, 0, {280, 0, 300, 100, 90, 120, -10, 0, 300}},
      {3, 4, 2, 70, 70, 9, true, 0, {0, 0, 70, 0, 0, 33, 0, 51, 70}},
      {4, 2, 2, 40, 500, 6, true, 30, {0, 0, 500, 460, 0, 500, 231, 240, 245, 600, 0, 500}},
      {2, 1, 1, 1, 300, 16, true, 0, {3, 0, 4, 298, 0, 299}},
      {3, 4, 2, 1, 5000, 33, true, 600, {4999, 0, 5000, 40, 17, 5000, 9, 20, 5000}}};
  return sizes;
}

template <class T>
void agree(double limit) {
  for (const Sizes& s : many_sizes()) {
    const Problem<T> problem(s);
    const Result wanted = Definition<T>(problem).run();
    for (const InstructionSet set : instruction_sets()) {
      INFO("set " << static_cast<int>(set) << ": B " << s.B << " H " << s.H << " G " << s.G << " T " << s.T << " S "
                  << s.S << " D " << s.D << (s.causal ? " causal" : "") << " window " << s.window << " rows "
                  << s.rows.size() / 3);
      const Computed<T> found(set, problem);
      CHECK(numbers::distance(found.output, wanted.output) < limit);
      CHECK(numbers::distance(found.dquery, wanted.dquery) < limit);
      CHECK(numbers::distance(found.dkey, wanted.dkey) < limit);
      CHECK(numbers::distance(found.dvalue, wanted.dvalue) < limit);
      for (std::size_t r = 0; r < wanted.log2_sum.size(); ++r)
        if (std::isinf(wanted.log2_sum[r]) ? found.log2_sum[r] != -INFINITY
                                           : std::abs(double(found.log2_sum[r]) - wanted.log2_sum[r]) > limit)
          FAIL_CHECK("log-sum-exp of row " << r << ": " << found.log2_sum[r] << " for " << wanted.log2_sum[r]);
    }
  }
}

}  // namespace

TEST_CASE("attention is its definition in double") { agree<double>(1e-14); }
TEST_CASE("attention is its definition in float") { agree<float>(2e-6); }
TEST_CASE("attention of 16-bit types is rounded once on its way in and once on its way out") {
  agree<bfloat16>(1e-2);
  agree<half>(1e-3);
}

TEST_CASE("bits of attention depend on neither threads nor alignment") {
  for (const Sizes& s :
       {Sizes{2, 4, 2, 60, 60, 32, true}, Sizes{1, 2, 1, 300, 300, 20, true}, Sizes{2, 4, 2, 1, 300, 20, true},
        Sizes{2, 4, 2, 120, 260, 20, true, 90, {140, 3, 260, 17, 0, 201}}}) {
    const Problem<float> problem(s);
    CHECK(numbers::bits_depend_on_values_alone([&](std::size_t offset) {
      const Computed<float> found(instruction_set(), problem, offset);
      auto all = found.output;
      for (const auto* part : {&found.log2_sum, &found.dquery, &found.dkey, &found.dvalue})
        all.insert(all.end(), part->begin(), part->end());
      return all;
    }));
  }
}

TEST_CASE("large scores neither overflow nor lose the softmax") {
  Problem<float> problem({1, 1, 1, 20, 20, 8, true});
  for (float& x : problem.query) x *= 1e4f;
  const Computed<float> found(instruction_set(), problem);
  for (const float y : found.output) CHECK(std::isfinite(y));
  CHECK(found.output[0] == problem.value[0]);  // the first query sees one key
}

TEST_CASE("an infinite score or one that is no number spoils its row and no other") {
  constexpr std::size_t spoilt_key = 3, D = 8;
  for (const float spoiler : {not_a_number, -not_a_number, infinity}) {
    Problem<float> problem({1, 1, 1, 1000, 1000, D, true});
    problem.key[spoilt_key * D] = spoiler;
    for (const auto set : instruction_sets()) {
      const Computed<float> found(set, problem);
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < found.output.size(); ++i) {
        const bool spoilt = i / D >= spoilt_key && (std::isnan(spoiler) || problem.query[i / D * D] > 0);
        wrong += std::isnan(found.output[i]) != spoilt;
      }
      CHECK(wrong == 0);
    }
  }
}

TEMPLATE_TEST_CASE("attention and its gradients lose nothing that is infinite or no number", "", double, float) {
  const auto lost = [](const auto& found, const auto& wanted) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) count += std::isfinite(found[i]) && !std::isfinite(wanted[i]);
    return count;
  };
  for (const float spoiler : {not_a_number, -not_a_number, infinity, -infinity})
    for (auto operand :
         {&Problem<TestType>::query, &Problem<TestType>::key, &Problem<TestType>::value, &Problem<TestType>::doutput}) {
      Problem<TestType> problem({1, 2, 1, 40, 1000, 4, true});
      auto& values = problem.*operand;
      values[values.size() / 7 * 3] = static_cast<TestType>(spoiler);
      const Result wanted = Definition<TestType>(problem).run();
      for (const auto set : instruction_sets()) {
        const Computed<TestType> found(set, problem);
        CHECK(lost(found.output, wanted.output) == 0);
        CHECK(lost(found.log2_sum, wanted.log2_sum) == 0);
        CHECK(lost(found.dquery, wanted.dquery) == 0);
        CHECK(lost(found.dkey, wanted.dkey) == 0);
        CHECK(lost(found.dvalue, wanted.dvalue) == 0);
      }
    }
}

TEST_CASE("attention over nothing is zeros or nothing") {
  const Problem<float> no_keys({2, 2, 1, 3, 0, 4, false});
  for (const float y : Computed<float>(instruction_set(), no_keys).output) CHECK(y == 0);
  CHECK(Computed<float>(instruction_set(), Problem<float>({2, 2, 1, 0, 3, 4, true})).output.empty());
  CHECK(Computed<float>(instruction_set(), Problem<float>({0, 2, 1, 3, 3, 4, true})).output.empty());
}

TEST_CASE("keys that no query sees have no influence and no gradient") {
  Problem<float> problem({2, 2, 1, 30, 260, 8, true, 40, {225, 190, 240, 5, 0, 17}});
  const Computed<float> before(instruction_set(), problem);
  const auto seen = [](std::int64_t b, std::int64_t j) { return b == 0 ? j >= 190 && j < 240 : j < 17; };
  for (std::int64_t b = 0; b < 2; ++b)
    for (std::int64_t j = 0; j < 260; ++j)
      for (std::int64_t d = 0; d < 8; ++d) {
        const auto k = static_cast<std::size_t>((b * 260 + j) * 8 + d);  // one key head: both layouts are the same
        if (seen(b, j)) continue;
        problem.key[k] = 1e30f;
        problem.value[k] = -1e30f;
        if (before.dkey[k] != 0 || before.dvalue[k] != 0) FAIL_CHECK("key " << j << " of row " << b);
      }
  const Computed<float> after(instruction_set(), problem);
  CHECK(after.output == before.output);
  CHECK(after.dquery == before.dquery);
}

TEST_CASE("the mask of the composed form shows the keys that the tiled form reads") {
  AttentionShape shape{.batch = 2, .queries = 3, .keys = 5, .causal = true, .window = 2};
  const float o = 0, x = -std::numeric_limits<float>::infinity();
  std::vector<float> mask(30);
  const std::int32_t rows[] = {1, 0, 5, 3, 2, 5};
  kernels_of_cpu::attention_mask(queue<Cpu>::current(), shape, rows, mask.data());
  CHECK(mask == std::vector<float>{o, o, x, x, x, x, o, o, x, x, x, x, o, o, x,    // stands at 1, 2, 3
                                   x, x, o, o, x, x, x, x, o, o, x, x, x, x, o});  // stands at 3, 4, 5
  shape.batch = 1;
  kernels_of_cpu::attention_mask(queue<Cpu>::current(), shape, nullptr, mask.data());
  mask.resize(15);
  CHECK(mask == std::vector<float>{x, o, o, x, x, x, x, o, o, x, x, x, x, o, o});
  std::vector<bfloat16> coarse(15);
  kernels_of_cpu::attention_mask(queue<Cpu>::current(), shape, nullptr, coarse.data());
  CHECK(std::vector<float>(coarse.begin(), coarse.end()) == mask);
}

TEST_CASE("keys outside the tensor are refused before anything is written") {
  const Problem<float> problem({1, 1, 1, 2, 3, 4, false});
  std::vector<float> y(8, 7);
  for (const std::vector<std::int32_t>& rows : {std::vector<std::int32_t>{0, -1, 3}, {0, 0, 4}}) {
    CHECK_THROWS_AS(
        kernels_of_cpu::attention(queue<Cpu>::current(), problem.shape, rows.data(), problem.query.data(),
                                  problem.key.data(), problem.value.data(), y.data(), static_cast<float*>(nullptr)),
        ArgumentError);
    CHECK_THROWS_AS(kernels_of_cpu::attention_mask(queue<Cpu>::current(), problem.shape, rows.data(), y.data()),
                    ArgumentError);
  }
  CHECK(y == std::vector<float>(8, 7));
}
