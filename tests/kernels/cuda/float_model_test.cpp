// SPDX-License-Identifier: MIT
// Decoders in float on CUDA, and their attention. Apart from model_test.cpp, since nvcc takes long for every element type of a model.
#include <plinth/kernels/cuda.cuh>

#include "kernels/models_on_devices.hpp"

using namespace models_on_devices;

TEST_CASE("cuda: decoders in float give the numbers of plain loops", "[cuda]") {
  for (const TransformerConfig& config : {gpt, llama, other}) compare<float, Cuda>(config, 1e-5);
}

TEST_CASE("cuda: decoders in float write what they write in plain loops, by every way to choose a token", "[cuda]") {
  const auto on_cuda = decoder<float, Cuda>(llama);
  const auto on_plain = decoder<float, Plain>(llama);
  for (const SamplingOptions& sampling :
       {SamplingOptions{}, {.temperature = 0}, {.temperature = 0.8, .top_k = 6, .top_p = 0.9, .min_p = 0.05},
        {.repetition_penalty = 1.3}}) {
    const GenerateOptions asked{.length = 9, .sampling = sampling, .seed = 3};
    CHECK(generate(on_cuda, {1, 2, 3}, asked) == generate(on_plain, {1, 2, 3}, asked));
  }
  for_each_parameter(on_cuda, [](const std::string&, Tensor<float, Cuda> x) {
    kernels<Cuda>::fill(queue<Cuda>::current(), x.count(), std::nanf(""), x.mutable_data());
  });
  CHECK_THROWS_AS(generate(on_cuda, {1, 2, 3}), ArgumentError);
}

TEST_CASE("cuda attention in float: few queries take the split kernel, others and gradients the composed form",
          "[cuda]") {
  const auto run = [](std::int64_t queries, bool composed, bool gradient) {
    Tensor<float, Cuda> q({2, 4, queries, 8}, numbers::normal<float>(2 * 4 * queries * 8, 1)),
        k({2, 2, 150, 8}, numbers::normal<float>(2 * 2 * 150 * 8, 2)),
        v({2, 2, 150, 8}, numbers::normal<float>(2 * 2 * 150 * 8, 3));
    if (gradient) require_gradient(q);
    const AttentionMask<float, Cuda> mask{.causal = true, .window = 99, .rows = right_padding<Cuda>({150, 9})};
    const auto before = memory<Cuda>::use().current;
    memory<Cuda>::reset_peak();
    const auto y = composed ? composed_attention(q, k, v, mask) : attention(q, k, v, mask);
    return std::pair(y.to_vector(), memory<Cuda>::use().peak - before);
  };
  const auto fused = run(1, false, false), composed = run(1, true, false);
  CHECK(numbers::distance(fused.first, composed.first) < 1e-6);
  CHECK(fused.second < composed.second);
  for (const auto& [queries, gradient] : {std::pair{9, false}, {1, true}})
    CHECK(run(queries, false, gradient).first == run(queries, true, gradient).first);
}
