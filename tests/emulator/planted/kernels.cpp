// SPDX-License-Identifier: MIT
// Kernels of the library against their definitions, one for each argument. Compiled with headers as they are it says
// "right"; with planted faults it says what the emulator found, or which element is wrong.
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <emulator.hpp>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include <plinth/kernels/cuda/attention_forward.cuh>
#include <plinth/kernels/cuda/elementwise.cuh>
#include <plinth/kernels/cuda/reduction.cuh>
#include <plinth/kernels/cuda/rows.cuh>

using namespace plinth;

namespace {

queue<Cuda>& gpu() { return queue<Cuda>::current(); }

/// Values in a block of the device's memory that has no byte more. Never freed.
template <class T>
T* on_device(const std::vector<T>& values) {
  void* block = nullptr;
  cuda::check(cudaMalloc(&block, values.size() * sizeof(T)), "allocating memory");
  memory<Cuda>::copy_from_host(block, values.data(), values.size() * sizeof(T));
  return static_cast<T*>(block);
}

template <class T>
std::vector<T> on_host(const T* data, std::size_t count) {
  std::vector<T> values(count);
  memory<Cuda>::copy_to_host(values.data(), data, count * sizeof(T));
  return values;
}

/// n different numbers in [-1, 1].
template <class T>
std::vector<T> numbers(std::size_t n, double seed) {
  std::vector<T> values;
  for (std::size_t i = 0; i < n; ++i) values.push_back(T(static_cast<float>(std::sin(seed + double(i)))));
  return values;
}

template <class T>
void require_close(const std::vector<T>& y, const std::vector<double>& wanted, double tolerance) {
  for (std::size_t i = 0; i < wanted.size(); ++i)
    if (const double found = double(float(y[i])); !(std::fabs(found - wanted[i]) < tolerance))
      throw std::runtime_error("element " + std::to_string(i) + " of " + std::to_string(wanted.size()) + " is " +
                               std::to_string(found) + " instead of " + std::to_string(wanted[i]));
}

/// Doubles n values, in a block that ends where a page does, from its element `first` on.
void twice(std::size_t n, std::size_t first) {
  const auto x = numbers<float>(n + first, 1);
  float *const on_x = on_device(x), *const on_factor = on_device<float>({2});
  cuda::CudaElementwise::scale<float>(gpu(), std::int64_t(n), on_factor, on_x + first);
  std::vector<double> wanted(x.begin(), x.end());
  for (std::size_t i = first; i < wanted.size(); ++i) wanted[i] *= 2;
  require_close(on_host(on_x, x.size()), wanted, 1e-6);
}

/// Adds to zeros in memory of the library's pool.
void added(std::size_t n) {
  const auto x = numbers<float>(n, 9);
  auto* const y = static_cast<float*>(memory<Cuda>::allocate(n * sizeof(float)));
  memory<Cuda>::copy_from_host(y, std::vector<float>(n).data(), n * sizeof(float));
  cuda::CudaElementwise::accumulate<float, float>(gpu(), std::int64_t(n), on_device(x), y);
  require_close(on_host(y, n), {x.begin(), x.end()}, 1e-6);
}

/// Fills memory of the library's pool.
void filled(std::size_t n) {
  auto* const y = static_cast<float*>(memory<Cuda>::allocate(n * sizeof(float)));
  cuda::CudaElementwise::fill<float>(gpu(), std::int64_t(n), 3, y);
  require_close(on_host(y, n), std::vector<double>(n, 3), 1e-6);
}

struct WriteIndex {
  float* y;
  void operator()(std::int64_t i) const { y[i] = float(i); }
};

void counted(std::size_t n) {
  float* const on_y = on_device(std::vector<float>(n));
  cuda::for_each_index(gpu(), std::int64_t(n), WriteIndex{on_y});
  std::vector<double> wanted;
  for (std::size_t i = 0; i < n; ++i) wanted.push_back(double(i));
  require_close(on_host(on_y, n), wanted, 1e-6);
}

/// Sums over the middle axis of (1, n, inner).
void sums(std::size_t n, std::size_t inner) {
  const auto x = numbers<float>(n * inner, 2);
  float* const on_y = on_device(std::vector<float>(inner));
  cuda::CudaReduction::reduce_sum<float>(gpu(), 1, std::int64_t(n), std::int64_t(inner), on_device(x), on_y);
  std::vector<double> wanted(inner);
  for (std::size_t i = 0; i < x.size(); ++i) wanted[i % inner] += double(x[i]);
  require_close(on_host(on_y, inner), wanted, 1e-4);
}

void gathered() {
  const auto table = numbers<float>(12, 3);
  float* const on_y = on_device(std::vector<float>(3));
  cuda::CudaRows::gather_rows<float>(gpu(), 3, 12, 1, on_device(table), on_device<std::int32_t>({7, 0, 11}), on_y);
  require_close(on_host(on_y, 3), {double(table[7]), double(table[0]), double(table[11])}, 1e-6);
}

void scattered() {
  const auto dy = numbers<float>(300, 4);
  float* const on_table = on_device(std::vector<float>(4));
  std::vector<std::int32_t> ids(300);
  std::vector<double> wanted(4);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ids[i] = static_cast<std::int32_t>(i * i % 4);
    wanted[i * i % 4] += double(dy[i]);
  }
  cuda::CudaRows::scatter_add_rows<float>(gpu(), 300, 4, 1, on_device(ids), on_device(dy), on_table);
  require_close(on_host(on_table, 4), wanted, 1e-4);
}

