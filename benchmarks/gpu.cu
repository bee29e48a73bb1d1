// SPDX-License-Identifier: MIT
// The GPU's rows: matrix products beside cuBLASLt's own call, attention, a training step of GPT-2 124M, decoding and
// its kernels. The limit of what computes is cuBLASLt's rate for 8192 x 8192 x 8192 in bfloat16; of decoding, that of a
// device copy.
//   gpu [--json]
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include <plinth/kernels/cuda.cuh>
#include <plinth/plinth.hpp>

#include "rows.hpp"

namespace {

using plinth::bfloat16;
using plinth::Cuda;
using plinth::Tensor;
namespace cuda = plinth::cuda;

constexpr int samples = 5;

void wait() { plinth::queue<Cuda>::current().synchronize(); }

Tensor<bfloat16, Cuda> some(const plinth::Shape& shape, std::uint32_t seed = 1) {
  return {shape, benchmark::numbers<bfloat16>(plinth::element_count(shape), seed)};
}

/// A plain product C (M, N) = A (M, K) B (N, K)^T as who calls cuBLASLt by hand writes it: its first choice of an
/// algorithm, 32 MiB of workspace.
class LibraryCall {
 public:
  LibraryCall(std::int64_t M, std::int64_t N, std::int64_t K) : workspace_({bytes / 4}) {
    const auto rows = [](std::int64_t n) { return static_cast<std::uint64_t>(n); };
    cuda::check(cublasLtCreate(&handle_), "starting cuBLASLt");
    cuda::check(cublasLtMatmulDescInit(&product_, CUBLAS_COMPUTE_32F, CUDA_R_32F), "describing a product");
    const std::int32_t transposed = CUBLAS_OP_T;
    cuda::check(cublasLtMatmulDescSetAttribute(&product_, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed),
                "describing a product");
    cuda::check(cublasLtMatrixLayoutInit(&b_, CUDA_R_16BF, rows(K), rows(N), K), "describing a matrix");
    cuda::check(cublasLtMatrixLayoutInit(&a_, CUDA_R_16BF, rows(K), rows(M), K), "describing a matrix");
    cuda::check(cublasLtMatrixLayoutInit(&c_, CUDA_R_16BF, rows(N), rows(M), N), "describing a matrix");
    cublasLtMatmulPreferenceOpaque_t preference = {};
    cuda::check(cublasLtMatmulPreferenceInit(&preference), "asking for an algorithm");
    const std::uint64_t most = bytes;
    cuda::check(cublasLtMatmulPreferenceSetAttribute(&preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most,
                                                     sizeof most),
                "asking for an algorithm");
    int found = 0;
    cuda::check(cublasLtMatmulAlgoGetHeuristic(handle_, &product_, &b_, &a_, &c_, &c_, &preference, 1, &choice_, &found),
                "asking for an algorithm");
  }
  ~LibraryCall() { cublasLtDestroy(handle_); }
  LibraryCall(const LibraryCall&) = delete;
  LibraryCall& operator=(const LibraryCall&) = delete;

  void operator()(const Tensor<bfloat16, Cuda>& a, const Tensor<bfloat16, Cuda>& b, Tensor<bfloat16, Cuda>& c) {
    const float one = 1, zero = 0;
    bfloat16* const to = c.mutable_data();
    cuda::check(cublasLtMatmul(handle_, &product_, &one, b.data(), &b_, a.data(), &a_, &zero, to, &c_, to, &c_,
                               &choice_.algo, workspace_.mutable_data(), bytes, plinth::queue<Cuda>::current().stream()),
                "multiplying matrices");
  }

