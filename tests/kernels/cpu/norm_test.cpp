// SPDX-License-Identifier: MIT
// Layer norm and RMS norm kernels against plain loops in double and against PyTorch.
#include <plinth/kernels/cpu.hpp>

#include <vector>

#include "catch.hpp"
#include "kernels/numbers.hpp"
#include "kernels/plain_backend.hpp"

using namespace plinth;

namespace {

struct Sizes {
  std::int64_t rows, columns;
};
const std::vector<Sizes> all_sizes = {{0, 5}, {1, 3}, {5, 15}, {7, 16}, {2, 17}, {255, 32}, {256, 33}, {600, 31}, {3, 768}, {2, 4099}};

template <class T>
struct Operands {
  std::vector<T> x, gain, bias, dy;
};
template <class T>
Operands<T> operands(const Sizes& s, double mean = 0.3) {
  const std::int64_t n = s.rows * s.columns;
  return {numbers::normal<T>(n, 1, 2, mean), numbers::normal<T>(s.columns, 2, 0.2, 1), numbers::normal<T>(s.columns, 3),
          numbers::normal<T>(n, 4)};
}

/// What forward and backward wrote.
template <class T>
struct Results {
  std::vector<T> y, dx, dgain, dbias;
};

template <class D, class T>
Results<T> layer_norm(const Sizes& s, const Operands<T>& o, bool with_bias = true) {
  using A = accumulator_t<T>;
  const auto columns = static_cast<std::size_t>(s.columns);
  std::vector<A> mean(static_cast<std::size_t>(s.rows)), inverse = mean;
  Results<T> r{std::vector<T>(o.x.size()), std::vector<T>(o.x.size()), std::vector<T>(columns), std::vector<T>(columns)};
  auto& q = queue<D>::current();
  kernels<D>::layer_norm(q, s.rows, s.columns, 1e-5, o.x.data(), o.gain.data(), with_bias ? o.bias.data() : nullptr,
                         r.y.data(), mean.data(), inverse.data());
  kernels<D>::layer_norm_backward(q, s.rows, s.columns, o.x.data(), o.gain.data(), mean.data(), inverse.data(),
                                  o.dy.data(), r.dx.data(), r.dgain.data(), with_bias ? r.dbias.data() : nullptr);
  return r;
}

template <class D, class T>
Results<T> rms_norm(const Sizes& s, const Operands<T>& o) {
  std::vector<accumulator_t<T>> inverse(static_cast<std::size_t>(s.rows));
  Results<T> r{std::vector<T>(o.x.size()), std::vector<T>(o.x.size()), std::vector<T>(o.gain.size()), {}};
  auto& q = queue<D>::current();
  kernels<D>::rms_norm(q, s.rows, s.columns, 1e-5, o.x.data(), o.gain.data(), r.y.data(), inverse.data());
  kernels<D>::rms_norm_backward(q, s.rows, s.columns, o.x.data(), o.gain.data(), inverse.data(), o.dy.data(),
                                r.dx.data(), r.dgain.data());
  return r;
}

template <class T>
void agree(const Results<T>& a, const Results<T>& b, double tolerance) {
  CHECK(numbers::distance(a.y, b.y) < tolerance);
  CHECK(numbers::distance(a.dx, b.dx) < tolerance);
  CHECK(numbers::distance(a.dgain, b.dgain) < tolerance);
  CHECK(numbers::distance(a.dbias, b.dbias) < tolerance);
}

}  // namespace

TEST_CASE("norms over rows of any length") {
  for (const Sizes& s : all_sizes) {
    INFO(s.rows << " rows of " << s.columns);
    const auto singles = operands<float>(s);
    agree(layer_norm<Cpu>(s, singles), layer_norm<Plain>(s, singles), 2e-6);
    agree(layer_norm<Cpu>(s, singles, false), layer_norm<Plain>(s, singles, false), 2e-6);
    agree(rms_norm<Cpu>(s, singles), rms_norm<Plain>(s, singles), 2e-6);
    const auto doubles = operands<double>(s);
    agree(layer_norm<Cpu>(s, doubles), layer_norm<Plain>(s, doubles), 1e-13);
    agree(rms_norm<Cpu>(s, doubles), rms_norm<Plain>(s, doubles), 1e-13);
  }
}

