// SPDX-License-Identifier: MIT
// What somebody else's first program looks like.
#include <iostream>

#include <plinth/plinth.hpp>

int main() {
  const plinth::Tensor<float> x({2, 3}, {1, 2, 3, 4, 5, 6});
  std::cout << "plinth " << PLINTH_VERSION << '\n' << to_string(x) << '\n';
  return x.count() == 6 ? 0 : 1;
}
