// SPDX-License-Identifier: MIT
// Kernels over all arrays of a list: one launch for as many as fit into a kernel's parameters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <plinth/kernels/cuda/launch.cuh>

namespace plinth::cuda {

/// What a block works on: elements [begin, end) of an item.
template <class Item>
struct Piece {
  const Item& item;
  std::int64_t begin, end;
};

/// A part of a list of arrays, cut into pieces of so many elements at most, one for each block of a launch. A kernel
/// takes it as const __grid_constant__, so that its threads share it where the launch has put it.
template <class Item>
struct ListPart {
  static constexpr int capacity = static_cast<int>((4096 - 192) / (sizeof(Item) + sizeof(std::int32_t)));
  std::int64_t together,        ///< elements of a piece
      pieces_before;            ///< of the parts before this one
  std::int32_t size;            ///< items here
  std::int32_t ends[capacity];  ///< of the items' pieces, counted from the first one here
  Item items[capacity];         ///< each with a `count` of elements

  /// That of this block.
  __device__ Piece<Item> piece() const {
    const auto block = static_cast<std::int32_t>(blockIdx.x);
    int low = 0, high = size - 1;  // the first item that ends behind the block is one of these
    while (low < high) {
      const int middle = (low + high) / 2;
      (ends[middle] > block ? high : low) = ends[middle] > block ? middle : middle + 1;
    }
    const std::int64_t begin = (block - (low > 0 ? ends[low - 1] : 0)) * together, count = items[low].count;
    return {items[low], begin, count < begin + together ? count : begin + together};
  }
};

/// Queues kernel(part, arguments...) on blocks of `block` threads with `shared_bytes` of shared memory for all parts of
/// a list of n arrays; `together` elements make a piece.
template <class Item, class... Parameters>
void launch_list(queue<Cuda>& queue, std::int64_t n, const Item* items, std::int64_t together, int block,
                 std::size_t shared_bytes, void (*kernel)(ListPart<Item>, Parameters...),
                 std::type_identity_t<Parameters>... arguments) {
  static_assert((sizeof(ListPart<Item>) + ... + sizeof(Parameters)) <= 4096, "the most that all devices take");
  ListPart<Item> part = {};
  part.together = together;
  std::int64_t pieces = 0;
  for (std::int64_t k = 0; k < n; ++k) {
    pieces += blocks_for(items[k].count, together);
    part.items[part.size] = items[k];
    part.ends[part.size++] = static_cast<std::int32_t>(pieces);
    if (part.size < ListPart<Item>::capacity && k + 1 < n) continue;
    launch(queue, pieces, block, shared_bytes, kernel, part, arguments...);
    part.pieces_before += pieces;
    part.size = 0;
    pieces = 0;
  }
}

}  // namespace plinth::cuda
