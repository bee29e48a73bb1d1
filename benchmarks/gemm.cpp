// SPDX-License-Identifier: MIT
// Speed of the CPU matrix product beside the processor's limit and, where it is installed, beside Eigen.
//
// Compile twice for the two figures that matter, without and with the machine's own flags:
//   g++ -std=c++20 -O3 -DNDEBUG -fopenmp -Iinclude -isystem /usr/include/eigen3 benchmarks/gemm.cpp -o gemm
//   g++ -std=c++20 -O3 -DNDEBUG -fopenmp -march=native -Iinclude -isystem /usr/include/eigen3 benchmarks/gemm.cpp -o gemm_native
// Every repetition measures the limit, then each shape; the table shows medians. NT: C = A B^T, and so on.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <utility>
#include <vector>

#include <plinth/kernels/cpu/gemm.hpp>

#if __has_include(<Eigen/Core>)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Core>
#endif

namespace {

using plinth::Cpu;
using plinth::GemmShape;
using plinth::InstructionSet;

constexpr int repetitions = 15;
constexpr double sample_seconds = 0.01;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

/// Fused multiply-adds on registers alone.
struct PeakJob {
  std::int64_t rounds;
  float* sink;

  static constexpr int chains = 12;

  template <InstructionSet Set>
  [[gnu::always_inline]] inline void run() const {
    spin<plinth::cpu::GemmTile<Set>::bytes>(std::make_integer_sequence<int, chains>{});
  }
  template <int Bytes, int... I>
  [[gnu::always_inline]] inline void spin(std::integer_sequence<int, I...>) const {
    using V = typename plinth::cpu::Vector<float, Bytes>::type;
    V x, y;
    __builtin_memcpy(&x, sink, sizeof x);
    __builtin_memcpy(&y, sink + 16, sizeof y);
    V sum[chains] = {x * float{I}...};
    for (std::int64_t i = 0; i < rounds; ++i) ((sum[I] = sum[I] * x + y), ...);
    ((x += sum[I]), ...);
    __builtin_memcpy(sink, &x, sizeof x);
  }
  static double flops(std::int64_t rounds) {
    const double lanes = static_cast<double>(plinth::cpu::tile_size<float>(plinth::instruction_set()).columns) / 2;
    return 2.0 * chains * lanes * static_cast<double>(rounds);
  }
};

/// GFLOP/s of all threads together.
double peak(int threads) {
  constexpr std::int64_t rounds = 400000;
  std::vector<float> sinks(static_cast<std::size_t>(threads) * 64, 1e-3f);
  const double start = now();
  plinth::queue<Cpu>::current().each_thread(threads, [&](int thread, std::int64_t, std::int64_t) {
    plinth::cpu::run_job(plinth::instruction_set(), PeakJob{rounds, sinks.data() + thread * 64});
  });
  return threads * PeakJob::flops(rounds) / (now() - start) * 1e-9;
}

struct Case {
  const char* form;
  std::int64_t batch, M, N, K;
  std::vector<float> a, b, c;
  GemmShape shape;
  std::vector<double> ours, eigen;

  Case(const char* form_, std::int64_t M_, std::int64_t N_, std::int64_t K_, std::int64_t batch_ = 1)
      : form(form_), batch(batch_), M(M_), N(N_), K(K_), a(size(M_ * K_)), b(size(K_ * N_)), c(size(M_ * N_)) {
    fill(a);
    fill(b);
    shape = {batch, M, N, K, layout(form[0], M, K), layout(form[1], K, N), {N, 1, M * N}};
  }
  double flops() const { return 2.0 * static_cast<double>(batch * M * N * K); }

  void run_ours() {
    plinth::cpu::CpuGemm::gemm(plinth::queue<Cpu>::current(), shape, a.data(), b.data(), c.data(), false);
  }
#ifdef EIGEN_CORE_H
  template <int A, int B>
  void run_eigen() {
    using Row = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    for (std::int64_t n = 0; n < batch; ++n) {
      Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, A>> left(a.data() + n * M * K, M, K);
      Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, B>> right(b.data() + n * K * N, K, N);
      Eigen::Map<Row>(c.data() + n * M * N, M, N).noalias() = left * right;
    }
  }
  void run_peer() {
    if (form[0] == 'T') return run_eigen<Eigen::ColMajor, Eigen::RowMajor>();
    if (form[1] == 'T') return run_eigen<Eigen::RowMajor, Eigen::ColMajor>();
    run_eigen<Eigen::RowMajor, Eigen::RowMajor>();
  }
#endif

