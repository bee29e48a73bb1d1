// SPDX-License-Identifier: MIT
// Products as loops, in the accumulator's type.
#include "cublaslt_product.hpp"

#include <cmath>

#include <plinth/tensor/element.hpp>

namespace emulator {
namespace {

/// GELU in its tanh form.
template <class A>
A gelu(A x) {
  return x / 2 * (1 + std::tanh(std::sqrt(2 / std::acos(A(-1))) * (x + A(0.044715) * x * x * x)));
}

/// Its derivative.
template <class A>
A gelu_slope(A x) {
  const A root = std::sqrt(2 / std::acos(A(-1))), t = std::tanh(root * (x + A(0.044715) * x * x * x));
  return (1 + t) / 2 + x / 2 * (1 - t * t) * root * (1 + 3 * A(0.044715) * x * x);
}

template <class T>
struct Call {
  using A = plinth::accumulator_t<T>;
  Product p;
  Layout a_layout, b_layout, c_layout, d_layout;
  A alpha, beta;
  const T *a, *b, *c;
  T* d;

  void operator()() const {
    const auto depth = static_cast<std::int64_t>(p.transpose_a ? a_layout.rows : a_layout.columns);
    for (std::int64_t n = 0; n < d_layout.batch_count; ++n)
      for (std::int64_t j = 0; j < static_cast<std::int64_t>(d_layout.columns); ++j)
        for (std::int64_t i = 0; i < static_cast<std::int64_t>(d_layout.rows); ++i) {
          A sum = 0;
          for (std::int64_t k = 0; k < depth; ++k)
            sum += element(a, a_layout, p.transpose_a, n, i, k) * element(b, b_layout, p.transpose_b, n, k, j);
          sum *= alpha;
          if (beta != A(0)) sum += beta * element(c, c_layout, 0, n, i, j);
          finish(sum, n, i, j);
        }
    if (has_bias_gradient(p.epilogue)) sum_columns_of_b(depth);
  }

 private:
  static A element(const T* x, const Layout& layout, std::int32_t transpose, std::int64_t n, std::int64_t i,
                   std::int64_t j) {
    return static_cast<A>(x[n * layout.batch_stride + (transpose ? j + i * layout.leading : i + j * layout.leading)]);
  }
  void finish(A z, std::int64_t n, std::int64_t i, std::int64_t j) const {
    if (has_bias(p.epilogue)) z += static_cast<A>(static_cast<const T*>(p.bias)[i]);
    if (has_auxiliary(p.epilogue)) {
      T& auxiliary = static_cast<T*>(p.auxiliary)[n * p.auxiliary_batch_stride + i + j * p.auxiliary_leading];
      if (has_gelu_gradient(p.epilogue))
        z *= gelu_slope(static_cast<A>(auxiliary));
      else
        auxiliary = static_cast<T>(z);
    }
    d[n * d_layout.batch_stride + i + j * d_layout.leading] = static_cast<T>(has_gelu(p.epilogue) ? gelu(z) : z);
  }
  void sum_columns_of_b(std::int64_t depth) const {
    for (std::int64_t j = 0; j < static_cast<std::int64_t>(d_layout.columns); ++j) {
      A sum = 0;
      for (std::int64_t k = 0; k < depth; ++k) sum += element(b, b_layout, p.transpose_b, 0, k, j);
      static_cast<T*>(const_cast<void*>(p.bias))[j] = static_cast<T>(sum);
    }
  }
};

template <class T>
Call<T> call_of(const Product& product, const Layout& a, const Layout& b, const Layout& c, const Layout& d,
                const Operands& x) {
  using A = plinth::accumulator_t<T>;
  const auto factor = [](const void* value) { return *static_cast<const A*>(value); };
  const auto elements = [](const void* operand) { return static_cast<const T*>(operand); };
  return {.p = product,
          .a_layout = a,
          .b_layout = b,
          .c_layout = c,
          .d_layout = d,
          .alpha = factor(x.alpha),
          .beta = factor(x.beta),
          .a = elements(x.a),
          .b = elements(x.b),
          .c = elements(x.c),
          .d = static_cast<T*>(x.d)};
}

}  // namespace

std::function<void()> product_of(const Product& product, const Layout& a, const Layout& b, const Layout& c,
                                 const Layout& d, const Operands& operands) {
  switch (d.type) {
    case CUDA_R_32F: return call_of<float>(product, a, b, c, d, operands);
    case CUDA_R_64F: return call_of<double>(product, a, b, c, d, operands);
    case CUDA_R_16F: return call_of<plinth::half>(product, a, b, c, d, operands);
    case CUDA_R_16BF: return call_of<plinth::bfloat16>(product, a, b, c, d, operands);
  }
  return {};
}

}  // namespace emulator
