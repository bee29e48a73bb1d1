// SPDX-License-Identifier: MIT
// A second backend of plain loops with a device tag of its own: it shows that models run on whatever fulfils the
// contract, serves as oracle for the fast kernels, and counts how often the program waits for the device.
#pragma once

#include <plinth/kernels/contract.hpp>

#include "kernels/plain_elements.hpp"
#include "kernels/plain_rows.hpp"

namespace plinth {

/// The required primitives and none of the fused ones.
template <>
struct kernels<Plain> : PlainElements, PlainRows {};

static_assert(RequiredKernels<kernels<Plain>, Plain, float> && RequiredKernels<kernels<Plain>, Plain, double>);
static_assert(!FusedGemm<kernels<Plain>, Plain, float> && !FusedAttention<kernels<Plain>, Plain, float>);

}  // namespace plinth
