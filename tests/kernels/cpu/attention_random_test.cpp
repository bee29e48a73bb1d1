// SPDX-License-Identifier: MIT
// The CPU's attention on thousands of random problems, against its definition, and the mask, against plain loops.
#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/attention_definition.hpp"
#include "kernels/random_operands.hpp"

using namespace plinth;
using namespace random_operands;
using attention_definition::Values;

namespace {

/// Elements that a (batch, heads, time, head size) operand reaches.
Count extent(const HeadLayout& x, Count batch) { return batch * x.batch; }

/// Tokens before heads in memory or behind them, dense, or as in a matrix that holds more.
HeadLayout layout(Random& random, Count heads, Count time, Count head_size) {
  const Count gap = random.one_in(2) ? 0 : random.one_in(2) ? 1 + random.below(3) : 2 * head_size;
  const Count row = head_size + gap;
  return random.one_in(2) ? HeadLayout{heads * time * row, row, heads * row}
                          : HeadLayout{heads * time * row, time * row, row};
}

AttentionShape random_shape(Random& random) {
  const bool large = random.one_in(8);
  const auto tokens = [&]() -> Count {
    if (random.one_in(50)) return 0;
    if (large && random.one_in(2)) return 100 + random.below(250);  // up to two blocks of keys
    return random.one_in(4) ? 1 : random.one_in(3) ? 1 + random.below(40) : random.length(40);
  };
  AttentionShape s{.batch = random.one_in(50) ? 0
                            : large           ? 1
                                              : 1 + random.below(3),
                   .key_heads = 1 + random.below(large ? 1 : 3),
                   .queries = tokens(),
                   .keys = tokens(),
                   .head_size = random.length(70),
                   .causal = random.one_in(2)};
  s.heads = s.key_heads * (1 + random.below(3));
  if (s.causal && random.one_in(2)) s.window = 1 + random.below(s.keys + 2);
  s.scale = (random.one_in(4) ? 0.5 : 1) / std::sqrt(static_cast<double>(s.head_size));
  s.query = layout(random, s.heads, s.queries, s.head_size);
  s.key = layout(random, s.key_heads, s.keys, s.head_size);
  s.value = layout(random, s.key_heads, s.keys, s.head_size);
  s.output = layout(random, s.heads, s.queries, s.head_size);
  return s;
}

/// Place, begin and end of each batch row, or, of two problems in three, none.
std::vector<std::int32_t> random_rows(Random& random, const AttentionShape& s) {
  std::vector<std::int32_t> rows;
  if (!random.one_in(3)) return rows;
  for (Count b = 0; b < s.batch; ++b) {
    rows.push_back(static_cast<std::int32_t>(random.below(s.keys + 10) - 5));
    for (int k = 0; k < 2; ++k) rows.push_back(static_cast<std::int32_t>(random.below(s.keys + 1)));
    if (random.one_in(2)) rows.back() = static_cast<std::int32_t>(s.keys);
  }
  return rows;
}

std::string text(const AttentionShape& s, const std::vector<std::int32_t>& rows) {
  std::ostringstream out;
  out << "B " << s.batch << " H " << s.heads << " G " << s.key_heads << " T " << s.queries << " S " << s.keys << " D "
      << s.head_size << " scale " << s.scale << (s.causal ? " causal" : "") << " window " << s.window << ", rows";
  for (const std::int32_t x : rows) out << ' ' << x;
  out << ", layouts";
  for (const HeadLayout& x : {s.query, s.key, s.value, s.output}) out << ' ' << x.head << ' ' << x.time << ',';
  return out.str();
}

/// The elements of (B, heads, time, D) in x, with NaN between them: nothing is to be written there.
Values only_elements(const Values& x, const HeadLayout& at, const AttentionShape& s, Count heads, Count time) {
  Values only(static_cast<std::size_t>(extent(at, s.batch)), std::numeric_limits<double>::quiet_NaN());
  for (Count b = 0; b < s.batch; ++b)
    for (Count h = 0; h < heads; ++h)
      for (Count t = 0; t < time; ++t)
        for (Count d = 0; d < s.head_size; ++d) {
          const auto i = static_cast<std::size_t>(b * at.batch + h * at.head + t * at.time + d);
          only[i] = x[i];
        }
  return only;
}

template <class T>
Operand<T> operand(Random& random, const std::vector<T>& x, Count n) {
  return Operand<T>(random, std::vector<T>(x.begin(), x.begin() + n), 0);
}

template <class T>
void check(Random& random) {
  const AttentionShape s = random_shape(random);
  // One list serves all that lies as a query or as an output, one all of keys and values: the definition has it so.
  const Count of_queries = std::max(extent(s.query, s.batch), extent(s.output, s.batch));
  const Count of_keys = std::max(extent(s.key, s.batch), extent(s.value, s.batch));
  attention_definition::Problem<T> p({0, 1, 1, 0, 0, 1, false});
  p.shape = s;
  p.rows = random_rows(random, s);
  p.query = random.values<T>(of_queries), p.doutput = random.values<T>(of_queries);
  p.key = random.values<T>(of_keys), p.value = random.values<T>(of_keys);
  const auto wanted = attention_definition::Definition<T>(p).run();

  const bool forward_alone = random.one_in(8);
  auto query = operand(random, p.query, extent(s.query, s.batch)),
       doutput = operand(random, p.doutput, extent(s.output, s.batch));
  auto key = operand(random, p.key, extent(s.key, s.batch)), value = operand(random, p.value, extent(s.value, s.batch));
  auto output = written<T>(random, extent(s.output, s.batch)), dquery = written<T>(random, extent(s.query, s.batch));
  auto dkey = written<T>(random, extent(s.key, s.batch)), dvalue = written<T>(random, extent(s.value, s.batch));
  auto log2_sum = written<accumulator_t<T>>(random, forward_alone ? 0 : s.batch * s.heads * s.queries);
  const std::int32_t* const rows = p.rows.empty() ? nullptr : p.rows.data();
  const Cpu d;
  auto& q = queue<Cpu>::current();
  kernels<Cpu>::attention(q, s, rows, query.at(d), key.at(d), value.at(d), output.at(d),
                          forward_alone ? nullptr : log2_sum.at(d));
  output.expect(only_elements(wanted.output, s.output, s, s.heads, s.queries));
  if (!forward_alone) {
    kernels<Cpu>::attention_backward(q, s, rows, query.at(d), key.at(d), value.at(d), output.at(d), log2_sum.at(d),
                                     doutput.at(d), dquery.at(d), dkey.at(d), dvalue.at(d));
    log2_sum.expect(wanted.log2_sum);
    dquery.expect(only_elements(wanted.dquery, s.query, s, s.heads, s.queries));
    dkey.expect(only_elements(wanted.dkey, s.key, s, s.key_heads, s.keys));
    dvalue.expect(only_elements(wanted.dvalue, s.value, s, s.key_heads, s.keys));
  }
  // Gradients of 16-bit types start from an output that was rounded. Those of a key are sums over all that saw it.
  const double input = of_result<T> / of_float,
               slope = 4 * input * (1 + std::sqrt(static_cast<double>(s.head_size)) * s.scale);
  const double seers = std::sqrt(static_cast<double>(s.queries * s.heads / s.key_heads));
  INFO(text(s, p.rows) << (forward_alone ? " forward alone" : ""));
  CHECK(output.wrong("output", 2) + log2_sum.wrong("log2_sum", 1) + dquery.wrong("dquery", slope) +
            dkey.wrong("dkey", slope * seers) + dvalue.wrong("dvalue", 2 * seers) ==
        "");
}

}  // namespace

TEMPLATE_TEST_CASE("random attention", "", float, bfloat16) {
  Random random(21);
  for (int k = 0; k < shapes; ++k) check<TestType>(random);
}

TEMPLATE_TEST_CASE("random attention masks", "", float, bfloat16) {
  Random random(22);
  for (int k = 0; k < shapes; ++k) {
    const AttentionShape s = random_shape(random);
    const auto rows = random_rows(random, s);
    auto mask = written<TestType>(random, s.batch * s.queries * s.keys);
    on_both([&]<class D>(D d) {
      kernels<D>::attention_mask(queue<D>::current(), s, rows.empty() ? nullptr : rows.data(), mask.at(d));
    });
    INFO(text(s, rows));
    CHECK(mask.wrong("mask") == "");
  }
}
