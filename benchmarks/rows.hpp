// SPDX-License-Identifier: MIT
// The rows that every benchmark prints: a workload in Plinth and in its peers, each as a part of the limit that was
// measured around it, since a shared machine's speed changes from one second to the next.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "limit.hpp"

namespace benchmark {

inline double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

/// One way to do a workload.
struct Contender {
  std::string name;
  std::function<void()> call;
  std::function<void()> prepare = {};  ///< runs before each call and is not timed
};

/// What a contender reached: in the row's unit, and as a part of the limit (0: the row has none).
struct Result {
  std::string name;
  double value, share = 0;
};

struct Row {
  std::string workload;
  int threads;
  const char* unit;             ///< GFLOP/s or GB/s; or, where less is better, s, ms or MB
  std::vector<Result> results;  ///< Plinth's first
};

/// Runs a contender for some 20 ms between two measurements of the limit: {rate, share}.
inline std::pair<double, double> sample(double work, const std::function<double()>& limit, const Contender& one) {
  const double before = limit();
  double seconds = 0, done = 0;
  do {
    if (one.prepare) one.prepare();
    const double start = now();
    one.call();
    seconds += now() - start;
    done += work;
  } while (seconds < 0.02);
  const double rate = done / seconds;
  return {rate, 2 * rate / (before + limit())};
}

/// Medians of `samples` samples of each contender in turn. A call does `work` operations, or moves as many bytes, and
/// limit() is how many the processor can in a second; the unit is 10^9 of them a second.
inline Row measure(std::string workload, int threads, const char* unit, double work,
                   const std::function<double()>& limit, const std::vector<Contender>& contenders, int samples) {
  std::vector<std::vector<double>> rates(contenders.size()), shares(contenders.size());
  for (const Contender& one : contenders) sample(work, limit, one);  // to warm up
  for (int i = 0; i < samples; ++i)
    for (std::size_t c = 0; c < contenders.size(); ++c) {
      const auto [rate, share] = sample(work, limit, contenders[c]);
      rates[c].push_back(rate * 1e-9);
      shares[c].push_back(share);
    }
  Row row{std::move(workload), threads, unit, {}};
  for (std::size_t c = 0; c < contenders.size(); ++c)
    row.results.push_back({contenders[c].name, median(rates[c]), median(shares[c])});
  return row;
}

/// Prints rows as they come: a Markdown table, or with `json` one JSON object a line.
class Table {
 public:
  explicit Table(bool json) : json_(json) {
    if (!json_)
      std::printf(
          "| workload | threads | unit | Plinth | of the limit | peers, of the limit |\n|---|---|---|---|---|---|\n");
  }

  void print(const Row& row) const {
    json_ ? print_json(row) : print_markdown(row);
    std::fflush(stdout);
  }

 private:
  static void print_markdown(const Row& row) {
    std::printf("| %s | %d | %s", row.workload.c_str(), row.threads, row.unit);
    for (std::size_t i = 0; i < row.results.size(); ++i) {
      const Result& one = row.results[i];
      if (i > 0) std::printf("%s%s ", i == 1 ? " | " : ", ", one.name.c_str());
      std::printf(i > 0 ? "%.4g" : " | %.4g", one.value);
      if (one.share > 0) std::printf(i > 0 ? " (%.2f)" : " | %.2f", one.share);
      if (i == 0 && one.share <= 0) std::printf(" |");
    }
    std::printf(row.results.size() > 1 ? " |\n" : " | |\n");
  }

  static void print_json(const Row& row) {
    std::printf("{\"workload\": \"%s\", \"threads\": %d, \"unit\": \"%s\", \"results\": {", row.workload.c_str(),
                row.threads, row.unit);
    for (std::size_t i = 0; i < row.results.size(); ++i) {
      const Result& one = row.results[i];
      std::printf("%s\"%s\": {\"value\": %.6g", i ? ", " : "", one.name.c_str(), one.value);
      if (one.share > 0) std::printf(", \"share\": %.4f", one.share);
      std::printf("}");
    }
    std::printf("}}\n");
  }

  bool json_;
};

/// The threads that OpenMP gives unless asked for another number; 1 without it.
inline int all_threads() { return plinth::queue<plinth::Cpu>::current().threads(); }

/// Lets kernels, limits and peers of this process have so many threads from now on.
inline void use_threads([[maybe_unused]] int threads) {
#ifdef _OPENMP
  omp_set_num_threads(threads);
#endif
}

/// The same numbers in [-0.5, 0.5) in every run.
template <class T = float>
std::vector<T> numbers(std::int64_t count, std::uint32_t seed = 1) {
  std::vector<T> x(static_cast<std::size_t>(count));
  for (T& value : x)
    value = static_cast<T>(static_cast<float>((seed = seed * 1664525u + 1013904223u) >> 8) * 0x1p-24f - 0.5f);
  return x;
}

}  // namespace benchmark
