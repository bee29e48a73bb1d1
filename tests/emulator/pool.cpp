// SPDX-License-Identifier: MIT
// Blocks of the library's pool end where a tensor's elements do, so that kernels that go beyond them are found.
#include <plinth/kernels/cuda/memory.cuh>

namespace {

[[maybe_unused]] const bool exact = plinth::detail::Pool<plinth::cuda::DeviceMemory>::exact_sizes = true;

}  // namespace
