// SPDX-License-Identifier: MIT
// The one macro that marks a function as callable on the host and inside a CUDA kernel.
#pragma once

#ifdef __CUDACC__
#define PLINTH_HD __host__ __device__
#else
#define PLINTH_HD
#endif
