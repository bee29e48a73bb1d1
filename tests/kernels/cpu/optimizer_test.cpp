// SPDX-License-Identifier: MIT
// The optimisers' kernels against plain loops in double; PyTorch's numbers are in tests/train.
#include <plinth/kernels/cpu.hpp>

#include <cmath>
#include <vector>

#include "catch.hpp"
#include "kernels/numbers.hpp"
#include "kernels/pieces.hpp"
#include "kernels/plain_backend.hpp"

using namespace plinth;

namespace {

constexpr AdamSettings adam = {.beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8};

/// The n weights and their moments after three steps, one after the other: of Adam or AdamW, and then of three kinds of
/// descent; as one parameter or as a list of so many.
template <class D, class T>
std::vector<T> stepped(std::int64_t n, bool decoupled = true, std::size_t offset = 0, T proceed = 1,
                       std::int64_t list = 1) {
  using Placed = numbers::Placed<T>;
  Placed weight(numbers::normal<T>(n, 1), offset), first(std::vector<T>(static_cast<std::size_t>(n)), 2 * offset),
      second(first.values(), 3 * offset), velocity(first.values(), offset);
  auto& q = queue<D>::current();
  for (int step = 1; step <= 3; ++step) {
    Placed gradient(numbers::normal<T>(n, static_cast<std::uint32_t>(10 + step), 0.01), offset);
    const T values[5] = {T(1e-2), proceed, T(0.75), T(1 - std::pow(adam.beta1, step)),
                         T(1 - std::pow(adam.beta2, step))};
    TrainedParameter<T> all{n, {0.5, 0.1}, gradient.data(), first.data(), second.data(), nullptr, weight.data()};
    kernels<D>::adam(q, list, adam, decoupled, values, pieces(all, list).data());
    all.group.rate_factor = 2;
    all.first = velocity.data();
    for (const bool nesterov : {false, true})
      kernels<D>::sgd(q, list, {.momentum = 0.9, .nesterov = nesterov}, values, pieces(all, list).data());
    all.first = nullptr;
    kernels<D>::sgd(q, list, {}, values, pieces(all, list).data());
  }
  auto all = weight.values();
  for (const auto& more : {first.values(), second.values(), velocity.values()})
    all.insert(all.end(), more.begin(), more.end());
  return all;
}

}  // namespace

TEST_CASE("optimisers over any number of weights") {
  for (const std::int64_t n : {0, 1, 15, 16, 17, 8191, 8192, 8193, 20011})
    for (const bool decoupled : {false, true}) {
      INFO(n << " weights, decoupled " << decoupled);
      CHECK(numbers::distance(stepped<Cpu, float>(n, decoupled), stepped<Plain, float>(n, decoupled)) < 1e-6);
      CHECK(numbers::distance(stepped<Cpu, double>(n, decoupled), stepped<Plain, double>(n, decoupled)) < 1e-14);
    }
}

TEST_CASE("optimisers over any number of parameters") {
  for (const std::int64_t list : {0, 2, 3, 200}) {
    INFO(list << " parameters");
    CHECK(numbers::distance(stepped<Cpu, float>(40011, true, 0, 1, list),
                            stepped<Plain, float>(40011, true, 0, 1, list)) < 1e-6);
  }
}

namespace {

/// Masters, weights and moments of 16 bits after three steps; every tenth weight is written anew before the last.
template <class D, class T>
std::vector<double> stepped_beside_masters(std::int64_t n) {
  auto weight = numbers::normal<T>(n, 1), gradient = numbers::normal<T>(n, 2, 0.01);
  std::vector<float> master(weight.begin(), weight.end()), first(master.size()), second(first), velocity(first);
  auto& q = queue<D>::current();
  for (int step = 1; step <= 3; ++step) {
    const float values[5] = {1e-3f, 1, 0.75f, static_cast<float>(1 - std::pow(adam.beta1, step)),
                             static_cast<float>(1 - std::pow(adam.beta2, step))};
    if (step == 3)
      for (std::size_t i = 0; i < weight.size(); i += 10) weight[i] = T(0.125f);
    TrainedParameter<T> all{n, {1, 0.1}, gradient.data(), first.data(), second.data(), master.data(), weight.data()};
    kernels<D>::adam(q, 1, adam, true, values, &all);
    all.group.rate_factor = 2;
    all.first = velocity.data();
    kernels<D>::sgd(q, 1, {.momentum = 0.9}, values, &all);
  }
  std::vector<double> all(weight.begin(), weight.end());
  for (std::size_t i = 0; i < weight.size(); ++i) CHECK(weight[i].bits == T(master[i]).bits);
  for (const auto& more : {master, first, second, velocity}) all.insert(all.end(), more.begin(), more.end());
  return all;
}

}  // namespace

TEST_CASE("weights of 16 bits are trained beside masters") {
  for (const std::int64_t n : {1, 17, 8193}) {
    CHECK(numbers::distance(stepped_beside_masters<Cpu, bfloat16>(n), stepped_beside_masters<Plain, bfloat16>(n)) <
          1e-4);
    CHECK(numbers::distance(stepped_beside_masters<Cpu, half>(n), stepped_beside_masters<Plain, half>(n)) < 1e-4);
  }
}

TEST_CASE("a step that must not proceed changes nothing") {
  auto initial = numbers::normal<float>(8193, 1);
  initial.resize(4 * initial.size());  // moments and velocity stay 0
  CHECK(stepped<Cpu, float>(8193, true, 0, 0) == initial);
  CHECK(stepped<Plain, float>(8193, true, 0, 0) == initial);
}

TEST_CASE("a zero gradient at the first step moves nothing but by decay") {
  std::vector<float> weight = {2}, gradient = {0}, first = {0}, second = {0};
  const float values[5] = {0.5f, 1, 1, 0.1f, 0.05f};
  const TrainedParameter<float> one{1, {1, 0.1}, gradient.data(), first.data(), second.data(), nullptr, weight.data()};
  kernels<Cpu>::adam(queue<Cpu>::current(), 1, adam, true, values, &one);
  CHECK(weight[0] == 2 * (1 - 0.5f * 0.1f));
}

TEST_CASE("tiny and huge gradients move a weight as they should") {
  for (const float size : {1e-30f, 1e-23f, 1e-21f, 1e-19f, 1e-12f, 1e-8f, 1.0f, 1e12f, 1e18f}) {
    const float values[5] = {1e-2f, 1, 1, 0.1f, 0.05f};
    float moved[2] = {}, moments[4] = {};
    const TrainedParameter<float> of_cpu{1, {}, &size, moments, moments + 1, nullptr, moved},
        of_plain{1, {}, &size, moments + 2, moments + 3, nullptr, moved + 1};
    kernels<Cpu>::adam(queue<Cpu>::current(), 1, adam, true, values, &of_cpu);
    kernels<Plain>::adam(queue<Plain>::current(), 1, adam, true, values, &of_plain);
    INFO("gradient " << size);
    CHECK(moved[0] == Approx(moved[1]).epsilon(1e-5).margin(1e-20));
  }
}

TEST_CASE("bits of the optimisers depend on values alone") {
  CHECK(numbers::bits_depend_on_values_alone(
      [](std::size_t offset) { return stepped<Cpu, float>(20011, true, offset, 1, 7); }));
}