TEST_CASE("norms of 16-bit rows are computed in float") {
  const Sizes s{9, 33};
  const auto o = operands<bfloat16>(s);
  agree(layer_norm<Cpu>(s, o), layer_norm<Plain>(s, o), 4e-3);
  agree(rms_norm<Cpu>(s, o), rms_norm<Plain>(s, o), 4e-3);
}

TEST_CASE("a mean far from zero does not cost layer norm its digits") {
  const Sizes s{20, 512};
  const auto o = operands<float>(s, 1000);
  CHECK(numbers::distance(layer_norm<Cpu>(s, o).y, layer_norm<Plain>(s, o).y) < 5e-5);
}

TEST_CASE("norms of PyTorch") {
  // x = tensor([[1., 2, 4], [-1, 0.5, 3]], dtype=double, requires_grad=True), gain [1, 0.5, 2], bias [0.1, 0, -1]
  // y = layer_norm(x, (3,), gain, bias); y.backward(tensor([[1., -1, 2], [0.5, 0, 1]]));  rms_norm(x, (3,), gain, 1e-5)
  const Operands<double> o{{1, 2, 4, -1, 0.5, 3}, {1, 0.5, 2}, {0.1, 0, -1}, {1, -1, 2, 0.5, 0, 1}};
  const auto layer = layer_norm<Cpu>({2, 3}, o);
  CHECK(numbers::distance(layer.y, std::vector<double>{-0.9690415315, -0.1336301914, 1.6726038286, -1.0111657581, -0.1010150689, 1.6263917919}) < 1e-9);
  CHECK(numbers::distance(layer.dx, std::vector<double>{0.8590431311, -1.2885788708, 0.4295357398, 0.2628436247, -0.4205528423, 0.1577092176}) < 1e-9);
  CHECK(numbers::distance(layer.dgain, std::vector<double>{-1.6246244105, 0.2672603829, 3.9857997246}) < 1e-9);
  CHECK(layer.dbias == std::vector<double>{1.5, -1, 3});
  const auto rms = rms_norm<Cpu>({2, 3}, o);
  CHECK(numbers::distance(rms.y, std::vector<double>{0.3779642030, 0.3779642030, 3.0237136243, -0.5410009891, 0.1352502473, 3.2460059346}) < 1e-9);
  CHECK(numbers::distance(rms.dx, std::vector<double>{0.0899918883, -0.7649267310, 0.3599675532, 0.5607928586, -0.1451461820, 0.2111248861}) < 1e-9);
  CHECK(numbers::distance(rms.dgain, std::vector<double>{0.1074637085, -0.7559284061, 4.6467165916}) < 1e-9);
}

TEST_CASE("bits of norms depend on values alone") {
  const Sizes s{601, 67};
  const auto o = operands<float>(s);
  const auto columns = static_cast<std::size_t>(s.columns), rows = static_cast<std::size_t>(s.rows);
  CHECK(numbers::bits_depend_on_values_alone([&](std::size_t offset) {
    numbers::Placed<float> x(o.x, offset), gain(o.gain, 2 * offset), dy(o.dy, 3 * offset), y(o.x, offset);
    numbers::Placed<float> sums(std::vector<float>(2 * columns), offset);
    std::vector<float> mean(rows), inverse(rows);
    auto& q = queue<Cpu>::current();
    kernels<Cpu>::layer_norm(q, s.rows, s.columns, 1e-5, x.data(), gain.data(), gain.data(), y.data(), mean.data(), inverse.data());
    kernels<Cpu>::layer_norm_backward(q, s.rows, s.columns, y.data(), gain.data(), mean.data(), inverse.data(), dy.data(),
                                      x.data(), sums.data(), sums.data() + s.columns);
    kernels<Cpu>::rms_norm(q, s.rows, s.columns, 1e-5, x.data(), gain.data(), y.data(), inverse.data());
    kernels<Cpu>::rms_norm_backward(q, s.rows, s.columns, y.data(), gain.data(), inverse.data(), dy.data(), x.data(), gain.data());
    auto all = x.values();
    for (const auto& more : {sums.values(), gain.values()}) all.insert(all.end(), more.begin(), more.end());
    return all;
  }));
}
