// SPDX-License-Identifier: MIT
// A CUDA device played by the host: one fiber per thread of a block, one block after the other, in a random order.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <source_location>
#include <stdexcept>
#include <string>

namespace emulator {

/// A kernel does what no kernel may: its threads wait at different places for ever. Thrown where the host waits for it.
struct Deadlock : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// From now on blocks, warps and lanes run in the order of this seed; at first that of the environment variable
/// PLINTH_EMULATOR_SEED, or 1.
void set_seed(std::uint64_t seed);

/// How many devices there are, at first one, each with memory of its own: kernels and copies of one may not touch that
/// of another.
void set_device_count(int count);
/// While it lives, devices have the shared memory of this compute capability, 80, 86, 89 or 90; else that of 80.
class ComputeCapability {
 public:
  explicit ComputeCapability(int number);
  ~ComputeCapability();
  ComputeCapability(const ComputeCapability&) = delete;
  ComputeCapability& operator=(const ComputeCapability&) = delete;
};
/// From now on calls of the runtime do nothing and answer this status, as after the failure of a kernel on a GPU, until
/// it is cudaSuccess. Kernels that fail here do not come to that: what is thrown says more.
void lose_device(cudaError_t status);
/// Whether devices say that they have memory pools, as they do at first.
void set_memory_pools(bool present);
/// From now on the calling thread's device has this much memory besides what is in use, at first 1 GiB in all.
void set_free_memory(std::size_t bytes);
/// How many blocks of device memory there are.
std::size_t blocks_of_memory();
/// How many graphs the program has launched.
std::size_t graph_launches();
/// The device of a stream.
int device_of(cudaStream_t stream);

/// How often the program has asked the library of products (cublasLt.h) for an algorithm and for a product, and the
/// cublasLtEpilogue_t of the last one.
struct LibraryUse {
  std::size_t searches = 0, products = 0;
  int last_epilogue = 0;
};
LibraryUse library_use();

// Where the running thread stands; written by the scheduler.
inline uint3 thread_index, block_index;
inline dim3 block_size, grid_size;

/// The running block's shared memory.
void* shared_memory();

/// Suspends the running thread until all of its block are at the same place.
void block_barrier(std::source_location place);

/// Suspends the running thread until all lanes of its warp are at the same place; then `exchange` runs once, with the
/// 32 lanes' arguments.
using Exchange = void (*)(void* const* arguments);
void warp_collective(Exchange exchange, void* argument, std::source_location place);

/// A piece of memory is not aligned as the running thread's access asks for.
struct Misaligned : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A kernel touches what is no block of the device's memory, or writes behind the end of its shared memory. Thrown
/// where the host waits for it; where a kernel is given a pointer to the host's memory, at its launch.
struct OutsideMemory : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Which kernel and block run, and which thread.
std::string block_place();
std::string place();

/// The running thread, if there is one, fails: when it is left for ever, OutsideMemory is thrown, naming it, and what
/// it did.
bool fail_thread(const std::string& did);
void leave_thread();

/// Whether that is an address of memory that no device reaches: mapped, and neither in or around a device's block nor
/// page-locked. It may be no address at all, but a number.
bool is_host_pointer(const void* word);
/// Throws OutsideMemory if one of the words of a kernel's argument is such an address.
void require_no_host_pointer(void (*kernel)(), int number, const void* argument, std::size_t bytes);

/// Throws Misaligned, naming kernel, block and thread: the running thread's access asks for a multiple of `bytes`.
[[noreturn]] void refuse_alignment(std::size_t bytes, const char* access);

/// Refuses `pointer` unless it is a multiple of `bytes`.
inline void require_aligned(const void* pointer, std::size_t bytes, const char* access) {
  if (reinterpret_cast<std::uintptr_t>(pointer) % bytes != 0) refuse_alignment(bytes, access);
}

/// The running thread begins to copy `bytes` bytes, or to write zeros where `from` is null. Until it waits for them
/// there are NaNs.
void copy_later(void* to, const void* from, std::size_t bytes);
/// Ends the running thread's newest group of copies.
void commit_copies();
/// Performs all of its groups but the `newest` last ones.
void wait_for_copies(std::size_t newest);

/// Runs a kernel: thread() in every thread of every block. Throws Deadlock, Misaligned, OutsideMemory.
void run_grid(const cudaLaunchConfig_t& config, void (*kernel)(), const std::function<void()>& thread);

cudaError_t enqueue(const cudaLaunchConfig_t& config, void (*kernel)(), std::function<void()> thread);
void enqueue(cudaStream_t stream, std::function<void()> work);
cudaError_t set_attribute(void (*kernel)(), cudaFuncAttribute attribute, int value);

}  // namespace emulator
