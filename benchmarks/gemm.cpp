// SPDX-License-Identifier: MIT
// Speed of the CPU matrix product beside the processor's limit and, where it is installed, beside Eigen.
//
// Compile twice for the two figures that matter, without and with the machine's own flags:
//   g++ -std=c++20 -O3 -DNDEBUG -fopenmp -Iinclude -isystem /usr/include/eigen3 benchmarks/gemm.cpp -o gemm
//   g++ -std=c++20 -O3 -DNDEBUG -fopenmp -march=native -Iinclude -isystem /usr/include/eigen3 benchmarks/gemm.cpp -o gemm_native
// Each sample stands between two measurements of the limit; the table shows medians. NT: C = A B^T, and so on.
#include <cstdint>
#include <cstdio>
#include <vector>

#include <plinth/kernels/cpu/gemm.hpp>

#include "limit.hpp"

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

constexpr int repetitions = 9;

struct Case {
  const char* form;
  std::int64_t batch, M, N, K;
  std::vector<float> a, b, c;
  GemmShape shape;
  std::vector<benchmark::Sample> ours, eigen;

  Case(const char* form_, std::int64_t M_, std::int64_t N_, std::int64_t K_, std::int64_t batch_ = 1)
      : form(form_), batch(batch_), M(M_), N(N_), K(K_), a(benchmark::numbers(batch_ * M_ * K_)), b(benchmark::numbers(batch_ * K_ * N_)),
        c(static_cast<std::size_t>(batch_ * M_ * N_)) {
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
  static plinth::MatrixLayout layout(char form, std::int64_t rows, std::int64_t columns) {
    if (form == 'T') return {1, rows, rows * columns};
    return {columns, 1, rows * columns};
  }
};

void table(int threads, std::vector<Case>& cases) {
  for (Case& one : cases) one.ours.clear(), one.eigen.clear();
  for (int r = 0; r < repetitions; ++r)
    for (Case& one : cases) {
      one.ours.push_back(benchmark::sample(threads, one.flops(), [&] { one.run_ours(); }));
#ifdef EIGEN_CORE_H
      if (threads == 1) one.eigen.push_back(benchmark::sample(threads, one.flops(), [&] { one.run_peer(); }));
#endif
    }
  std::printf("\n%d thread%s, FMA limit %.0f GFLOP/s\n\n", threads, threads > 1 ? "s" : "", benchmark::peak(threads));
  std::printf("| form | batch x M x N x K | GFLOP/s | of the limit | us | Eigen, of the limit |\n|---|---|---|---|---|---|\n");
  for (const Case& one : cases) {
    const auto ours = benchmark::median(one.ours);
    std::printf("| %s | %ld x %ld x %ld x %ld | %.1f | %.2f | %.1f |", one.form, static_cast<long>(one.batch),
                static_cast<long>(one.M), static_cast<long>(one.N), static_cast<long>(one.K), ours.rate, ours.share,
                one.flops() / ours.rate * 1e-3);
    if (one.eigen.empty())
      std::printf(" |\n");
    else
      std::printf(" %.2f |\n", benchmark::median(one.eigen).share);
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
