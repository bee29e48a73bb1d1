// SPDX-License-Identifier: MIT
// Graphs: a replay is what was recorded with the tensors of now, and writes to nobody else's memory.
#include "kernels/cuda/device_array.hpp"

#include <optional>
#include <thread>
#include <vector>

#include "catch.hpp"

#include <plinth/activation/gelu.hpp>
#include <plinth/layers/linear.hpp>
#include <plinth/ops/arithmetic.hpp>
#include <plinth/ops/dropout.hpp>
#include <plinth/ops/matmul.hpp>
#include <plinth/ops/reduction.hpp>
#include <plinth/train/sgd.hpp>

using namespace plinth;
using Catch::Matchers::Contains;

namespace {

using FloatTensor = Tensor<float, Cuda>;

FloatTensor random_tensor(const Shape& shape, std::uint32_t site) {
  return {shape, test_values<float>(element_count(shape), site)};
}

void set(FloatTensor& x, const std::vector<float>& values) {
  memory<Cuda>::copy_from_host(x.mutable_data(), values.data(), values.size() * sizeof(float));
}

FloatTensor layer(const FloatTensor& x, const FloatTensor& w) { return gelu(matmul(x, w)); }

std::size_t in_use() { return memory<Cuda>::use().current; }

/// What happens when this is recorded; its memory has been given back, and the device goes on.
template <class Body>
std::string refusal(const Body& body) {
  std::string what;
  const auto before = in_use();
  try {
    const graph<Cuda> refused(body);
  } catch (const GraphError& error) {
    what = error.what();
  }
  CHECK(in_use() == before);
  CHECK((full<float, Cuda>({3}, 2) * 2.0).to_vector() == std::vector<float>(3, 4));
  return what;
}

/// A training run: what changes from step to step is written into tensors that the passes read.
struct Run {
  Linear<float, Cuda> layer{12, 12};
  FloatTensor x = random_tensor({16, 12}, 1), loss;
  TrainingScope<Cuda>::Key key = TrainingScope<Cuda>(7, 0).key();
  Sgd<float, Cuda> optimizer;

  Run() : optimizer(initialised()) {}
  void prepare(std::int32_t step) {
    set(x, test_values<float>(x.count(), static_cast<std::uint32_t>(step) + 10));
    memory<Cuda>::copy_from_host(key.clock.mutable_data(), &step, sizeof step);
  }
  void pass() {
    const TrainingScope<Cuda> training(key);
    clear_gradients(layer);
    const auto y = dropout(gelu(layer(x)), 0.3, 1);
    loss = mean(y * y);
    backward(loss);
  }

 private:
  Linear<float, Cuda>& initialised() {
    set(layer.weight, test_values<float>(12 * 12, 2));
    return layer;
  }
};

}  // namespace

TEST_CASE("cuda graph: a replay reads its inputs anew and gives the same bits", "[cuda]") {
  auto x = random_tensor({33, 40}, 1);
  const auto w = random_tensor({40, 40}, 2);
  FloatTensor y;
  const graph<Cuda> layers([&] { y = layer(layer(x, w), w); });
  for (std::uint32_t site = 3; site < 6; ++site) {
    set(x, test_values<float>(33 * 40, site));
    layers.replay();
    CHECK(y.to_vector() == layer(layer(x, w), w).to_vector());
  }
}

TEST_CASE("cuda graph: its memory is its own as long as it lives", "[cuda]") {
  const auto x = random_tensor({64, 64}, 1), w = random_tensor({64, 64}, 2);
  const auto wanted = layer(layer(x, w), w).to_vector();
  const auto before = in_use();
  FloatTensor y;
  std::optional<FloatTensor> read = random_tensor({64, 64}, 1);
  {
    const graph<Cuda> layers([&] {
      y = layer(layer(*read, w), w);
      read.reset();  // each replay reads it again
    });
    CHECK(in_use() > before + 2 * 64 * 64 * 4);
    std::vector<FloatTensor> others;  // of the sizes that the graph has released
    for (int i = 0; i < 8; ++i) others.push_back(full<float, Cuda>({64, 64}, static_cast<float>(i)));
    for (int i = 0; i < 2; ++i) {
      layers.replay();
      CHECK(y.to_vector() == wanted);
    }
    for (int i = 0; i < 8; ++i)
      CHECK(others[static_cast<std::size_t>(i)].to_vector() == std::vector<float>(64 * 64, static_cast<float>(i)));
  }
  CHECK(in_use() == before + 64 * 64 * 4);
  CHECK(y.to_vector() == wanted);  // a tensor may outlive the graph
  y = {};
  CHECK(in_use() == before);
}