 private:
  static constexpr std::int64_t bytes = std::int64_t{32} << 20;
  cublasLtHandle_t handle_ = nullptr;
  cublasLtMatmulDescOpaque_t product_ = {};
  cublasLtMatrixLayoutOpaque_t a_ = {}, b_ = {}, c_ = {};
  cublasLtMatmulHeuristicResult_t choice_ = {};
  Tensor<float, Cuda> workspace_;
};

/// Operations a second of cuBLASLt where it is at its best.
double peak() {
  constexpr std::int64_t size = 8192;
  static LibraryCall call(size, size, size);
  static const auto a = some({size, size}, 1), b = some({size, size}, 2);
  static Tensor<bfloat16, Cuda> c({size, size});
  wait();
  const double start = benchmark::now();
  for (int i = 0; i < 4; ++i) call(a, b, c);
  wait();
  return 4 * 2.0 * size * size * size / (benchmark::now() - start);
}

/// Bytes a second that a copy within the device reads and writes.
double copy_rate() {
  constexpr std::size_t bytes = std::size_t{1} << 30;
  static const Tensor<float, Cuda> from({static_cast<std::int64_t>(bytes / 4)});
  static Tensor<float, Cuda> to({static_cast<std::int64_t>(bytes / 4)});
  wait();
  const double start = benchmark::now();
  for (int i = 0; i < 4; ++i)
    cuda::check(cudaMemcpyAsync(to.mutable_data(), from.data(), bytes, cudaMemcpyDeviceToDevice,
                                plinth::queue<Cuda>::current().stream()),
                "copying");
  wait();
  return 4 * 2.0 * static_cast<double>(bytes) / (benchmark::now() - start);
}

void print_products(const benchmark::Table& table) {
  struct Sizes {
    std::int64_t M, N, K;
  };
  for (const auto& [M, N, K] : {Sizes{8192, 8192, 8192}, Sizes{4096, 4096, 4096}, Sizes{32768, 768, 768},
                                Sizes{32768, 3072, 768}, Sizes{32768, 768, 3072}, Sizes{8192, 14336, 4096}}) {
    const auto a = some({M, K}, 1), b = some({N, K}, 2), bias = some({N}, 3);
    Tensor<bfloat16, Cuda> c({M, N}), z({M, N});
    LibraryCall library(M, N, K);
    const plinth::GemmShape shape{1, M, N, K, {K, 1, 0}, {1, K, 0}, {N, 1, 0}};
    auto& queue = plinth::queue<Cuda>::current();
    const std::string name = "GPU product bfloat16 " + std::to_string(M) + " x " + std::to_string(N) + " x " + std::to_string(K);
    const double flops = 2.0 * static_cast<double>(M * N) * static_cast<double>(K);
    table.print(benchmark::measure(name, 1, "GFLOP/s", flops, peak,
                                   {{"Plinth", [&] {
                                       plinth::kernels<Cuda>::gemm(queue, shape, a.data(), b.data(), c.mutable_data(), false);
                                       wait();
                                     }},
                                    {"cuBLASLt", [&] { library(a, b, c), wait(); }}},
                                   samples));
    table.print(benchmark::measure(name + " with bias and GELU", 1, "GFLOP/s", flops, peak,
                                   {{"Plinth", [&] {
                                       plinth::kernels<Cuda>::gemm_bias_activation(queue, shape, plinth::GeluTanh(), a.data(),
                                                                                   b.data(), bias.data(), c.mutable_data(),
                                                                                   z.mutable_data());
                                       wait();
                                     }}},
                                   samples));
  }
}

/// What a linear layer's gradients take from their products on the way, beside passes of their own: dz = GELU'(z) (dy W)
/// and, with dW = dz^T x, the bias's gradient.
void print_products_of_gradients(const benchmark::Table& table) {
  using Kernels = plinth::kernels<Cuda>;
  constexpr std::int64_t rows = 32768;
  auto& queue = plinth::queue<Cuda>::current();
  for (const std::int64_t C : {768, 4096}) {
    const std::int64_t F = 4 * C;
    const auto dy = some({rows, C}, 1), w = some({C, F}, 2), z = some({rows, F}, 3);
    Tensor<bfloat16, Cuda> dz({rows, F}), dw({C, F}), db({C});
    const plinth::GemmShape product{1, rows, F, C, {C, 1, 0}, {F, 1, 0}, {F, 1, 0}};
    const plinth::GemmShape weights{1, C, F, rows, {1, C, 0}, {F, 1, 0}, {F, 1, 0}};
    const auto print = [&](const char* what, const auto& fused, const auto& composed) {
      table.print(benchmark::measure("GPU gradients bfloat16 " + std::to_string(rows) + " x " + std::to_string(F) + " x " +
                                         std::to_string(C) + what,
                                     1, "GFLOP/s", 2.0 * static_cast<double>(rows * F) * static_cast<double>(C), peak,
                                     {{"Plinth", [&] { fused(), wait(); }}, {"composed", [&] { composed(), wait(); }}},
                                     samples));
    };
    print(", through GELU",
          [&] {
            Kernels::gemm_activation_backward(queue, product, plinth::GeluTanh(), dy.data(), w.data(), z.data(),
                                              dz.mutable_data());
          },
          [&] {
            Kernels::gemm(queue, product, dy.data(), w.data(), dz.mutable_data(), false);
            Kernels::pointwise_backward(queue, dz.count(), plinth::GeluTanh(), z.data(), dz.data(), dz.mutable_data());
          });
    print(", weight and bias",
          [&] {
            Kernels::linear_weight_backward(queue, rows, C, F, dy.data(), z.data(), dw.mutable_data(), db.mutable_data());
          },
          [&] {
            Kernels::gemm(queue, weights, dy.data(), z.data(), dw.mutable_data(), false);
            Kernels::reduce_sum(queue, 1, rows, C, dy.data(), db.mutable_data());
          });
  }
}

/// Causal, 16,384 tokens in all and 2048 channels: forward 4 B H D T^2 / 2 operations, backward 2.5 times as many.
void print_attention(const benchmark::Table& table) {
  for (const std::int64_t D : {64, 128})
    for (const std::int64_t T : {1024, 4096, 16384}) {
      const std::int64_t B = 16384 / T, H = 2048 / D;
      const auto heads = [&](std::uint32_t seed) {
        auto x = plinth::split_heads(some({B, T, H * D}, seed), H);
        plinth::require_gradient(x);
        return x;
      };
      const auto query = heads(1), key = heads(2), value = heads(3), seed = plinth::detach(heads(4));
      Tensor<bfloat16, Cuda> y;
      const auto forget = [&] {
        y = {};
        for (const auto* x : {&query, &key, &value}) plinth::clear_gradient(*x);
        wait();
      };
      const auto attend = [&] {
        y = plinth::attention(query, key, value, {.causal = true});
        wait();
      };
      const auto differentiate = [&] {
        plinth::backward(y, seed);
        wait();
      };
      const std::string name = "GPU attention bfloat16 B" + std::to_string(B) + " H" + std::to_string(H) + " D" +
                               std::to_string(D) + " T" + std::to_string(T);
      const double flops = 2.0 * static_cast<double>(B * H * D * T) * static_cast<double>(T);
      table.print(benchmark::measure(name + " forward", 1, "GFLOP/s", flops, peak, {{"Plinth", attend, forget}}, samples));
      table.print(benchmark::measure(name + " backward", 1, "GFLOP/s", 2.5 * flops, peak,
                                     {{"Plinth", differentiate, [&] { forget(), attend(); }}}, samples));
    }
}

/// Bytes of keys and values that one query of each head reads a second, and of logits that choosing a token does.
void print_token_kernels(const benchmark::Table& table) {
  const plinth::NoGradient no_gradient;
  for (const std::int64_t B : {1, 32}) {
    const std::int64_t S = B == 1 ? 65536 : 4096, H = 32, G = 8, D = 128;
    const auto query = some({B, H, 1, D}, 1), key = some({B, G, S, D}, 2), value = some({B, G, S, D}, 3);
    table.print(benchmark::measure("GPU attention bfloat16 B" + std::to_string(B) + " H32 G8 D128, 1 query of " +
                                       std::to_string(S) + " keys",
                                   1, "GB/s", 2.0 * 2 * static_cast<double>(B * G * S * D), copy_rate,
                                   {{"Plinth", [&] {
                                       plinth::attention(query, key, value, {.causal = true});
                                       wait();
                                     }}},
                                   samples));
  }
  const std::int64_t V = 128256;
  const auto logits = some({1, V});
  Tensor<std::int32_t, Cuda> drawn({1}, std::vector<std::int32_t>{0}), token({1});
  table.print(benchmark::measure("GPU sample bfloat16 of 128256, temperature 0.8, top 50, 0.95", 1, "GB/s", 2.0 * V, copy_rate,
                                 {{"Plinth", [&] {
                                     plinth::kernels<Cuda>::sample(plinth::queue<Cuda>::current(), 1, V,
                                                                   {.temperature = 0.8, .top_k = 50, .top_p = 0.95}, {},
                                                                   logits.data(), drawn.mutable_data(), token.mutable_data());
                                     wait();
                                   }}},
                                 samples));
}

/// Forward, backward, clipping and AdamW; 6 operations per parameter and token.
void print_training_step(const benchmark::Table& table) {
  constexpr std::int64_t vocabulary = 50257, batch = 32, context = 1024, steps = 10;
  plinth::Decoder<bfloat16, Cuda> model(
      {.vocabulary = vocabulary, .context = context, .hidden = 768, .layers = 12, .heads = 12});
  plinth::Trainer trainer(model, {.steps = steps + 2, .batch = batch, .context = context});
  std::vector<std::int32_t> ids(static_cast<std::size_t>(batch * context * 4));
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i * 7919 % vocabulary);
  const double flops = 6.0 * static_cast<double>(plinth::parameter_count(model) * batch * context);
  std::vector<double> seconds;
  const double before = peak();
  double start = benchmark::now();
  trainer.fit(plinth::TokenWindows(ids), [&](const plinth::TrainingStep& report) {
    wait();
    if (report.step > 2) seconds.push_back(benchmark::now() - start);  // the first two load and record
    start = benchmark::now();
  });
  const double taken = benchmark::median(seconds);
  table.print({"GPU GPT-2 124M step bfloat16 B32 T1024", 1, "s", {{"Plinth", taken, 2 * flops / taken / (before + peak())}}});
}

