// SPDX-License-Identifier: MIT
// graph<Cuda>: many kernels queued by one call.
#pragma once

#include <plinth/kernels/cuda/queue.cuh>

namespace plinth {

/// What a callable queues on the calling thread's GPU, recorded without being run, so that replay() queues all of it
/// with one launch:
///   y = model(x);  // once before, for CUDA loads kernels when they first run
///   const graph<Cuda> step([&] { y = model(x); });
///   memory<Cuda>::copy_from_host(x.mutable_data(), values, bytes);
///   step.replay();
///   use(y.to_vector());
/// A replay does again what the device did, and nothing of what the program did: sizes and numbers that were passed to
/// kernels stay as they were, tensors' contents are read anew. What the callable reads must live as long as the graph,
/// and what it made is written again by each replay, whoever holds it; all other memory that it asked for is the
/// graph's own until the end of the graph. Other threads may go on as usual.
/// CUDA Runtime API, "Graph Management". PyTorch: torch.cuda.CUDAGraph.
template <>
class graph<Cuda> {
 public:
  /// Throws GraphError when the callable copies from or to the program's memory or waits for the device, by calls of
  /// CUDA too, whatever it does with their status, when it records a graph or replays one; DeviceError; and whatever
  /// the callable throws. Then there is no graph, and tensors that the callable made have no values.
  template <class Body>
  explicit graph(Body&& body) : device_(cuda::device()), memory_(cuda::of_device<cuda::DevicePool>(device_.ordinal)) {
    cuda::require_not_recording("another graph");
    Recording recording(memory_);
    body();
    executable_ = recording.finish();
  }
  ~graph() { cudaGraphExecDestroy(executable_); }
  graph(const graph&) = delete;
  graph& operator=(const graph&) = delete;

  /// Queues it on the GPU where it was recorded, behind what is queued there. Throws DeviceError, GraphError while
  /// another graph is recorded.
  void replay() const {
    cuda::require_not_recording("the replay of a graph");
    const cuda::OnDevice there(device_.ordinal);
    cuda::check(cudaGraphLaunch(executable_, device_.stream), "replaying a graph");
  }

 private:
  /// While it lives, the calling thread queues on a stream that takes down.
  class Recording {
   public:
    explicit Recording(cuda::GraphMemory<cuda::DevicePool>& memory) {
      cuda::check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream");
      const cudaError_t status = cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed);
      if (status != cudaSuccess) cudaStreamDestroy(stream_);
      cuda::check(status, attempt);
      cuda::recording_stream = stream_;
      cuda::recording_memory = &memory;
    }
    ~Recording() {
      cuda::recording_stream = nullptr;
      cuda::recording_memory = nullptr;
      cudaGraph_t graph = nullptr;
      if (!ended_ && cudaStreamEndCapture(stream_, &graph) == cudaSuccess) cudaGraphDestroy(graph);
      cudaStreamDestroy(stream_);
      cudaGetLastError();
    }
    Recording(const Recording&) = delete;
    Recording& operator=(const Recording&) = delete;

    cudaGraphExec_t finish() {
      cudaGraph_t graph = nullptr;
      ended_ = true;
      cuda::check(cudaStreamEndCapture(stream_, &graph), attempt);
      cudaGraphExec_t executable = nullptr;
      const cudaError_t status = cudaGraphInstantiate(&executable, graph, 0);
      cudaGraphDestroy(graph);
      cuda::check(status, attempt);
      return executable;
    }

   private:
    static constexpr const char* attempt = "recording a graph";
    cudaStream_t stream_ = nullptr;
    bool ended_ = false;
  };

  const cuda::Device& device_;
  cuda::GraphMemory<cuda::DevicePool> memory_;
  cudaGraphExec_t executable_ = nullptr;
};

}  // namespace plinth
