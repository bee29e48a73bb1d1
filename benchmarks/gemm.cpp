// SPDX-License-Identifier: MIT
// Speed of the CPU matrix product at a transformer's shapes beside the processor's limit and other libraries: NT, a
// linear layer's forward pass (C = A B^T); NN and TN, its gradients of the same sizes; packed, NT with weights that
// were packed before. Of one row, as when a model writes a token, the limit is reading the weights.
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <plinth/kernels/cpu/gemm.hpp>
#include <plinth/tensor/tensor.hpp>

#include "gemm_peers.hpp"

namespace {

using plinth::Cpu;

struct Shape {
  std::int64_t M, N, K;
};

struct Options {
  bool json = false;
  int samples = 9;
  std::vector<int> threads = {1};
  std::vector<std::string> types = {"float", "bfloat16"}, forms = {"NT", "NN", "TN", "packed"};
};

plinth::MatrixLayout layout(bool transposed, std::int64_t rows, std::int64_t columns) {
  if (transposed) return {1, rows, rows * columns};
  return {columns, 1, rows * columns};
}

std::vector<Shape> shapes() {
  std::vector<Shape> all;
  for (const std::int64_t M : {64, 256, 1024})
    for (const auto& [N, K] : {std::pair{3072, 768}, {768, 3072}, {4096, 4096}}) all.push_back({M, N, K});
  all.push_back({256, 50257, 768});  // GPT-2's head
  return all;
}

template <class T>
benchmark::Row product(const std::string& type, const std::string& form, const Shape& s, int threads, int samples) {
  const auto a = benchmark::numbers<T>(s.M * s.K, 1), b = benchmark::numbers<T>(s.K * s.N, 2);
  std::vector<T> c(static_cast<std::size_t>(s.M * s.N));
  const bool packed = form == "packed";  // C = A B^T, of which B was packed before
  const benchmark::Product operands{form[0] == 'T', packed || form[1] == 'T', s.M, s.N, s.K};
  const plinth::GemmShape shape{
      1, s.M, s.N, s.K, layout(operands.a_transposed, s.M, s.K), layout(operands.b_transposed, s.K, s.N), {s.N, 1, 0}};
  using plinth::cpu::CpuGemm;
  auto& queue = plinth::queue<Cpu>::current();
  plinth::Tensor<float> packed_b;
  if (packed) {
    packed_b = plinth::Tensor<float>({CpuGemm::packed_bytes<T>(s.N, s.K) / std::int64_t{sizeof(float)}});
    CpuGemm::pack_b(queue, shape, b.data(), packed_b.mutable_data());
  }
  std::vector<benchmark::Contender> contenders = {{"Plinth", [&] {
                                                     CpuGemm::gemm_bias_activation(
                                                         queue, shape, plinth::Identity(), a.data(), b.data(),
                                                         static_cast<const T*>(nullptr), c.data(),
                                                         static_cast<T*>(nullptr), packed_b.data());
                                                   }}};
  for (auto& peer : benchmark::gemm_peers(operands, a.data(), b.data(), c.data()))
    contenders.push_back(std::move(peer));
  const std::string name = (s.M == 1 ? "decode " + type : "GEMM " + type + " " + form) + " " + std::to_string(s.M) +
                           " x " + std::to_string(s.N) + " x " + std::to_string(s.K);
  if (s.M == 1) {
    const auto* const weights = reinterpret_cast<const float*>(b.data());
    const std::int64_t bytes = s.N * s.K * std::int64_t{sizeof(T)};
    return benchmark::measure(
        name, threads, "GB/s", static_cast<double>(bytes),
        [&] { return benchmark::read_rate(weights, bytes / 4, threads); }, contenders, samples);
  }
  return benchmark::measure(
      name, threads, "GFLOP/s", 2.0 * static_cast<double>(s.M * s.N * s.K), [&] { return benchmark::peak<T>(threads); },
      contenders, samples);
}

template <class T>
void print(const benchmark::Table& table, const Options& options, const std::string& type) {
  for (const int threads : options.threads) {
    benchmark::use_threads(threads);
    for (const std::string& form : options.forms) {
      for (const Shape& shape : shapes()) table.print(product<T>(type, form, shape, threads, options.samples));
      // 256 MB at least: a smaller matrix would stay in the last cache.
      if (form == "NT") table.print(product<T>(type, form, {1, 32768, 4096}, threads, options.samples));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("The matrix product beside other libraries.\nExample: gemm --types float --forms NT --threads 1");
  Options options;
  const int most = benchmark::all_threads();
  if (most > 1) options.threads.push_back(most);
  app.option_defaults()->always_capture_default();
  app.add_flag("--json", options.json, "Print a JSON object for each row");
  app.add_option("--samples", options.samples, "Samples, of which the median counts")->check(CLI::Range(1, 1000));
  app.add_option("--threads", options.threads, "Numbers of threads")->check(CLI::Range(1, most));
  app.add_option("--types", options.types, "Element types")->check(CLI::IsMember({"float", "bfloat16"}));
  app.add_option("--forms", options.forms, "Which of A and B is transposed; packed: NT of a B that was packed before")
      ->check(CLI::IsMember({"NT", "NN", "TN", "packed"}));
  CLI11_PARSE(app, argc, argv);
  const benchmark::Table table(options.json);
  for (const std::string& type : options.types) {
    if (type == "float")
      print<float>(table, options, type);
    else
      print<plinth::bfloat16>(table, options, type);
  }
}
