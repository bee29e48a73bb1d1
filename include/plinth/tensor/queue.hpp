// SPDX-License-Identifier: MIT
// The queue a kernel runs on: for the CPU its threads and their scratch memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

#include <plinth/tensor/instruction_set.hpp>
#include <plinth/tensor/memory.hpp>

namespace plinth {

namespace detail {

/// body(i) for i in [begin, end), as a job for run_job.
template <class F>
struct LoopJob {
  const F& body;
  std::int64_t begin, end;
  template <InstructionSet>
  void run() const {
    for (std::int64_t i = begin; i < end; ++i) body(i);
  }
};

}  // namespace detail

/// Where kernels of device D run, in order. A backend specialises it; every specialisation has
/// static current() and synchronize().
template <class D>
class queue;

/// What a callable has queued on device D, to be queued again at once as often as wanted. Optional: a backend whose
/// queue can be recorded specialises it.
template <class D>
class graph;

/// The calling thread's CPU queue: a parallel loop over blocks, and scratch memory per thread.
template <>
class queue<Cpu> {
 public:
  /// The queue of the calling thread.
  static queue& current() {
    thread_local queue instance;
    return instance;
  }

  queue() = default;
  queue(const queue&) = delete;
  queue& operator=(const queue&) = delete;
  ~queue() {
    if (scratch_) memory<Cpu>::release(scratch_, scratch_bytes_);
  }

  /// How many threads a parallel loop may have: OpenMP's number, 1 inside a parallel region and without OpenMP.
  int threads() const {
#ifdef _OPENMP
    return omp_in_parallel() ? 1 : omp_get_max_threads();
#else
    return 1;
#endif
  }

  /// Waits until everything queued is done: at once, since CPU kernels run inside the call.
  void synchronize() {}

  /// Calls body(i) for every i in [0, blocks), split evenly over the threads, compiled for the processor's instruction
  /// set. What a block computes must not depend on the number of threads. body must not throw, allocate or call back.
  template <class F>
  void parallel(std::int64_t blocks, const F& body) {
    const InstructionSet set = instruction_set();
    each_thread(blocks, [&](int, std::int64_t begin, std::int64_t end) {
      run_job(set, detail::LoopJob<F>{body, begin, end});
    });
  }

  /// Calls body(thread, begin, end) once per thread with its share of [0, blocks); no target attribute is applied.
  template <class F>
  void each_thread(std::int64_t blocks, const F& body) {
    fork(blocks, &body, [](const void* data, int thread, std::int64_t begin, std::int64_t end) {
      (*static_cast<const F*>(data))(thread, begin, end);
    });
  }

  /// At least `bytes` bytes, 64-byte aligned, valid until the next call. Throws MemoryError.
  void* scratch(std::size_t bytes) {
    if (bytes > scratch_bytes_) {
      if (scratch_) memory<Cpu>::release(scratch_, scratch_bytes_);
      scratch_ = nullptr;
      scratch_bytes_ = 0;
      scratch_ = memory<Cpu>::allocate(bytes);
      scratch_bytes_ = bytes;
    }
    return scratch_;
  }

 private:
  /// each_thread for a body whose type is erased: one parallel region serves all, which compiles faster than one for each.
  void fork(std::int64_t blocks, const void* data, void (*body)(const void*, int, std::int64_t, std::int64_t)) {
#ifdef _OPENMP
    const int count = static_cast<int>(blocks < threads() ? blocks : threads());
    if (count > 1) {
#pragma omp parallel num_threads(count)
      {
        const std::int64_t thread = omp_get_thread_num(), total = omp_get_num_threads();
        body(data, static_cast<int>(thread), blocks * thread / total, blocks * (thread + 1) / total);
      }
      return;
    }
#endif
    if (blocks > 0) body(data, 0, 0, blocks);
  }

  void* scratch_ = nullptr;
  std::size_t scratch_bytes_ = 0;
};

}  // namespace plinth
