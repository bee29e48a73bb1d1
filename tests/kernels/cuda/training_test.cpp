// SPDX-License-Identifier: MIT
// CUDA's kernels of training alone in every element type against plain loops: optimisers, dropout, the squared norm.
#include <utility>
#include <vector>

#include "kernels/cuda/against_plain_device.hpp"
#include "kernels/pieces.hpp"

using namespace plinth;

namespace {

const std::vector<std::int64_t> counts = {0, 1, 3, 255, 256, 257, 1000, 16384, 16385, 40001};

}  // namespace

TEMPLATE_TEST_CASE("cuda optimisers", "[cuda]", float, double, bfloat16, plinth::half) {
  using T = TestType;
  using A = accumulator_t<T>;
  using namespace on_devices;
  // Whole packs and a rest, two blocks; parameters that begin anywhere, in float more than one launch takes.
  constexpr Count long_list = std::is_same_v<T, float> ? 60 : 3;
  for (const auto& [n, list] : std::vector<std::pair<Count, Count>>{{0, 1}, {1, 1}, {257, 1}, {9001, 1}, {900, long_list}}) {
    INFO(list << " parameters");
    const auto gradient = numbers::normal<T>(n, 1), weight = numbers::normal<T>(n, 2);
    std::vector<A> master, first = numbers::normal<A>(n, 3), second = numbers::normal<A>(n, 4);
    for (const T value : weight) master.push_back(static_cast<A>(value) * (master.size() % 3 ? A(1.0001) : A(2)));
    for (A& value : second) value *= value;
    for (const bool proceed : {true, false}) {
      const std::vector<A> step_values = {A(0.01), A(proceed), A(0.5), A(0.3), A(0.2)};
      struct Result {
        std::vector<std::vector<T>> weights;
        std::vector<std::vector<A>> state;
      };
      const auto agree_in_both = [&](const char* kernel, const auto& run) {
        agree<T>(kernel, 1, n, [&](auto device) { return run(device).weights; });
        agree<A>(kernel, 1, n, [&](auto device) { return run(device).state; });
      };
      for (const bool decoupled : {true, false})
        agree_in_both("adam", [&]<class D>(D) {
          auto g = placed<D>(gradient), w = placed<D>(weight);
          auto values = placed<D>(step_values), kept = placed<D>(master), m = placed<D>(first), v = placed<D>(second);
          const TrainedParameter<T> all{n, {0.7, 0.1}, g.data(), m.data(), v.data(), std::is_same_v<T, A> ? nullptr : kept.data(), w.data()};
          kernels<D>::adam(queue<D>::current(), list, {}, decoupled, values.data(), pieces(all, list).data());
          return Result{{w.values()}, {m.values(), v.values(), kept.values()}};
        });
      for (const bool nesterov : {true, false})
        for (const bool with_momentum : {true, false})
          agree_in_both("sgd", [&]<class D>(D) {
            auto g = placed<D>(gradient), w = placed<D>(weight);
            auto values = placed<D>(step_values), kept = placed<D>(master), v = placed<D>(first);
            const TrainedParameter<T> all{n, {0.7, 0.1}, g.data(), with_momentum ? v.data() : nullptr, nullptr,
                                          std::is_same_v<T, A> ? nullptr : kept.data(), w.data()};
            const SgdSettings settings{.momentum = with_momentum ? 0.9 : 0, .nesterov = nesterov};
            kernels<D>::sgd(queue<D>::current(), list, settings, values.data(), pieces(all, list).data());
            return Result{{w.values()}, {v.values(), kept.values()}};
          });
    }
  }
}

TEMPLATE_TEST_CASE("cuda dropout draws the mask of the CPU", "[cuda]", float, double, bfloat16, plinth::half) {
  using T = TestType;
  using namespace on_devices;
  const RandomStream stream{.seed = 11, .purpose = RandomPurpose::dropout, .site = 3};
  for (const Count n : counts)
    for (const double probability : {0.0, 0.3, 1.0}) {
      const auto x = numbers::normal<T>(n, 1);
      agree<T>("dropout", 1, n, [&]<class D>(D) {
        auto y = placed<D>(x);
        auto step = placed<D>(std::vector<std::int32_t>{9});
        kernels<D>::dropout(queue<D>::current(), n, probability, stream, step.data(), y.data(), y.data());
        return std::vector<std::vector<T>>{y.values()};
      });
    }
}

TEMPLATE_TEST_CASE("cuda squared norm", "[cuda]", float, double, bfloat16, plinth::half) {
  using T = TestType;
  using A = accumulator_t<T>;
  using namespace on_devices;
  for (const Count n : counts) {
    const auto x = numbers::normal<T>(n, 1);
    for (const Count list : {Count{1}, Count{n == 1000 && std::is_same_v<T, float> ? 200 : 2}})  // 200: more than one launch takes
      agree<A>("squared_norm", list, n, [&]<class D>(D) {
        auto on_x = placed<D>(x);
        auto sum = placed<D>(std::vector<A>{A(3)});
        kernels<D>::squared_norm(queue<D>::current(), list, pieces(DenseArray<T>{n, on_x.data()}, list).data(), sum.data());
        return std::vector<std::vector<A>>{sum.values()};
      });
  }
}

TEST_CASE("cuda squared norm: bits do not depend on where the numbers lie", "[cuda]") {
  const auto norms = [](std::size_t offset) {
    std::vector<float> all;
    for (std::uint32_t site = 1; site <= 10; ++site) {
      const DeviceArray<float> x(numbers::normal<float>(5010, site)), moved(std::vector<float>(5010)), sum(std::vector<float>{0});
      const DenseArray<float> array{5001, moved.data() + offset};
      kernels<Cuda>::cast(queue<Cuda>::current(), array.count, x.data(), moved.data() + offset);
      kernels<Cuda>::squared_norm(queue<Cuda>::current(), 1, &array, sum.data());
      all.push_back(sum.values()[0]);
    }
    return all;
  };
  CHECK(norms(0) == norms(1));
  CHECK(norms(0) == norms(2));
}
