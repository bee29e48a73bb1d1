// SPDX-License-Identifier: MIT
// Several devices, a device whose memory is full, one that has failed, and what the runtime refuses.
#include <emulator.hpp>

#include <functional>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "kernels/cuda/device_array.hpp"

#include <plinth/generate/generate.hpp>
#include <plinth/ops/arithmetic.hpp>
#include <plinth/ops/gather.hpp>
#include <plinth/ops/matmul.hpp>

using namespace plinth;
using Catch::Matchers::Contains;

namespace {

/// While it lives there are so many devices; then the thread computes on the first one again.
struct Devices {
  explicit Devices(int count) { emulator::set_device_count(count); }
  ~Devices() {
    cuda::use_device(0);
    emulator::set_device_count(1);
  }
};

/// While it lives the device has no more free memory than this.
struct FreeMemory {
  explicit FreeMemory(std::size_t bytes) {
    memory<Cuda>::trim();
    emulator::set_free_memory(bytes);
  }
  ~FreeMemory() { emulator::set_free_memory(std::size_t{1} << 30); }
};

/// While it lives a kernel on the device has failed.
struct LostDevice {
  LostDevice() { emulator::lose_device(cudaErrorIllegalAddress); }
  ~LostDevice() {
    emulator::lose_device(cudaSuccess);
    cudaGetLastError();
  }
};

/// While it lives a stream is captured. Its end is for the test.
struct Captured {
  cudaStream_t stream = nullptr;
  Captured() {
    REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
    REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed) == cudaSuccess);
  }
  ~Captured() { cudaStreamDestroy(stream); }
  cudaError_t end() const {
    cudaGraph_t graph = nullptr;
    const cudaError_t status = cudaStreamEndCapture(stream, &graph);
    CHECK((graph == nullptr) == (status != cudaSuccess));
    cudaGraphDestroy(graph);
    return status;
  }
};

__global__ void do_nothing() {}

/// Of a launch with so much shared memory, asked for before or not.
cudaError_t launched(std::size_t shared_bytes, bool ask) {
  constexpr auto most = cudaFuncAttributeMaxDynamicSharedMemorySize;
  if (ask && cudaFuncSetAttribute(do_nothing, most, static_cast<int>(shared_bytes)) != cudaSuccess)
    return cudaErrorMemoryAllocation;  // which no launch answers
  const cudaLaunchConfig_t config{1, 32, shared_bytes, queue<Cuda>::current().stream()};
  return cudaLaunchKernelEx(&config, do_nothing);
}

/// Of a token follows the one with the largest number in its row of the table.
struct Bigrams {
  using element = float;
  using device = Cuda;
  struct {
    std::int64_t vocabulary = 3, context = 32;
  } config;
  Tensor<float, Cuda> table{{3, 3}, {0, 2, 0, 0, 0, 2, 2, 0, 0}};

  Tensor<float, Cuda> hidden_states(const Tensor<std::int32_t, Cuda>& tokens, const Tensor<std::int32_t, Cuda>&,
                                    KeyValueCache<float, Cuda>* cache) const {
    const auto rows = gather_rows(table, tokens);  // (1, T, 3)
    const auto as_heads = reshape(rows, {1, 1, tokens.size(1), 3});
    cache->append(0, {as_heads, as_heads});
    cache->advance(tokens.size(1));
    return rows;
  }
  Tensor<float, Cuda> logits(const Tensor<float, Cuda>& hidden) const { return hidden; }
};

Tensor<float, Cuda> ones(std::int64_t count) { return full<float, Cuda>({count}, 1); }

}  // namespace

