// SPDX-License-Identifier: MIT
// The CPU queue: every block is run once by whatever threads there are, and scratch memory grows.
#include <plinth/tensor/queue.hpp>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <thread>
#include <vector>

#include "catch.hpp"

using namespace plinth;

namespace {

/// Calls f with the queue limited to each of several numbers of threads.
template <class F>
void for_thread_counts(const F& f) {
  auto& q = queue<Cpu>::current();
#ifdef _OPENMP
  const int before = omp_get_max_threads();
  for (const int threads : {1, 2, 3, 4, 7}) {
    omp_set_num_threads(threads);
    CHECK(q.threads() == threads);
    f(q);
  }
  omp_set_num_threads(before);
#else
  CHECK(q.threads() == 1);
  f(q);
#endif
}

}  // namespace

TEST_CASE("parallel runs each block once for any number of threads") {
  for_thread_counts([](queue<Cpu>& q) {
    for (const std::int64_t blocks : {0, 1, 2, 3, 5, 64, 1001}) {
      std::vector<int> visits(static_cast<std::size_t>(blocks));
      int* const to = visits.data();
      q.parallel(blocks, [=](std::int64_t i) { ++to[i]; });
      CHECK(visits == std::vector<int>(visits.size(), 1));
    }
  });
}

TEST_CASE("each_thread shares the blocks out evenly, in order") {
  for_thread_counts([](queue<Cpu>& q) {
    constexpr std::int64_t blocks = 10;
    std::int64_t begins[16], ends[16];
    std::fill(std::begin(ends), std::end(ends), -1);
    q.each_thread(blocks, [&](int thread, std::int64_t begin, std::int64_t end) {
      begins[thread] = begin;
      ends[thread] = end;
    });
    std::int64_t at = 0;
    for (int thread = 0; thread < 16 && ends[thread] >= 0; ++thread) {
      CHECK(begins[thread] == at);
      CHECK(ends[thread] - begins[thread] >= blocks / q.threads());
      CHECK(ends[thread] - begins[thread] <= blocks / q.threads() + 1);
      at = ends[thread];
    }
    CHECK(at == blocks);
  });
}

#ifdef _OPENMP
TEST_CASE("inside a parallel region the queue uses one thread") {
  omp_set_num_threads(2);
  int inner[2] = {};
#pragma omp parallel num_threads(2)
  inner[omp_get_thread_num()] = queue<Cpu>::current().threads();
  CHECK(inner[0] == 1);
  CHECK((inner[1] == 1 || inner[1] == 0));  // 0: the system gave one thread only
  omp_set_num_threads(omp_get_num_procs());
}
#endif

TEST_CASE("scratch memory is aligned, grows and is each thread's own") {
  queue<Cpu> q;
  void* const small = q.scratch(100);
  CHECK(reinterpret_cast<std::uintptr_t>(small) % 64 == 0);
  CHECK(q.scratch(50) == small);
  void* const large = q.scratch(1 << 20);
  std::memset(large, 1, 1 << 20);
  CHECK(q.scratch(1 << 20) == large);

  const auto* const ours = &queue<Cpu>::current();
  const queue<Cpu>* theirs = nullptr;
  std::thread([&] { theirs = &queue<Cpu>::current(); }).join();
  CHECK(theirs != ours);
  CHECK(&queue<Cpu>::current() == ours);
}

TEST_CASE("scratch memory over the budget throws and leaves the queue usable") {
  queue<Cpu> q;
  q.scratch(100);
  memory<Cpu>::set_budget(memory<Cpu>::use().current + 4096);
  CHECK_THROWS_AS(q.scratch(1 << 20), MemoryError);
  CHECK(q.scratch(100) != nullptr);
  memory<Cpu>::set_budget(static_cast<std::size_t>(-1));
  CHECK(q.scratch(1 << 20) != nullptr);
}
