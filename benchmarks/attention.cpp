// SPDX-License-Identifier: MIT
// Speed of the CPU's causal attention beside the processor's limit: forward 4 B H D T^2 / 2 operations, backward 2.5
// times as many. Each sample stands between two measurements of the limit; the table shows medians.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

#include <plinth/kernels/cpu/attention.hpp>

#include "limit.hpp"

namespace {

using plinth::Cpu;

constexpr int repetitions = 9;

struct Case {
  std::int64_t B, H, G, T, D;  // batch, heads, key heads, sequence, head size
  plinth::AttentionShape shape;
  std::vector<float> query, key, value, output, log_sum_exp, doutput, dquery, dkey, dvalue;
  std::vector<benchmark::Sample> forward, backward;

  Case(std::int64_t B_, std::int64_t H_, std::int64_t G_, std::int64_t T_, std::int64_t D_)
      : B(B_), H(H_), G(G_), T(T_), D(D_), query(benchmark::numbers(B * H * T * D, 1)),
        key(benchmark::numbers(B * G * T * D, 2)), value(benchmark::numbers(B * G * T * D, 3)), output(query.size()),
        log_sum_exp(static_cast<std::size_t>(B * H * T)), doutput(benchmark::numbers(B * H * T * D, 4)),
        dquery(query.size()), dkey(key.size()), dvalue(value.size()) {
    const plinth::HeadLayout wide{T * H * D, D, H * D}, narrow{T * G * D, D, G * D};  // (B, T, H, D) in memory
    shape = {.batch = B, .heads = H, .key_heads = G, .queries = T, .keys = T, .head_size = D, .query = wide,
             .key = narrow, .value = narrow, .output = wide, .causal = true,
             .scale = 1 / std::sqrt(static_cast<double>(D))};
  }
  double flops() const { return 2.0 * static_cast<double>(B * H * D * T) * static_cast<double>(T); }
  void run_forward() {
    plinth::cpu::CpuAttention::attention(plinth::queue<Cpu>::current(), shape, nullptr, query.data(), key.data(),
                                         value.data(), output.data(), log_sum_exp.data());
  }
  void run_backward() {
    plinth::cpu::CpuAttention::attention_backward(plinth::queue<Cpu>::current(), shape, nullptr, query.data(),
                                                  key.data(), value.data(), output.data(), log_sum_exp.data(), doutput.data(),
                                                  dquery.data(), dkey.data(), dvalue.data());
  }
};

void table(int threads, std::vector<Case>& cases) {
  for (Case& one : cases) one.forward.clear(), one.backward.clear();
  for (int r = 0; r < repetitions; ++r)
    for (Case& one : cases) {
      one.forward.push_back(benchmark::sample(threads, one.flops(), [&] { one.run_forward(); }));
      one.backward.push_back(benchmark::sample(threads, 2.5 * one.flops(), [&] { one.run_backward(); }));
    }
  std::printf("\n%d thread%s, FMA limit %.0f GFLOP/s\n\n", threads, threads > 1 ? "s" : "", benchmark::peak(threads));
  std::printf("| B x H/G x T x D | forward ms | of the limit | backward ms | of the limit |\n|---|---|---|---|---|\n");
  for (const Case& one : cases) {
    const auto forward = benchmark::median(one.forward), backward = benchmark::median(one.backward);
    std::printf("| %ld x %ld/%ld x %ld x %ld | %.2f | %.2f | %.2f | %.2f |\n", static_cast<long>(one.B),
                static_cast<long>(one.H), static_cast<long>(one.G), static_cast<long>(one.T), static_cast<long>(one.D),
                one.flops() / forward.rate * 1e-6, forward.share, 2.5 * one.flops() / backward.rate * 1e-6, backward.share);
  }
}

}  // namespace

int main() {
  std::vector<Case> cases;
  for (const std::int64_t T : {512, 1024, 2048, 4096}) cases.emplace_back(1, 12, 12, T, 64);
  cases.emplace_back(1, 8, 2, 2048, 128);
  cases.emplace_back(12, 4, 4, 64, 32);  // of a small GPT
  cases.emplace_back(16, 4, 4, 128, 32);
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