/// One head of n tokens that see each other: softmax(q kT / 4) v, all (n, 32).
void attended() {
  constexpr std::size_t n = 7, D = 32;
  const auto q = numbers<bfloat16>(n * D, 5), k = numbers<bfloat16>(n * D, 6.5), v = numbers<bfloat16>(n * D, 8);
  bfloat16* const on_y = on_device(std::vector<bfloat16>(n * D));
  const HeadLayout layout{n * D, n * D, D};
  const AttentionShape shape{.batch = 1,
                             .heads = 1,
                             .key_heads = 1,
                             .queries = n,
                             .keys = n,
                             .head_size = D,
                             .query = layout,
                             .key = layout,
                             .value = layout,
                             .output = layout,
                             .scale = 0.25};
  using Tile = cuda::ForwardTile<D>;
  cuda::launch(gpu(), 1, Tile::block, Tile::bytes, cuda::attention_forward<bfloat16, D>, shape, nullptr, true,
               cuda::exponent_factor(shape.scale), on_device(q), on_device(k), on_device(v), on_y, nullptr);
  std::vector<double> wanted(n * D);
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<double> p(n);
    double sum = 0;
    for (std::size_t j = 0; j < n; ++j) {
      double score = 0;
      for (std::size_t d = 0; d < D; ++d) score += double(float(q[i * D + d])) * double(float(k[j * D + d]));
      sum += p[j] = std::exp(score / 4);
    }
    for (std::size_t j = 0; j < n; ++j)
      for (std::size_t d = 0; d < D; ++d) wanted[i * D + d] += p[j] / sum * double(float(v[j * D + d]));
  }
  require_close(on_host(on_y, n * D), wanted, 0.01);
}

void check(const std::string& name) {
  if (name == "tail") return twice(64, 0);
  if (name == "tail in the pool") return filled(3);
  if (name == "alignment") return twice(63, 1);
  if (name == "host pointer") return added(5);
  if (name == "race of blocks") return counted(600);
  if (name == "columns") return sums(60, 40);
  if (name == "rows") return sums(100, 1);
  if (name == "gather") return gathered();
  if (name == "scatter") return scattered();
  if (name == "attention") return attended();
  throw std::runtime_error("there is no such check");
}

}  // namespace

int main(int, char** arguments) {
  std::signal(SIGABRT, [](int) { std::_Exit(1); });  // the emulator has said why
  try {
    check(arguments[1]);
    std::puts("right");
    return 0;
  } catch (const std::exception& error) {
    std::printf("%s: %s\n", arguments[1], error.what());
    return 1;
  }
}
