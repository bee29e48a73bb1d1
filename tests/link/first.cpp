// SPDX-License-Identifier: MIT
// One of two translation units that include all of Plinth and instantiate the same templates. They must link, compute
// the same numbers and share one memory pool.
#include "both.hpp"

#include <cstdlib>

int main() {
  const plinth::Tensor<float> held({1024});
  const Seen first = seen(), second = seen_by_second();
  const bool same = first.loss == second.loss && first.bytes_in_use == second.bytes_in_use;
  return same && first.loss > 0 && first.bytes_in_use >= 4096 ? EXIT_SUCCESS : EXIT_FAILURE;
}