TEST_CASE("cuda memory: a full device is an error, and whoever lets go can go on") {
  const FreeMemory little(1 << 20);
  const auto kept = ones(1 << 16);  // a quarter
  std::optional<Tensor<float, Cuda>> half = ones(1 << 17);
  const auto before = memory<Cuda>::use().current;
  CHECK_THROWS_AS(ones(1 << 17), MemoryError);
  CHECK_THROWS_WITH(ones(1 << 17), Contains("memory of cuda device 0: there are no 524288 bytes left beside the " +
                                            std::to_string(before) + " in use; take a smaller batch"));
  CHECK(memory<Cuda>::use().current == before);
  CHECK((kept + kept).to_vector() == std::vector<float>(1 << 16, 2.0f));  // what fits still does

  half.reset();
  CHECK(ones(3 << 15).to_vector().back() == 1);  // another size than the pool keeps
  CHECK(ones(1 << 17).to_vector().back() == 1);
  const auto blocks = emulator::blocks_of_memory();
  memory<Cuda>::trim();
  CHECK(emulator::blocks_of_memory() < blocks);
  CHECK(kept.to_vector().back() == 1);
}

TEST_CASE("cuda devices: each has its memory, stream and library") {
  const Devices two(2);
  CHECK(cuda::device_count() == 2);
  const auto first = queue<Cuda>::current().stream();
  const Tensor<float, Cuda> x({64, 64}, std::vector<float>(64 * 64, 1)), small({1}, {3});
  const auto used = memory<Cuda>::use().current;

  cuda::use_device(1);
  CHECK(queue<Cuda>::current().ordinal() == 1);
  CHECK(queue<Cuda>::current().stream() != first);
  CHECK(memory<Cuda>::use().current == 0);
  {
    const auto y = full<float, Cuda>({64, 64}, 2);
    CHECK(memory<Cuda>::use().current == 64 * 64 * 4);
    CHECK(matmul(y, y).to_vector() == std::vector<float>(64 * 64, 256));
    memory<Cuda>::set_budget(64 * 64 * 4);
    CHECK_THROWS_WITH(ones(1), Contains("memory of cuda device 1"));
    memory<Cuda>::set_budget(std::numeric_limits<std::size_t>::max());
    cuda::use_device(0);
    CHECK(memory<Cuda>::use().current == used);
    CHECK(matmul(x, x).to_vector() == std::vector<float>(64 * 64, 64));
  }  // the memory of device 1 goes back to its pool, whatever device is current
  CHECK(memory<Cuda>::use().current == used);
  cuda::use_device(1);
  CHECK(memory<Cuda>::use().current == 0);

  auto changed = small;
  cuda::use_device(0);
  changed = changed + changed;
  cuda::use_device(1);
  CHECK(changed.to_vector() == std::vector<float>{6});  // behind what device 0 has queued
  int other = 1;
  std::thread([&] { other = queue<Cuda>::current().ordinal(); }).join();
  CHECK(other == 0);  // the choice is the thread's
}

TEST_CASE("cuda devices: one that is not there is an error that says how many there are") {
  const Devices two(2);
  for (const int ordinal : {-1, 2}) {
    CHECK_THROWS_AS(cuda::use_device(ordinal), DeviceError);
    CHECK_THROWS_WITH(cuda::use_device(ordinal),
                      "cuda: there is no device " + std::to_string(ordinal) + "; this process sees 2, numbered from 0");
  }
  CHECK(queue<Cuda>::current().ordinal() == 0);
}

TEST_CASE("cuda devices: one without memory pools of the driver has Plinth's alone") {
  const Devices three(3);
  emulator::set_memory_pools(false);
  cuda::use_device(2);
  {
    const FreeMemory little(1 << 20);
    CHECK((ones(1 << 16) * 2.0).to_vector().back() == 2);
    CHECK(ones(3 << 15).to_vector().back() == 1);
    CHECK_THROWS_AS(ones(1 << 19), MemoryError);
    CHECK(ones(1 << 17).to_vector().back() == 1);  // what the pool keeps is in the way, and goes
  }
  const auto blocks = emulator::blocks_of_memory();
  memory<Cuda>::trim();
  CHECK(emulator::blocks_of_memory() < blocks);
  emulator::set_memory_pools(true);
}

TEST_CASE("cuda: generate queues each token of a longer text but the first with one launch of a graph") {
  const auto launches = [](std::int64_t length) {
    const auto before = emulator::graph_launches();
    const auto tokens = generate(Bigrams(), {0}, {.length = length, .sampling = {.temperature = 0}});
    for (std::size_t i = 0; i < tokens.size(); ++i) CHECK(tokens[i] == static_cast<std::int32_t>(i % 3));
    return emulator::graph_launches() - before;
  };
  CHECK(launches(15) == 0);
  CHECK(launches(16) == 15);
}

