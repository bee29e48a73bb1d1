// SPDX-License-Identifier: MIT
// The number of threads of the kernels, for as long as an object lives.
#pragma once

#include <plinth/tensor/queue.hpp>

/// Lets the calling thread's kernels run on so many threads.
class Threads {
 public:
  explicit Threads(int threads) : before_(plinth::queue<plinth::Cpu>::current().threads()) { set(threads); }
  ~Threads() { set(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  static void set([[maybe_unused]] int threads) {
#ifdef _OPENMP
    omp_set_num_threads(threads);
#endif
  }
  int before_;
};
