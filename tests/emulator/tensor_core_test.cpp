// SPDX-License-Identifier: MIT
// Products and loads of matrices by a warp, and asynchronous copies, against the definitions of the PTX manual; what
// kernels do wrong with them is found.
#include <emulator.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "catch.hpp"
#include "kernels/cuda/device_array.hpp"

using namespace plinth;
using cuda::block_barrier;
using cuda::shared_memory;

namespace {

constexpr int threads = 32, M = 16, N = 8, K = 16;

int lane() { return static_cast<int>(threadIdx.x); }

/// Elements `low` and `high` of x as one register.
template <class T>
std::uint32_t pair(const T& low, const T& high) {
  return low.bits | static_cast<std::uint32_t>(high.bits) << 16;
}

// Of element i in a lane's fragment of mma.m16n8k16: row and column, PTX ISA, "Matrix Fragments for mma.m16n8k16 with
// floating point type".
int row_of_a(int i) { return lane() / 4 + (i < 2 || (4 <= i && i < 6) ? 0 : 8); }
int column_of_a(int i) { return lane() % 4 * 2 + (i & 1) + (i < 4 ? 0 : 8); }
int row_of_b(int i) { return lane() % 4 * 2 + (i & 1) + (i < 2 ? 0 : 8); }
int column_of_b(int) { return lane() / 4; }
int row_of_c(int i) { return lane() / 4 + (i < 2 ? 0 : 8); }
int column_of_c(int i) { return lane() % 4 * 2 + (i & 1); }

enum class Fault { none, registers_of_a, registers_of_b, missing_lane };

/// c += a b for row-major matrices.
template <class T, Fault Planted>
__global__ void multiply(const T* a, const T* b, float* c) {
  std::uint32_t x[4], y[2];
  float z[4];
  for (int i = 0; i < 8; i += 2)
    x[i / 2] = pair(a[row_of_a(i) * K + column_of_a(i)], a[row_of_a(i + 1) * K + column_of_a(i + 1)]);
  for (int i = 0; i < 4; i += 2)
    y[i / 2] = pair(b[row_of_b(i) * N + column_of_b(i)], b[row_of_b(i + 1) * N + column_of_b(i + 1)]);
  for (int i = 0; i < 4; ++i) z[i] = c[row_of_c(i) * N + column_of_c(i)];
  if (Planted == Fault::registers_of_a) std::swap(x[1], x[2]);
  if (Planted == Fault::registers_of_b) std::swap(y[0], y[1]);
  if (Planted == Fault::missing_lane && lane() == 7) return;
  cuda::multiply_add<T>(z, x, y[0], y[1]);
  for (int i = 0; i < 4; ++i) c[row_of_c(i) * N + column_of_c(i)] = z[i];
}

/// The largest error of multiply<T, Planted>.
template <class T, Fault Planted>
double error_of_product() {
  const auto a = test_values<T>(M * K, 1), b = test_values<T>(K * N, 2);
  const auto before = test_values<float>(M * N, 3);
  const DeviceArray<T> on_a(a), on_b(b);
  const DeviceArray<float> on_c(before);
  cuda::launch(queue<Cuda>::current(), 1, threads, 0, multiply<T, Planted>, on_a.data(), on_b.data(), on_c.data());
  const auto c = on_c.values();
  double worst = 0;
  for (std::size_t i = 0; i < M; ++i)
    for (std::size_t j = 0; j < N; ++j) {
      double sum = double(before[i * N + j]);
      for (std::size_t k = 0; k < K; ++k) sum += double(a[i * K + k]) * double(b[k * N + j]);
      worst = std::max(worst, std::fabs(double(c[i * N + j]) - sum));
    }
  return worst;
}

/// 16 rows of 16 elements into shared memory, then the four matrices of a fragment into registers: element (r, c) of
/// matrix i of the lane goes to y[(i * 32 + lane) * 2 ...].
template <bool Transposed>
__global__ void load(const bfloat16* x, std::uint32_t* y, int shift) {
  auto* shared = shared_memory<bfloat16>();
  for (int i = lane(); i < 256; i += threads) shared[i] = x[i];
  block_barrier();
  std::uint32_t registers[4];
  const auto* row = shared + lane() % 16 * 16 + lane() / 16 * 8 + (lane() == 9 ? shift : 0);
  if (Transposed)
    cuda::load_matrices_transposed(registers, row);
  else
    cuda::load_matrices(registers, row);
  for (int i = 0; i < 4; ++i) y[i * threads + lane()] = registers[i];
}

template <bool Transposed>
std::vector<std::uint32_t> loaded(const std::vector<bfloat16>& x, int shift = 0) {
  const DeviceArray<bfloat16> on_x(x);
  const DeviceArray<std::uint32_t> on_y(std::vector<std::uint32_t>(4 * threads));
  cuda::launch(queue<Cuda>::current(), 1, threads, 512, load<Transposed>, on_x.data(), on_y.data(), shift);
  return on_y.values();
}

/// What ldmatrix gives a lane: "each thread of a warp holds a fragment of a row": elements 2 (l % 4) and the next of
/// row l / 4 of each matrix, or of its transpose; the matrices are the quarters of x (16, 16), first below each other.
std::vector<std::uint32_t> wanted(const std::vector<bfloat16>& x, bool transposed) {
  std::vector<std::uint32_t> result;
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t l = 0; l < threads; ++l) {
      const auto element = [&](std::size_t r, std::size_t c) {
        if (transposed) std::swap(r, c);
        return x[(i % 2 * 8 + r) * 16 + i / 2 * 8 + c];
      };
      result.push_back(pair(element(l / 4, l % 4 * 2), element(l / 4, l % 4 * 2 + 1)));
    }
  return result;
}