TEST_CASE("cuda: after the failure of a kernel each call is a DeviceError that says so, and nothing else happens") {
  const auto x = ones(64);
  std::optional<Tensor<float, Cuda>> freed = ones(100);
  const graph<Cuda> twice([&] { x + x; });
  float value = 0;
  {
    const LostDevice lost;
    const auto fails = [](const auto& call) {
      CHECK_THROWS_AS(call(), DeviceError);
      CHECK_THROWS_WITH(call(), Contains("cudaErrorIllegalAddress"));
    };
    fails([&] { queue<Cuda>::current().synchronize(); });
    fails([&] { x + x; });
    fails([&] { ones(12345); });
    fails([&] { memory<Cuda>::copy_to_host(&value, x.data(), sizeof value); });
    fails([&] { memory<Cuda>::copy_from_host(const_cast<float*>(x.data()), &value, sizeof value); });
    fails([&] { twice.replay(); });
    fails([&] { const graph<Cuda> other([&] { x + x; }); });
    freed.reset();  // which throws nothing
  }
  CHECK((x + x).to_vector() == std::vector<float>(64, 2));
}

TEST_CASE("emulator: a block has the shared memory that was asked for, up to the device's limit") {
  constexpr std::size_t unasked = 48 * 1024;
  for (const auto& [number, limit] : {std::pair{80, 163 * 1024}, {86, 99 * 1024}, {89, 99 * 1024}, {90, 227 * 1024}}) {
    const emulator::ComputeCapability capability(number);
    const auto most = static_cast<std::size_t>(limit);
    CHECK(launched(unasked, false) == cudaSuccess);
    CHECK(launched(unasked + 1, false) == cudaErrorInvalidValue);  // nobody has asked this device
    CHECK(launched(most, true) == cudaSuccess);
    CHECK(launched(most, false) == cudaSuccess);
    CHECK(launched(most + 1, true) == cudaErrorMemoryAllocation);
  }
  const Devices two(2);
  CHECK(launched(unasked + 1, true) == cudaSuccess);
  cuda::use_device(1);
  CHECK(launched(unasked + 1, false) == cudaErrorInvalidValue);  // asked for on the other device
  CHECK_THROWS_AS(emulator::ComputeCapability(70), std::invalid_argument);
}

TEST_CASE("emulator: what is refused while a stream is captured invalidates the capture") {
  CHECK(Captured().end() == cudaSuccess);
  void* const on_device = const_cast<float*>(full<float, Cuda>({4}, 1).data());
  const float value = 1;
  cudaEvent_t event = nullptr;
  REQUIRE(cudaEventCreateWithFlags(&event, cudaEventDisableTiming) == cudaSuccess);
  const std::vector<std::function<cudaError_t(cudaStream_t)>> refused = {
      [](cudaStream_t stream) { return cudaStreamSynchronize(stream); },
      [](cudaStream_t) { return cudaDeviceSynchronize(); },
      [&](cudaStream_t stream) { return cudaEventRecord(event, stream); },
      [&](cudaStream_t stream) { return cudaFreeAsync(on_device, stream); },
      [&](cudaStream_t stream) { return cudaMemcpyAsync(on_device, &value, 4, cudaMemcpyHostToDevice, stream); }};
  for (const auto& call : refused) {
    const Captured captured;
    const cudaLaunchConfig_t config{1, 32, 0, captured.stream};
    CHECK(cudaLaunchKernelEx(&config, do_nothing) == cudaSuccess);
    CHECK(call(captured.stream) == cudaErrorStreamCaptureUnsupported);
    CHECK(cudaLaunchKernelEx(&config, do_nothing) == cudaErrorStreamCaptureInvalidated);
    CHECK(captured.end() == cudaErrorStreamCaptureInvalidated);
    CHECK(cudaLaunchKernelEx(&config, do_nothing) == cudaSuccess);
    CHECK(cudaStreamSynchronize(captured.stream) == cudaSuccess);
  }
  CHECK(cudaEventDestroy(event) == cudaSuccess);
  cudaGetLastError();
}
