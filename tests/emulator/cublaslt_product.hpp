// SPDX-License-Identifier: MIT
// A product of cuBLASLt by its definition, with what happens on its way out.
#pragma once

#include <cublasLt.h>

#include <cstdint>
#include <functional>

namespace emulator {

using Layout = cublasLtMatrixLayoutOpaque_t;
using Product = cublasLtMatmulDescOpaque_t;

inline bool has_bias(std::uint32_t epilogue) { return epilogue & CUBLASLT_EPILOGUE_BIAS; }
inline bool has_gelu(std::uint32_t epilogue) { return epilogue & CUBLASLT_EPILOGUE_GELU; }
inline bool has_gelu_gradient(std::uint32_t epilogue) { return epilogue == CUBLASLT_EPILOGUE_DGELU; }
inline bool has_bias_gradient(std::uint32_t epilogue) { return epilogue == CUBLASLT_EPILOGUE_BGRADB; }
inline bool has_vector(std::uint32_t epilogue) { return has_bias(epilogue) || has_bias_gradient(epilogue); }
inline bool has_auxiliary(std::uint32_t epilogue) { return epilogue & 128; }

struct Operands {
  const void *alpha, *beta, *a, *b, *c;
  void* d;
};

/// What computes d = alpha a b + beta c. The factors, the program's, are read at once.
std::function<void()> product_of(const Product& product, const Layout& a, const Layout& b, const Layout& c,
                                 const Layout& d, const Operands& operands);

}  // namespace emulator