enum class Wait { all, but_newest, none };

/// Copies 8 numbers by each thread in two groups of 4; the odd threads' second group is zeros.
template <Wait Until>
__global__ void copy(const float* x, float* y, int shift) {
  float* shared = shared_memory<float>() + 8 * lane();
  const float* from = x + 8 * lane();
  cuda::copy_async(shared, from + (lane() == 9 ? shift : 0), true);
  cuda::commit_copies();
  cuda::copy_async(shared + 4, from + 4, lane() % 2 == 0);
  cuda::commit_copies();
  if (Until == Wait::all) cuda::wait_for_copies<0>();
  if (Until == Wait::but_newest) cuda::wait_for_copies<1>();
  for (int i = 0; i < 8; ++i) y[8 * lane() + i] = shared[i];
}

template <Wait Until>
std::vector<float> copied(const std::vector<float>& x, int shift = 0) {
  const DeviceArray<float> on_x(x), on_y(x);
  cuda::launch(queue<Cuda>::current(), 1, threads, threads * 32, copy<Until>, on_x.data(), on_y.data(), shift);
  return on_y.values();
}

template <class E, class F>
std::string message(const F& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  return "none";
}

}  // namespace

TEST_CASE("emulator: a warp's matrix product is that of the PTX manual") {
  CHECK(error_of_product<bfloat16, Fault::none>() < 2e-6);
  CHECK(error_of_product<half, Fault::none>() < 2e-6);
}

TEST_CASE("emulator, planted faults: swapped registers of a fragment give wrong products, a missing lane is an error") {
  CHECK(error_of_product<bfloat16, Fault::registers_of_a>() > 0.1);
  CHECK(error_of_product<half, Fault::registers_of_a>() > 0.1);
  CHECK(error_of_product<bfloat16, Fault::registers_of_b>() > 0.1);
  CHECK(error_of_product<half, Fault::registers_of_b>() > 0.1);
  using Catch::Matchers::Contains;
  CHECK_THAT(message<emulator::Deadlock>([] { error_of_product<bfloat16, Fault::missing_lane>(); }),
             Contains("warp collective") && Contains("thread (7, 0, 0) has ended"));
}

TEST_CASE("emulator: a warp loads matrices as they are and transposed") {
  const auto x = test_values<bfloat16>(256, 1);
  CHECK(loaded<false>(x) == wanted(x, false));
  CHECK(loaded<true>(x) == wanted(x, true));
  CHECK(wanted(x, true) != wanted(x, false));
}

TEST_CASE("emulator: a matrix's row at a crooked address is an error that names the thread") {
  using Catch::Matchers::Contains;
  const auto x = test_values<bfloat16>(256, 1);
  CHECK_THAT(message<emulator::Misaligned>([&] { loaded<false>(x, 4); }), Contains("thread (9, 0, 0)"));
  CHECK_THAT(message<emulator::Misaligned>([&] { loaded<true>(x, 1); }), Contains("thread (9, 0, 0)"));
}

TEST_CASE("emulator: asynchronous copies are there when they have been waited for, and not before") {
  const auto x = test_values<float>(8 * threads, 1);
  auto all = x;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (i % 16 >= 12) all[i] = 0;
  CHECK(copied<Wait::all>(x) == all);
  const auto some = copied<Wait::but_newest>(x), none = copied<Wait::none>(x);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    wrong += !std::isnan(none[i]) || (i % 8 < 4 ? some[i] != x[i] : !std::isnan(some[i]));
  CHECK(wrong == 0);
}

TEST_CASE("emulator: an asynchronous copy between crooked addresses is an error that names the thread") {
  CHECK_THAT(message<emulator::Misaligned>([] { copied<Wait::all>(test_values<float>(8 * threads, 1), 1); }),
             Catch::Matchers::Contains("thread (9, 0, 0)"));
}
