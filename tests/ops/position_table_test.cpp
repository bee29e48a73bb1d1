// SPDX-License-Identifier: MIT
// The op table: positions.
#include <cmath>
#include <vector>

#include <plinth/position/rope.hpp>

#include "ops/spec.hpp"

namespace {

using namespace op_table;
using plinth::ArgumentError;
using plinth::RotaryLayout;
using plinth::ShapeError;

constexpr std::int64_t table_rows = 12;

struct Rotation {
  std::int64_t rotated = 0;
  double theta = 10000;
  RotaryLayout layout = RotaryLayout::half_split;
};

/// Channel d of x at position p. Pair i turns by p theta^(-2i / D): y1 = x1 cos - x2 sin, y2 = x1 sin + x2 cos.
double turned(const Array& x, const Shape& index, double position, const Rotation& rotation) {
  const std::int64_t channel = index[-1], half_size = rotation.rotated / 2;
  if (channel >= rotation.rotated) return x.at(index);
  const bool split = rotation.layout == RotaryLayout::half_split;
  const std::int64_t pair = split ? channel % half_size : channel / 2;
  const bool second = split ? channel >= half_size : channel % 2 == 1;
  Shape one = index, two = index;
  one[-1] = split ? pair : 2 * pair;
  two[-1] = split ? pair + half_size : 2 * pair + 1;
  const double angle =
      position * std::pow(rotation.theta, -2.0 * static_cast<double>(pair) / static_cast<double>(rotation.rotated));
  return second ? x.at(one) * std::sin(angle) + x.at(two) * std::cos(angle)
                : x.at(one) * std::cos(angle) - x.at(two) * std::sin(angle);
}

Sample rope_sample(const char* what, Input x, const Rotation& rotation, Layout of_positions = Layout::dense) {
  const Shape rows = {x.shape[0], x.shape[2]};
  const Array positions(rows, [](const Shape& i) { return static_cast<double>((5 * i[0] + 3 * i[1]) % table_rows); });
  const auto at = placed<std::int32_t>(rows, of_positions, positions.values);
  const auto op = [=](const auto& in) {
    using T = typename std::decay_t<decltype(in[0])>::element;
    const plinth::RotaryTable<T, plinth::Cpu> table(table_rows, rotation.rotated, rotation.theta, rotation.layout);
    return rope(in[0], at, table);
  };
  const auto reference = [=](const Arrays& in) {
    return Array(in[0].shape, [&](const Shape& i) { return turned(in[0], i, positions.at({i[0], i[2]}), rotation); });
  };
  return {what, {x}, op, reference};
}

OpSpec rope_spec() {
  OpSpec spec{.name = "rope", .covers = {"RopeOp"}, .smallest = 2};
  const auto add = [&](auto... arguments) { spec.samples.push_back(rope_sample(arguments...)); };
  add("one pair", Input{{1, 1, 1, 2}}, Rotation{2});
  add("half split", Input{{2, 3, 4, 6}}, Rotation{6});
  add("interleaved", Input{{2, 3, 4, 6}}, Rotation{6, 10000, RotaryLayout::interleaved});
  add("some channels stay", Input{{2, 2, 3, 7}}, Rotation{4, 100});
  add("some stay, interleaved", Input{{2, 2, 3, 7}}, Rotation{4, 100, RotaryLayout::interleaved});
  add("no time", Input{{2, 3, 0, 4}}, Rotation{4});
  add("no heads", Input{{2, 0, 3, 4}}, Rotation{4});
  add("heads over time-major memory", Input{{2, 3, 4, 4}, Layout::heads}, Rotation{4}, Layout::transposed);
  add("transposed", Input{{2, 3, 4, 4}, Layout::transposed}, Rotation{4}, Layout::backward);
  add("with gaps", Input{{2, 1, 5, 6}, Layout::spaced}, Rotation{4}, Layout::spaced);
  add("backward", Input{{1, 2, 3, 6}, Layout::backward}, Rotation{6});
  add("large", Input{{3, 5, 19, 66}, Layout::heads}, Rotation{64, 500000});
  const auto call = [](const Shape& x, const Shape& rows, std::int32_t at) {
    return [=] {
      const plinth::RotaryTable<double, plinth::Cpu> table(table_rows, 4, 10000, RotaryLayout::half_split);
      const std::vector<std::int32_t> positions(static_cast<std::size_t>(plinth::element_count(rows)), at);
      rope(Tensor<double>(x), Tensor<std::int32_t>(rows, positions), table);
    };
  };
  const auto table = [](std::int64_t head_size, double theta) {
    return [=] { plinth::RotaryTable<double, plinth::Cpu>(table_rows, head_size, theta, RotaryLayout::half_split); };
  };
  spec.refusals = {refuses<ShapeError>(call({2, 3, 4}, {2, 3}, 0), {"rope", "(2, 3, 4)"}),
                   refuses<ShapeError>(call({1, 1, 2, 3}, {1, 2}, 0), {"rope", "(1, 1, 2, 3)", "4"}),
                   refuses<ShapeError>(call({2, 1, 3, 4}, {3, 2}, 0), {"rope", "(2, 1, 3, 4)", "(3, 2)"}),
                   refuses<ArgumentError>(call({1, 1, 2, 4}, {1, 2}, table_rows), {"index 12", "[0, 12)"}),
                   refuses<ArgumentError>(call({1, 1, 2, 4}, {1, 2}, -1), {"index -1", "[0, 12)"}),
                   refuses<ArgumentError>(table(5, 10000), {"rope", "head size 5"}),
                   refuses<ArgumentError>(table(4, 0), {"rope", "theta 0"})};
  return spec;
}

Specs specs() { return {rope_spec()}; }

const InTable entered(specs);

}  // namespace
