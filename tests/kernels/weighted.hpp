// SPDX-License-Identifier: MIT
// A pointwise formula of two operands that tells them apart.
#pragma once

struct Weighted {
  template <class T>
  static T forward(T a, T b) {
    return a - T(2) * b;
  }
};
