// SPDX-License-Identifier: MIT
// The memory of the emulated device: pages that nobody can reach but kernels, copies and library calls while they run.
#pragma once

#include <cstddef>

namespace emulator {

/// A block of a device's memory, filled with the bytes 0xff, which are NaNs; null where there is none. It ends where a
/// page ends, as far as its size is a multiple of 16 bytes, behind it and before it nobody may touch anything.
void* take_block(std::size_t bytes, int ordinal);
/// Gives back what take_block returned.
void give_block(void* block);
/// Whether an address lies in a block or so close to one that nothing else can be there.
bool is_around_block(const void* address);

/// While it lives the calling thread plays a device. Where another one touches a block, or where the device touches
/// what is no block of its own in a copy or a library call, the process ends with a sentence about it; in a kernel that
/// is the launch's error, OutsideMemory.
class Playing {
 public:
  explicit Playing(int ordinal);
  ~Playing();
  Playing(const Playing&) = delete;
  Playing& operator=(const Playing&) = delete;
};

/// Throws OutsideMemory if the bytes next to a block that has been touched are not what they were: those between its
/// end and its page's, which no page protects.
void require_margins();

}  // namespace emulator
