// SPDX-License-Identifier: MIT
// The peers of gemm_peers.hpp. CMake says which there are, and compiles this file for the machine's own processor,
// since Eigen chooses its instructions when it is compiled.
#include "gemm_peers.hpp"

#include <concepts>
#include <string>
#include <unordered_map>
#include <utility>

#ifdef PEER_EIGEN
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <Eigen/Core>
#endif
#ifdef PEER_ONEDNN
#include <oneapi/dnnl/dnnl.hpp>
#endif
#ifdef PEER_OPENBLAS
#include <cblas.h>
#endif

namespace benchmark {

namespace {

#ifdef PEER_EIGEN
template <int A, int B>
void eigen_product(const Product& p, const float* a, const float* b, float* c) {
  using Row = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, A>> left(a, p.M, p.K);
  Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, B>> right(b, p.K, p.N);
  Eigen::Map<Row>(c, p.M, p.N).noalias() = left * right;
}

Contender eigen(const Product& p, const float* a, const float* b, float* c) {
  auto* product = &eigen_product<Eigen::RowMajor, Eigen::RowMajor>;
  if (p.a_transposed) product = &eigen_product<Eigen::ColMajor, Eigen::RowMajor>;
  if (p.b_transposed) product = &eigen_product<Eigen::RowMajor, Eigen::ColMajor>;
  return {"Eigen " + std::to_string(EIGEN_WORLD_VERSION) + "." + std::to_string(EIGEN_MAJOR_VERSION),
          [=] { product(p, a, b, c); }};
}
#endif

#ifdef PEER_OPENBLAS
Contender openblas(const Product& p, const float* a, const float* b, float* c) {
  openblas_set_num_threads(1);
  const auto m = static_cast<blasint>(p.M), n = static_cast<blasint>(p.N), k = static_cast<blasint>(p.K);
  const auto multiply = [=] {
    if (m == 1 && p.b_transposed) return cblas_sgemv(CblasRowMajor, CblasNoTrans, n, k, 1, b, k, a, 1, 0, c, 1);
    cblas_sgemm(CblasRowMajor, p.a_transposed ? CblasTrans : CblasNoTrans, p.b_transposed ? CblasTrans : CblasNoTrans,
                m, n, k, 1, a, p.a_transposed ? m : k, b, p.b_transposed ? k : n, 0, c, n);
  };
  return {std::string("OpenBLAS ") + openblas_get_corename(), multiply};
}
#endif

#ifdef PEER_ONEDNN
std::string onednn(const char* function) {
  const dnnl_version_t& version = *dnnl_version();
  return "oneDNN " + std::to_string(version.major) + "." + std::to_string(version.minor) + " " + function;
}

Contender onednn_sgemm(const Product& p, const float* a, const float* b, float* c) {
  return {onednn("sgemm"), [=] {
            dnnl::sgemm(p.a_transposed ? 'T' : 'N', p.b_transposed ? 'T' : 'N', p.M, p.N, p.K, 1, a,
                        p.a_transposed ? p.M : p.K, b, p.b_transposed ? p.K : p.N, 0, c, p.N);
          }};
}

template <class T>
Contender onednn_matmul(const Product& p, const T* a, const T* b, T* c) {
  using dnnl::memory;
  constexpr auto type = std::same_as<T, float> ? memory::data_type::f32 : memory::data_type::bf16;
  const auto matrix = [=](std::int64_t rows, std::int64_t columns, bool transposed) {
    return memory::desc({rows, columns}, type, transposed ? memory::format_tag::ba : memory::format_tag::ab);
  };
  const auto left = matrix(p.M, p.K, p.a_transposed), right = matrix(p.K, p.N, p.b_transposed),
             result = matrix(p.M, p.N, false);
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  const dnnl::stream stream(engine);
  const dnnl::matmul matmul({dnnl::matmul::desc(left, right, result), engine});
  const std::unordered_map<int, memory> arguments = {{DNNL_ARG_SRC, {left, engine, const_cast<T*>(a)}},
                                                     {DNNL_ARG_WEIGHTS, {right, engine, const_cast<T*>(b)}},
                                                     {DNNL_ARG_DST, {result, engine, c}}};
  return {onednn("matmul"), [=] { matmul.execute(stream, arguments); }};
}
#endif

}  // namespace

std::vector<Contender> gemm_peers([[maybe_unused]] const Product& product, [[maybe_unused]] const float* a,
                                  [[maybe_unused]] const float* b, [[maybe_unused]] float* c) {
  std::vector<Contender> peers;
#ifdef PEER_EIGEN
  if (plinth::instruction_set() == plinth::detail::widest_instruction_set()) peers.push_back(eigen(product, a, b, c));
#endif
#ifdef PEER_OPENBLAS
  if (all_threads() == 1) peers.push_back(openblas(product, a, b, c));
#endif
#ifdef PEER_ONEDNN
  peers.push_back(onednn_sgemm(product, a, b, c));
  peers.push_back(onednn_matmul(product, a, b, c));
#endif
  return peers;
}

std::vector<Contender> gemm_peers([[maybe_unused]] const Product& product, [[maybe_unused]] const plinth::bfloat16* a,
                                  [[maybe_unused]] const plinth::bfloat16* b, [[maybe_unused]] plinth::bfloat16* c) {
  std::vector<Contender> peers;
#ifdef PEER_ONEDNN
  try {
    peers.push_back(onednn_matmul(product, a, b, c));
  } catch (const dnnl::error& error) {
    if (error.status != dnnl_unimplemented) throw;  // as it is for bfloat16 without AVX-512
  }
#endif
  return peers;
}

}  // namespace benchmark
