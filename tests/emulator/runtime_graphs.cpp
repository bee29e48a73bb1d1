// SPDX-License-Identifier: MIT
// The capture of streams, and graphs.
#include <emulator.hpp>
#include <utility>

#include "runtime.hpp"

using namespace emulator;

struct CUgraphExec_st {
  Work work;
};

namespace {

std::size_t launches = 0;

}  // namespace

std::size_t emulator::graph_launches() { return launches; }

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  return answer(stream, [=] {
    if (stream->captured) return cudaErrorStreamCaptureUnsupported;
    stream->captured = new CUgraph_st;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  return answer([=] {
    if (!stream->captured) return cudaErrorInvalidValue;
    *graph = std::exchange(stream->captured, nullptr);
    if ((*graph)->valid) return cudaSuccess;
    delete std::exchange(*graph, nullptr);
    return cudaErrorStreamCaptureInvalidated;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, std::uint64_t) {
  return answer([=] {
    *executable = new CUgraphExec_st{graph->work};
    return cudaSuccess;
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return answer(stream, [=] {
    for (const auto& item : executable->work) stream->queue(item);
    ++launches;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}