TEST_CASE("cuda graph: what it releases while it is recorded serves again there", "[cuda]") {
  const auto x = random_tensor({64, 64}, 1);
  const auto before = in_use();
  FloatTensor y;
  const graph<Cuda> chain([&] {
    y = x;
    for (int i = 0; i < 100; ++i) y = y * 0.5;
  });
  CHECK(in_use() <= before + 3 * 64 * 64 * 4);
  chain.replay();
  CHECK(y.to_vector()[7] == x.to_vector()[7] * 0x1p-100f);
}

TEST_CASE("cuda graph: what only the program could do again is refused", "[cuda]") {
  const auto x = random_tensor({8, 8}, 1);
  CHECK_THAT(refusal([&] { (x + x).to_vector(); }),
             Contains("copying from the device cannot be recorded in a graph; do it before"));
  CHECK_THAT(refusal([&] { random_tensor({4}, 1); }), Contains("copying to the device cannot be recorded"));
  CHECK_THAT(refusal([&] { queue<Cuda>::current().synchronize(); }), Contains("waiting for the queued kernels cannot"));
  CHECK_THAT(refusal([&] { cuda::use_device(0); }), Contains("a change of device"));
  const graph<Cuda> good([&] { x + x; });
  CHECK_THAT(refusal([&] { good.replay(); }), Contains("the replay of a graph"));
  CHECK_THAT(refusal([&] { const graph<Cuda> inner([] {}); }), Contains("another graph"));
  CHECK_THROWS_AS(graph<Cuda>([&] { matmul(x, random_tensor({3, 3}, 1)); }), Error);
}

TEST_CASE("cuda graph: a call of CUDA's own that cannot be recorded is refused, with the rest or at the end", "[cuda]") {
  const auto x = random_tensor({8, 8}, 1);
  const auto wait = [] { return cudaStreamSynchronize(queue<Cuda>::current().stream()); };
  CHECK_THAT(refusal([&] {
               x + x;
               wait();
               x + x;
             }),
             Contains("launching a kernel: cudaErrorStreamCaptureInvalidated"));
  CHECK_THAT(refusal([&] {
               x + x;
               wait();
             }),
             Contains("recording a graph: cudaErrorStreamCaptureInvalidated"));
  CHECK_THAT(refusal([&] { cuda::check(wait(), "waiting"); }), Contains("waiting: cudaErrorStreamCaptureUnsupported"));
}

TEST_CASE("cuda graph: other threads compute while one records", "[cuda]") {
  const auto x = full<float, Cuda>({100}, 1);
  std::vector<float> there;
  FloatTensor y;
  const graph<Cuda> sum([&] {
    y = x + x;
    std::thread([&] { there = (x * 5.0).to_vector(); }).join();
    y = y + x;
  });
  CHECK(there == std::vector<float>(100, 5));
  sum.replay();
  CHECK(y.to_vector() == std::vector<float>(100, 3));
}

TEST_CASE("cuda graph: a training loop by hand, with dropout, is the same step for step", "[cuda]") {
  Run eager, recorded;
  const graph<Cuda> passes([&] { recorded.pass(); });
  for (std::int32_t step = 0; step < 4; ++step) {
    eager.prepare(step);
    eager.pass();
    recorded.prepare(step);
    passes.replay();
    CHECK(recorded.loss.item() == eager.loss.item());
    for (Run* run : {&eager, &recorded}) run->optimizer.step(0.1 / (step + 1));
    CHECK(recorded.layer.weight.to_vector() == eager.layer.weight.to_vector());
  }
  CHECK(gradient(recorded.layer.bias).to_vector() == gradient(eager.layer.bias).to_vector());
}
