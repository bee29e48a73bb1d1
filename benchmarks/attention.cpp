// SPDX-License-Identifier: MIT
// Speed of causal attention beside the processor's limit and beside its composed form: forward 4 B H D T^2 / 2
// operations, backward 2.5 times as many. B batch, H heads, G key heads, T sequence, D head size.
#include <cstdint>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <plinth/attention/attention.hpp>

#include "rows.hpp"

namespace {

using plinth::Tensor;

struct Shape {
  std::int64_t B, H, G, T, D;
};

/// (B, H, T, D) as a model has it, where a token's heads are side by side in memory, to take a gradient of.
Tensor<float> heads(std::int64_t B, std::int64_t H, std::int64_t T, std::int64_t D, std::uint32_t seed) {
  auto x = plinth::split_heads(Tensor<float>({B, T, H * D}, benchmark::numbers(B * T * H * D, seed)), H);
  plinth::require_gradient(x);
  return x;
}

struct Case {
  Shape shape;
  Tensor<float> query = heads(shape.B, shape.H, shape.T, shape.D, 1),
                key = heads(shape.B, shape.G, shape.T, shape.D, 2),
                value = heads(shape.B, shape.G, shape.T, shape.D, 3),
                seed = plinth::detach(heads(shape.B, shape.H, shape.T, shape.D, 4));
  Tensor<float> y{};

  void forget() {
    y = {};
    for (const auto* x : {&query, &key, &value}) plinth::clear_gradient(*x);
  }
  void attend(bool composed) {
    const plinth::AttentionMask<float> causal{.causal = true};
    y = composed ? plinth::composed_attention(query, key, value, causal) : plinth::attention(query, key, value, causal);
  }
  benchmark::Contender forward(const char* name, bool composed) {
    return {name, [this, composed] { attend(composed); }, [this] { forget(); }};
  }
  benchmark::Contender backward(const char* name, bool composed) {
    return {name, [this] { plinth::backward(y, seed); }, [this, composed] { forget(), attend(composed); }};
  }
};

void print(const benchmark::Table& table, const Shape& s, int threads, int samples) {
  Case one{s};
  const double flops = 2.0 * static_cast<double>(s.B * s.H * s.D * s.T) * static_cast<double>(s.T);
  const auto limit = [&] { return benchmark::peak<float>(threads); };
  const std::string name = "attention float B" + std::to_string(s.B) + " H" + std::to_string(s.H) +
                           (s.G == s.H ? "" : "/" + std::to_string(s.G)) + " D" + std::to_string(s.D) + " T" +
                           std::to_string(s.T);
  std::vector<benchmark::Contender> forward = {one.forward("Plinth", false)},
                                    backward = {one.backward("Plinth", false)};
  if (s.T <= 4096) {  // the composed form's memory grows with T^2
    forward.push_back(one.forward("composed", true));
    backward.push_back(one.backward("composed", true));
  }
  table.print(benchmark::measure(name + " forward", threads, "GFLOP/s", flops, limit, forward, samples));
  table.print(benchmark::measure(name + " backward", threads, "GFLOP/s", 2.5 * flops, limit, backward, samples));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Causal attention beside its composed form.\nExample: attention --contexts 1024 2048 --threads 1");
  bool json = false;
  int samples = 9;
  const int most = benchmark::all_threads();
  std::vector<int> threads = {most};
  std::vector<std::int64_t> contexts = {1024, 2048, 4096};
  app.option_defaults()->always_capture_default();
  app.add_flag("--json", json, "Print a JSON object for each row");
  app.add_option("--samples", samples, "Samples, of which the median counts")->check(CLI::Range(1, 1000));
  app.add_option("--threads", threads, "Numbers of threads")->check(CLI::Range(1, most));
  app.add_option("--contexts", contexts, "Tokens of a sequence with GPT-2's heads")->check(CLI::Range(1, 1 << 20));
  CLI11_PARSE(app, argc, argv);
  const benchmark::Table table(json);
  for (const int count : threads) {
    benchmark::use_threads(count);
    for (const std::int64_t T : contexts) print(table, {1, 12, 12, T, 64}, count, samples);
    print(table, {1, 8, 2, 2048, 128}, count, samples);
    print(table, {12, 4, 4, 64, 32}, count, samples);  // of nanogpt_recipe
  }
}