/// Bytes of weights read a second while tokens are written one by one, beside a copy's.
void print_decoding(const benchmark::Table& table, const char* name, const plinth::TransformerConfig& config) {
  constexpr std::int64_t length = 64;
  const plinth::Decoder<bfloat16, Cuda> model(config);
  const std::int64_t looked_up = config.tied_head ? 0 : config.vocabulary * config.hidden;  // one row of it is read
  const double bytes = 2.0 * static_cast<double>(plinth::parameter_count(model) - looked_up);
  table.print(benchmark::measure(std::string("GPU decode bfloat16 ") + name, 1, "GB/s", bytes * length, copy_rate,
                                 {{"Plinth", [&] {
                                     plinth::generate(model, {1, 2, 3}, {.length = length, .sampling = {.temperature = 0}});
                                   }}},
                                 samples));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
      std::fprintf(stderr, "gpu: no CUDA device\n");
      return 77;
    }
    const benchmark::Table table(argc > 1 && std::strcmp(argv[1], "--json") == 0);
    print_products(table);
    print_products_of_gradients(table);
    print_attention(table);
    print_token_kernels(table);
    print_training_step(table);
    print_decoding(table, "GPT-2 124M", {.vocabulary = 50257, .context = 1024, .hidden = 768, .layers = 12, .heads = 12});
    print_decoding(table, "Llama 8B, 8 of 32 layers",
                   plinth::llama_shape({.vocabulary = 32000, .context = 1024, .hidden = 4096, .layers = 8, .heads = 32,
                                        .key_heads = 8, .feed_forward = 14336}));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gpu: %s\n", error.what());
    return 1;
  }
}