 private:
  std::size_t size(std::int64_t elements) const { return static_cast<std::size_t>(batch * elements); }
  static plinth::MatrixLayout layout(char form, std::int64_t rows, std::int64_t columns) {
    if (form == 'T') return {1, rows, rows * columns};
    return {columns, 1, rows * columns};
  }
  static void fill(std::vector<float>& x) {
    std::uint32_t state = 1;
    for (float& value : x) value = static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) * 0x1p-24f - 0.5f;
  }
};

/// GFLOP/s of `call` over at least sample_seconds.
template <class F>
double rate(double flops, const F& call) {
  call();
  std::int64_t calls = 0;
  const double start = now();
  double seconds = 0;
  do {
    call();
    ++calls;
    seconds = now() - start;
  } while (seconds < sample_seconds);
  return flops * static_cast<double>(calls) / seconds * 1e-9;
}

void table(int threads, std::vector<Case>& cases) {
  std::vector<double> peaks;
  for (Case& one : cases) one.ours.clear(), one.eigen.clear();
  for (int r = 0; r < repetitions; ++r)
    for (Case& one : cases) {
      peaks.push_back(peak(threads));
      one.ours.push_back(rate(one.flops(), [&] { one.run_ours(); }));
#ifdef EIGEN_CORE_H
      if (threads == 1) one.eigen.push_back(rate(one.flops(), [&] { one.run_peer(); }));
#endif
    }
  const double limit = median(peaks);
  std::printf("\n%d thread%s, FMA limit %.0f GFLOP/s\n\n", threads, threads > 1 ? "s" : "", limit);
  std::printf("| form | batch x M x N x K | GFLOP/s | of the limit | us | Eigen, of the limit |\n|---|---|---|---|---|---|\n");
  for (const Case& one : cases) {
    const double ours = median(one.ours);
    std::printf("| %s | %ld x %ld x %ld x %ld | %.1f | %.2f | %.1f |", one.form, static_cast<long>(one.batch),
                static_cast<long>(one.M), static_cast<long>(one.N), static_cast<long>(one.K), ours, ours / limit,
                one.flops() / ours * 1e-3);
    if (one.eigen.empty())
      std::printf(" |\n");
    else
      std::printf(" %.2f |\n", median(one.eigen) / limit);
  }
}

}  // namespace

int main() {
  std::vector<Case> cases;
  cases.emplace_back("NT", 1024, 768, 3072);
  cases.emplace_back("NN", 1024, 768, 3072);
  cases.emplace_back("TN", 1024, 768, 3072);
  cases.emplace_back("NN", 2048, 2048, 2048);
  cases.emplace_back("NT", 64, 768, 768);
  cases.emplace_back("NT", 768, 384, 128);  // a layer of a small GPT: y = x W^T, dx = dy W, dW = dy^T x
  cases.emplace_back("NN", 768, 128, 384);
  cases.emplace_back("TN", 384, 128, 768);
  cases.emplace_back("NT", 768, 128, 128);
  cases.emplace_back("NN", 768, 128, 128);
  cases.emplace_back("TN", 128, 128, 768);
  cases.emplace_back("NT", 768, 512, 128);
  cases.emplace_back("NN", 768, 128, 512);
  cases.emplace_back("TN", 512, 128, 768);
  cases.emplace_back("NT", 768, 128, 512);
  cases.emplace_back("NN", 768, 512, 128);
  cases.emplace_back("TN", 128, 512, 768);
  cases.emplace_back("NT", 768, 65, 128);
  cases.emplace_back("NN", 768, 128, 65);
  cases.emplace_back("TN", 65, 128, 768);
  cases.emplace_back("NT", 64, 64, 32, 48);
  cases.emplace_back("NN", 64, 32, 64, 48);
  const int threads = plinth::queue<Cpu>::current().threads();
#ifdef _OPENMP
  omp_set_num_threads(1);
#endif
  table(1, cases);
#ifdef _OPENMP
  omp_set_num_threads(threads);
  if (threads > 1) table(threads, cases);
#endif
}
