// SPDX-License-Identifier: MIT
// The op table: positions.
#include <algorithm>
#include <cmath>
#include <vector>

#include <plinth/position/relative_bias.hpp>
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
  double attention_factor = 1;
};

/// Channel d of x at position p. Pair i turns by p theta^(-2i / D): y1 = x1 cos - x2 sin, y2 = x1 sin + x2 cos, and
/// grows by the attention factor.
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
  return rotation.attention_factor * (second ? x.at(one) * std::sin(angle) + x.at(two) * std::cos(angle)
                                             : x.at(one) * std::cos(angle) - x.at(two) * std::sin(angle));
}

Sample rope_sample(const char* what, Input x, const Rotation& rotation, Layout of_positions = Layout::dense) {
  const Shape rows = {x.shape[0], x.shape[2]};
  const Array positions(rows, [](const Shape& i) { return static_cast<double>((5 * i[0] + 3 * i[1]) % table_rows); });
  const auto at = placed<std::int32_t>(rows, of_positions, positions.values);
  const auto op = [=](const auto& in) {
    using T = typename std::decay_t<decltype(in[0])>::element;
    const plinth::RopeScaling scaling{.kind = plinth::RopeScalingKind::yarn,
                                      .factor = 1,
                                      .original_context = table_rows,
                                      .attention_factor = rotation.attention_factor};  // the frequencies stay
    const plinth::RotaryTable<T, Device> table(table_rows, rotation.rotated, rotation.theta, rotation.layout, scaling);
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
  add("with an attention factor", Input{{2, 3, 4, 6}}, Rotation{6, 10000, RotaryLayout::half_split, 1.25});
  add("large", Input{{3, 5, 19, 66}, Layout::heads}, Rotation{64, 500000});
  spec.random = [](Random& random) {
    Shape x = any_shape(random, 4);
    x[-1] += 2;
    const Rotation rotation{.rotated = 2 + random.below(x[-1] / 2) * 2,
                            .theta = 10000,
                            .layout = random.one_in(2) ? RotaryLayout::half_split : RotaryLayout::interleaved};
    const Layout of_x = any_layout(random);
    return rope_sample("", {x, of_x}, rotation, any_layout(random));
  };
  const auto call = [](const Shape& x, const Shape& rows, std::int32_t at) {
    return [=] {
      const plinth::RotaryTable<double, Device> table(table_rows, 4, 10000, RotaryLayout::half_split);
      const std::vector<std::int32_t> positions(static_cast<std::size_t>(plinth::element_count(rows)), at);
      return rope(plinth::full<double, Device>(x, 1), Tensor<std::int32_t>(rows, positions), table);
    };
  };
  const auto table = [](std::int64_t head_size, double theta) {
    return [=] { plinth::RotaryTable<double, Device>(table_rows, head_size, theta, RotaryLayout::half_split); };
  };
  spec.refusals = {refuses<ShapeError>(call({2, 3, 4}, {2, 3}, 0), {"rope", "(2, 3, 4)"}),
                   refuses<ShapeError>(call({1, 1, 2, 3}, {1, 2}, 0), {"rope", "(1, 1, 2, 3)", "4"}),
                   refuses<ShapeError>(call({2, 1, 3, 4}, {3, 2}, 0), {"rope", "(2, 1, 3, 4)", "(3, 2)"}),
                   misses<ArgumentError>(call({1, 1, 2, 4}, {1, 2}, table_rows), {"index 12", "[0, 12)"}),
                   misses<ArgumentError>(call({1, 1, 2, 4}, {1, 2}, -1), {"index -1", "[0, 12)"}),
                   refuses<ArgumentError>(table(5, 10000), {"rope", "head size 5"}),
                   refuses<ArgumentError>(table(4, 0), {"rope", "theta 0"})};
  return spec;
}

/// y[0, h, t, s] = weight[bucket, h]: the first half of the buckets and the next one hold one distance each, the last
/// one all beyond.
OpSpec relative_bias_spec() {
  OpSpec spec{.name = "relative_bias", .covers = {"GatherRowsOp", "PermuteOp"}, .smallest = 4};
  const auto sample = [](const char* what, const Shape& weight, std::int64_t queries, std::int64_t keys,
                         Layout layout) {
    const plinth::RelativeBuckets buckets{
        .count = weight[0], .max_distance = weight[0] / 2 + 1, .bidirectional = false};
    const std::int64_t offset = keys - queries, exact = weight[0] / 2;
    const Array query(Shape{1, queries}, [=](const Shape& i) { return static_cast<double>(i[1] + offset); });
    const Array key(Shape{1, keys}, [](const Shape& i) { return static_cast<double>(i[1]); });
    const auto at = placed<std::int32_t>(query.shape, layout, query.values),
               of = placed<std::int32_t>(key.shape, layout, key.values);
    const auto op = [=](const auto& in) {
      using T = typename std::decay_t<decltype(in[0])>::element;
      plinth::RelativeBias<T, Device> bias;
      bias.buckets = buckets;
      bias.weight = in[0];
      return bias(at, of);
    };
    const auto reference = [=](const Arrays& in) {
      return Array(Shape{1, in[0].shape[1], queries, keys}, [&](const Shape& i) {
        const std::int64_t back = std::max<std::int64_t>(0, i[2] + offset - i[3]);
        return in[0].at({back <= exact ? back : in[0].shape[0] - 1, i[1]});
      });
    };
    return Sample{what, {{weight, layout}}, op, reference};
  };
  const auto add = [&](const char* what, const Shape& weight, std::int64_t queries, std::int64_t keys,
                       Layout layout = Layout::dense) {
    spec.samples.push_back(sample(what, weight, queries, keys, layout));
  };
  add("two buckets, two heads", {2, 2}, 3, 3);
  add("one head", {4, 1}, 5, 5);
  add("a single query", {8, 3}, 1, 9);
  add("more keys than queries", {8, 3}, 4, 9);
  add("no queries", {4, 2}, 0, 3);
  add("no keys", {4, 2}, 3, 0);
  add("transposed", {6, 3}, 4, 5, Layout::transposed);
  add("with gaps", {6, 3}, 5, 4, Layout::spaced);
  add("backward", {6, 3}, 5, 5, Layout::backward);
  add("large", {32, 520}, 23, 40);
  spec.random = [=](Random& random) {
    const std::int64_t heads = random.length(20), queries = random.length(random.most() / heads),
                       keys = random.length(random.most() / heads / queries);
    return sample("", {2 + 2 * random.below(20), heads}, queries, keys, any_layout(random));
  };
  const auto call = [](const Shape& queries, const Shape& keys) {
    return [=] {
      plinth::RelativeBias<double, Device>(2, {})(plinth::full<std::int32_t, Device>(queries, 0),
                                                  plinth::full<std::int32_t, Device>(keys, 0));
    };
  };
  spec.refusals = {refuses<ShapeError>(call({2}, {1, 2}), {"relative bias", "(2)", "(1, 2)"}),
                   refuses<ShapeError>(call({2, 2}, {3, 2}), {"relative bias", "(2, 2)", "(3, 2)"})};
  return spec;
}

Specs position_specs() { return {rope_spec(), relative_bias_spec()}; }

const InTable position_table("positions", position_specs);

}  // namespace
