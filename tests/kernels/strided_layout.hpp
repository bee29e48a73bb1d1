// SPDX-License-Identifier: MIT
// Random strides of two tensors of the same sizes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <plinth/tensor/shape.hpp>

#include "kernels/numbers.hpp"

/// Two tensors' layouts of 0 to 6 axes: some of size 1 or 0, in any order in memory, with gaps, backwards, or repeated.
struct StridedLayout {
  plinth::Shape sizes, strides[2];
  std::int64_t reach[2] = {1, 1}, first[2] = {0, 0};

  StridedLayout(std::uint32_t site, bool repeats) {
    const auto random = numbers::below(1 << 20, 40, site);
    const std::int32_t rank = random[0] % 7;
    for (int i = 0; i < rank; ++i)
      sizes.push_back(random[1 + static_cast<std::size_t>(i)] % (rank == 1 ? 9000 : rank == 2 ? 70 : 6));
    for (std::size_t k = 0; k < 2; ++k) {
      std::vector<int> order;
      for (int i = 0; i < rank; ++i) order.push_back(i);
      strides[k] = sizes;
      for (std::size_t i = order.size(); i > 1; --i)
        std::swap(order[i - 1], order[static_cast<std::size_t>(random[8 * k + 7 + i]) % i]);
      for (const int axis : order) {
        const std::int32_t choice = random[24 + 8 * k + static_cast<std::size_t>(axis)] % 8;
        const std::int64_t step = reach[k] + (choice == 1), size = std::max<std::int64_t>(sizes[axis], 1);
        const bool repeated = repeats && choice == 2, backwards = choice == 3;
        strides[k][axis] = repeated ? 0 : backwards ? -step : step;
        if (repeated) continue;
        if (backwards) first[k] += step * (size - 1);
        reach[k] += step * (size - 1);
      }
    }
  }
};
