// SPDX-License-Identifier: MIT
// Philox against the known answers of its authors, and the streams built on it.
#include <plinth/tensor/random.hpp>

#include <cmath>
#include <cstring>
#include <set>
#include <vector>

#include "catch.hpp"

using namespace plinth;

namespace {

bool gives(const RandomWords& counter, std::uint32_t key0, std::uint32_t key1, const RandomWords& expected) {
  const RandomWords words = philox(counter, key0, key1);
  return std::memcmp(words.word, expected.word, sizeof words.word) == 0;
}

/// The correlation of two sequences of standard normal numbers.
template <class F, class G>
double correlation(int count, F f, G g) {
  double sum = 0;
  for (int i = 0; i < count; ++i) sum += f(static_cast<std::uint64_t>(i)) * g(static_cast<std::uint64_t>(i));
  return sum / count;
}

}  // namespace

TEST_CASE("Philox 4x32-10 gives the known answers of Random123 (tests/kat_vectors)") {
  CHECK(gives({{0, 0, 0, 0}}, 0, 0, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}));
  CHECK(gives({{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}, 0xffffffff, 0xffffffff,
              {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}));
  CHECK(gives({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0,
              {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}));
}

TEST_CASE("sites are FNV-1a of their names") {
  // The vectors of draft-eastlake-fnv, appendix C.
  CHECK(random_site("") == 0x811c9dc5u);
  CHECK(random_site("a") == 0xe40c292cu);
  CHECK(random_site("foobar") == 0xbf9cf968u);
  STATIC_REQUIRE(random_site("blocks.0.attention_dropout") != random_site("blocks.1.attention_dropout"));
}

TEST_CASE("uniform numbers lie between 0 and 1 with the moments of the uniform distribution") {
  const RandomStream stream{42, RandomPurpose::sample, 7};
  constexpr int count = 200000;
  double mean = 0, square = 0, lowest = 1, highest = 0;
  std::vector<int> cells(64);
  for (int i = 0; i < count; ++i) {
    const double u = static_cast<double>(stream.uniform(static_cast<std::uint64_t>(i)));
    mean += u / count;
    square += u * u / count;
    lowest = std::fmin(lowest, u);
    highest = std::fmax(highest, u);
    ++cells[static_cast<std::size_t>(u * 64)];
  }
  CHECK(lowest >= 0);
  CHECK(highest < 1);
  CHECK(std::fabs(mean - 0.5) < 5 * std::sqrt(1.0 / 12 / count));         // five standard errors
  CHECK(std::fabs(square - 1.0 / 3) < 5 * std::sqrt(4.0 / 45 / count));
  double chi_square = 0;
  for (const int cell : cells) chi_square += (cell - count / 64.0) * (cell - count / 64.0) / (count / 64.0);
  CHECK(chi_square < 63 + 5 * std::sqrt(2 * 63.0));
}

TEST_CASE("normal numbers have the moments and tails of the normal distribution") {
  const RandomStream stream{3, RandomPurpose::initialise, 1};
  constexpr int count = 200000;
  double moment[5] = {}, beyond_two = 0;
  for (int i = 0; i < count; ++i) {
    const double x = stream.normal(static_cast<std::uint64_t>(i));
    for (int k = 1; k <= 4; ++k) moment[k] += std::pow(x, k) / count;
    beyond_two += (std::fabs(x) > 2 ? 1.0 : 0.0) / count;
  }
  CHECK(std::fabs(moment[1]) < 5 * std::sqrt(1.0 / count));  // false too if one was not finite
  CHECK(std::fabs(moment[2] - 1) < 5 * std::sqrt(2.0 / count));
  CHECK(std::fabs(moment[3]) < 5 * std::sqrt(15.0 / count));
  CHECK(std::fabs(moment[4] - 3) < 5 * std::sqrt(96.0 / count));
  CHECK(std::fabs(beyond_two - 0.0455003) < 5 * std::sqrt(0.0455 / count));
}

TEST_CASE("streams differ in every part of their key and in nothing else") {
  const RandomStream stream{1, RandomPurpose::dropout, 5};
  CHECK(stream.word(9, 2) == RandomStream{1, RandomPurpose::dropout, 5}.word(9, 2));
  CHECK(stream.word(9, 2) == stream.words(2, 2).word[1]);
  const std::set<std::uint32_t> words = {stream.word(9, 2),
                                         stream.word(10, 2),
                                         stream.word(9, 3),
                                         stream.word(9 + (std::uint64_t{1} << 34), 2),
                                         RandomStream{2, RandomPurpose::dropout, 5}.word(9, 2),
                                         RandomStream{std::uint64_t{1} << 32 | 1, RandomPurpose::dropout, 5}.word(9, 2),
                                         RandomStream{1, RandomPurpose::sample, 5}.word(9, 2),
                                         RandomStream{1, RandomPurpose::dropout, 6}.word(9, 2)};
  CHECK(words.size() == 8);

  constexpr int count = 50000;
  const RandomStream first{1, RandomPurpose::initialise, 5}, second{1, RandomPurpose::initialise, 6};
  const auto numbers = [](const RandomStream& s, std::uint32_t step, std::uint64_t offset = 0) {
    return [=](std::uint64_t i) { return s.normal(i + offset, step); };
  };
  const double bound = 5 / std::sqrt(double{count});
  CHECK(std::fabs(correlation(count, numbers(first, 0), numbers(second, 0))) < bound);
  CHECK(std::fabs(correlation(count, numbers(first, 0), numbers(first, 1))) < bound);
  CHECK(std::fabs(correlation(count, numbers(first, 0), numbers(first, 0, 1))) < bound);
}
