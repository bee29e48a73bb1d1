// SPDX-License-Identifier: MIT
// launch(queue, grid, block, shared_bytes, kernel, arguments...): the one way a CUDA kernel is started.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <plinth/kernels/cuda/intrinsics.cuh>
#include <plinth/kernels/cuda/queue.cuh>
#include <plinth/tensor/element.hpp>
#include <plinth/tensor/host_device.hpp>

namespace plinth::cuda {

/// The number of blocks that `count` things need when each block takes `each`.
PLINTH_HD constexpr std::int64_t blocks_for(std::int64_t count, std::int64_t each) { return (count + each - 1) / each; }

/// Throws DeviceError, naming the shared memory that was asked for, unless the status is success.
inline void check_shared_bytes(cudaError_t status, std::size_t bytes) {
  if (status != cudaSuccess)
    check(status, detail::join("asking for ", bytes, " bytes of shared memory for each block").c_str());
}

/// Queues kernel(arguments...) on `grid` blocks of `block` threads, a multiple of the warp size, with `shared_bytes` of
/// shared memory each. An empty grid does nothing. Throws ArgumentError for more than 2^31 - 1 blocks, DeviceError.
template <class... Parameters>
void launch(queue<Cuda>& queue, std::int64_t grid, int block, std::size_t shared_bytes, void (*kernel)(Parameters...),
            std::type_identity_t<Parameters>... arguments) {
  static_assert((sizeof(Parameters) + ... + 0) <= 4096, "the parameters of a kernel pass what all GPUs take");
  if (grid == 0) return;
  detail::require<ArgumentError>(grid > 0 && grid <= std::numeric_limits<std::int32_t>::max(), "cuda: ", grid,
                                 " blocks in one launch");
  constexpr std::size_t granted = 48 * 1024;  // without asking
  if (shared_bytes > granted)
    check_shared_bytes(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)),
        shared_bytes);
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(grid));
  config.blockDim = dim3(static_cast<unsigned>(block));
  config.dynamicSmemBytes = shared_bytes;
  config.stream = queue.stream();
  check(cudaLaunchKernelEx(&config, kernel, arguments...), "launching a kernel");
}

/// Queues a kernel that takes a row with each team, whose reductions are over accumulators of T.
template <class Team, class T, class Kernel, class... Arguments>
void launch_rows(queue<Cuda>& queue, std::int64_t rows, Kernel* kernel, Arguments... arguments) {
  launch(queue, blocks_for(rows, Team::rows_per_block), Team::block, Team::shared_values * sizeof(accumulator_t<T>), kernel,
         arguments...);
}

}  // namespace plinth::cuda
