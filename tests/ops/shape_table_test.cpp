// SPDX-License-Identifier: MIT
// The op table: rearranging elements, and other element types.
#include <string>
#include <utility>
#include <vector>

#include <plinth/ops/cast.hpp>
#include <plinth/ops/heads.hpp>
#include <plinth/ops/shape.hpp>

#include "ops/spec.hpp"

namespace {

using namespace op_table;
using plinth::ShapeError;

Tensor<double> empty(const Shape& shape) { return Tensor<double>(shape); }

/// The elements in row-major order under another shape.
Reference same_elements(const Shape& shape) {
  return [=](const Arrays& in) {
    Array y = in[0];
    y.shape = shape;
    return y;
  };
}

OpSpec reshape_spec() {
  OpSpec spec{.name = "reshape", .covers = {"ReshapeOp"}};
  const auto add = [&](const char* what, Input x, const Shape& wanted, const Shape& shape) {
    spec.samples.push_back({what, {x}, [=](const auto& in) { return reshape(in[0], wanted); }, same_elements(shape)});
  };
  add("one element to no axes", {{1, 1}}, {}, {});
  add("no axes to one element", {Shape()}, {-1}, {1});
  add("a size left open", {{2, 6}}, {3, -1}, {3, 4});
  add("empty", {{0, 3}}, {5, 0}, {5, 0});
  add("empty, a size left open", {{0, 3}}, {3, -1}, {3, 0});
  add("the same shape", {{2, 3}}, {2, 3}, {2, 3});
  add("transposed", {{4, 3}, Layout::transposed}, {2, 6}, {2, 6});
  add("with gaps", {{2, 3, 4}, Layout::spaced}, {24}, {24});
  add("backward", {{2, 3}, Layout::backward}, {3, 2}, {3, 2});
  add("large", {{130, 130}, Layout::transposed}, {-1}, {16900});
  spec.random = [](Random& random) {
    const Shape shape = any_shape(random, random.below(5));
    Shape wanted;
    for (int i = shape.rank() - 1; i >= 0; --i) wanted.push_back(shape[i]);
    return Sample{"", {{shape, any_layout(random)}}, [=](const auto& in) { return reshape(in[0], wanted); }, {}};
  };
  const auto refuse = [&](const Shape& from, const Shape& to, std::vector<std::string> fragments) {
    spec.refusals.push_back(refuses<ShapeError>([=] { reshape(empty(from), to); }, std::move(fragments)));
  };
  refuse({2, 3}, {4, 2}, {"reshape", "(2, 3)", "(4, 2)"});
  refuse({2, 3}, {4, -1}, {"reshape", "(2, 3)", "(4, -1)"});
  refuse({2, 3}, {-1, -1}, {"reshape", "(2, 3)", "(-1, -1)"});
  refuse({2, 3}, {-6, -1}, {"reshape", "(2, 3)", "(-6, -1)"});
  refuse({0, 3}, {0, -1}, {"reshape", "(0, 3)", "(0, -1)"});
  return spec;
}

/// split_heads and merge_heads: (B, T, H D) seen as (B, H, T, D), and back.
void add_heads(OpSpec& spec) {
  for (const Layout layout : {Layout::dense, Layout::spaced}) {
    spec.samples.push_back(
        {"heads split off",
         {{{2, 3, 8}, layout}},
         [](const auto& in) { return split_heads(in[0], 4); },
         [](const Arrays& in) {
           return Array({2, 4, 3, 2}, [&](const Shape& i) { return in[0].at({i[0], i[2], 2 * i[1] + i[3]}); });
         }});
    spec.samples.push_back(
        {"heads merged",
         {{{2, 4, 3, 2}, layout}},
         [](const auto& in) { return merge_heads(in[0]); },
         [](const Arrays& in) {
           return Array({2, 3, 8}, [&](const Shape& i) { return in[0].at({i[0], i[2] / 2, i[1], i[2] % 2}); });
         }});
  }
  spec.refusals.push_back(refuses<ShapeError>(
      [] {
        split_heads(empty({2, 3, 8}), 3);
      },
      {"split_heads", "(2, 3, 8)", "3"}));
  spec.refusals.push_back(refuses<ShapeError>(
      [] {
        split_heads(empty({2, 3, 8}), 0);
      },
      {"split_heads", "(2, 3, 8)", "0"}));
  spec.refusals.push_back(refuses<ShapeError>([] { merge_heads(empty({2, 3, 8})); }, {"merge_heads", "(2, 3, 8)"}));
}

OpSpec permute_spec() {
  OpSpec spec{.name = "permute", .covers = {"PermuteOp"}};
  const auto add = [&](const char* what, Input x, const Shape& axes) {
    const auto reference = [=](const Arrays& in) {
      Shape shape = axes;
      for (int i = 0; i < axes.rank(); ++i) shape[i] = in[0].shape[static_cast<int>(axes[i])];
      return Array(shape, [&](const Shape& index) {
        Shape from = index;
        for (int i = 0; i < axes.rank(); ++i) from[static_cast<int>(axes[i])] = index[i];
        return in[0].at(from);
      });
    };
    spec.samples.push_back({what, {x}, [=](const auto& in) { return permute(in[0], axes); }, reference});
  };
  add("one element", {{1}}, {0});
  add("no axes", {Shape()}, {});
  add("matrix", {{2, 3}}, {1, 0});
  add("a cycle", {{2, 3, 4}}, {1, 2, 0});
  add("the other cycle", {{2, 3, 4}, Layout::spaced}, {2, 0, 1});
  add("empty", {{2, 0, 3}}, {2, 1, 0});
  add("of a transposed one", {{4, 5}, Layout::transposed}, {1, 0});
  add("six axes, backward", {{2, 1, 3, 1, 2, 2}, Layout::backward}, {5, 3, 0, 4, 1, 2});
  add("large", {{20, 30, 31}}, {2, 0, 1});
  spec.samples.push_back({"transpose of the last two axes",
                          {{{2, 3, 4}}},
                          [](const auto& in) { return transpose(in[0]); },
                          [](const Arrays& in) {
                            return Array({2, 4, 3}, [&](const Shape& i) { return in[0].at({i[0], i[2], i[1]}); });
                          }});
  add_heads(spec);
  spec.random = [](Random& random) {
    const Shape shape = any_shape(random, random.below(6));
    Shape axes;
    for (int i = 0; i < shape.rank(); ++i) {
      axes.push_back(i);
      std::swap(axes[i], axes[static_cast<int>(random.below(i + 1))]);
    }
    return Sample{"", {{shape, any_layout(random)}}, [=](const auto& in) { return permute(in[0], axes); }, {}};
  };
  const auto refuse = [&](const Shape& shape, const Shape& axes) {
    spec.refusals.push_back(
        refuses<ShapeError>([=] { permute(empty(shape), axes); }, {"permute", to_string(shape), to_string(axes)}));
  };
  refuse({2, 3}, {0});
  refuse({2, 3}, {0, 0});
  refuse({2, 3}, {0, 2});
  refuse({2, 3}, {-1, 0});
  spec.refusals.push_back(refuses<ShapeError>([] { transpose(empty({3})); }, {"transpose", "axis -2", "1 axes"}));
  return spec;
}

OpSpec slice_spec() {
  OpSpec spec{.name = "slice", .covers = {"SliceOp"}};
  const auto add = [&](const char* what, Input x, int axis, std::int64_t begin, std::int64_t end) {
    const auto reference = [=](const Arrays& in) {
      const int along = axis < 0 ? axis + in[0].shape.rank() : axis;
      Shape shape = in[0].shape;
      shape[along] = end - begin;
      return Array(shape, [&](Shape index) {
        index[along] += begin;
        return in[0].at(index);
      });
    };
    spec.samples.push_back({what, {x}, [=](const auto& in) { return slice(in[0], axis, begin, end); }, reference});
  };
  add("one element", {{1}}, 0, 0, 1);
  add("rows", {{5, 3}}, 0, 1, 4);
  add("columns", {{3, 7}}, -1, 2, 7);
  add("a middle axis", {{2, 5, 3}}, 1, 4, 5);
  add("nothing", {{3, 4}}, 1, 4, 4);
  add("of an empty one", {{0, 4}}, 1, 1, 3);
  add("transposed", {{4, 5}, Layout::transposed}, 0, 1, 3);
  add("with gaps", {{3, 2, 4}, Layout::spaced}, 2, 1, 3);
  add("backward", {{7}, Layout::backward}, 0, 2, 6);
  add("large", {{3, 8192}}, 1, 5, 8000);
  spec.random = [](Random& random) {
    const Shape shape = any_shape(random, 1 + random.below(4));
    const int axis = static_cast<int>(random.below(shape.rank()));
    const std::int64_t begin = random.below(shape[axis] + 1), end = begin + random.below(shape[axis] - begin + 1);
    const auto op = [=](const auto& in) { return slice(in[0], axis, begin, end); };
    return Sample{"", {{shape, any_layout(random)}}, op, {}};
  };
  const auto refuse = [&](const Shape& shape, int axis, std::int64_t begin, std::int64_t end,
                          std::vector<std::string> fragments) {
    spec.refusals.push_back(refuses<ShapeError>([=] { slice(empty(shape), axis, begin, end); }, std::move(fragments)));
  };
  refuse({2, 3}, 1, 2, 4, {"slice", "[2, 4)", "(2, 3)"});
  refuse({2, 3}, 1, -1, 2, {"slice", "[-1, 2)", "(2, 3)"});
  refuse({2, 3}, 0, 2, 1, {"slice", "[2, 1)", "(2, 3)"});
  refuse({2, 3}, 2, 0, 1, {"slice", "axis 2", "2 axes"});
  refuse({}, 0, 0, 0, {"slice", "axis 0", "0 axes"});
  return spec;
}

OpSpec concatenate_spec() {
  OpSpec spec{.name = "concatenate", .covers = {"ConcatenateOp"}};
  const auto add = [&](const char* what, Input a, Input b, int axis) {
    const auto reference = [=](const Arrays& in) {
      const int along = axis < 0 ? axis + in[0].shape.rank() : axis;
      const std::int64_t first = in[0].shape[along];
      Shape shape = in[0].shape;
      shape[along] += in[1].shape[along];
      return Array(shape, [&](Shape index) {
        if (index[along] < first) return in[0].at(index);
        index[along] -= first;
        return in[1].at(index);
      });
    };
    spec.samples.push_back({what, {a, b}, [=](const auto& in) { return concatenate(in[0], in[1], axis); }, reference});
  };
  add("two elements", {{1}}, {{1}}, 0);
  add("rows", {{2, 4}}, {{3, 4}}, 0);
  add("columns", {{2, 4}}, {{2, 2}}, -1);
  add("a middle axis", {{2, 3, 5}}, {{2, 4, 5}}, 1);
  add("nothing before", {{2, 0}}, {{2, 3}}, 1);
  add("nothing behind", {{2, 3}}, {{0, 3}}, 0);
  add("both empty", {{0, 3}}, {{0, 2}}, 1);
  add("transposed", {{4, 5}, Layout::transposed}, {{4, 3}, Layout::spaced}, 1);
  add("backward", {{3}, Layout::backward}, {{4}, Layout::backward}, 0);
  add("large", {{3, 8192}}, {{3, 129}}, 1);
  spec.random = [](Random& random) {
    const Shape a = any_shape(random, 1 + random.below(4));
    const int axis = static_cast<int>(random.below(a.rank()));
    Shape b = a;
    b[axis] = random.below(2 * a[axis] + 2);
    const Layout of_a = any_layout(random);
    const auto op = [=](const auto& in) { return concatenate(in[0], in[1], axis); };
    return Sample{"", {{a, of_a}, {b, any_layout(random)}}, op, {}};
  };
  const auto refuse = [&](const Shape& a, const Shape& b, int axis) {
    spec.refusals.push_back(refuses<ShapeError>([=] { concatenate(empty(a), empty(b), axis); },
                                                {"concatenate", to_string(a), to_string(b)}));
  };
  refuse({2, 3}, {3, 3}, 1);
  refuse({2, 3}, {2, 3, 1}, 0);
  refuse({2, 3}, {}, 0);
  spec.refusals.push_back(
      refuses<ShapeError>([] { concatenate(empty({2}), empty({2}), 1); }, {"concatenate", "axis 1", "1 axes"}));
  return spec;
}

OpSpec broadcast_spec() {
  OpSpec spec{.name = "broadcast_to", .covers = {"BroadcastOp"}};
  const auto add = [&](const char* what, Input x, const Shape& shape) {
    const auto reference = [=](const Arrays& in) {
      return Array(shape, [&](const Shape& index) { return in[0].at(index); });
    };
    spec.samples.push_back({what, {x}, [=](const auto& in) { return broadcast_to(in[0], shape); }, reference});
  };
  add("one element", {{1}}, {1});
  add("no axes", {Shape()}, {2, 3});
  add("new axes", {{3}}, {2, 4, 3});
  add("an axis of 1", {{2, 1, 3}}, {2, 5, 3});
  add("two axes of 1", {{1, 3, 1}}, {2, 3, 4});
  add("axes of 1 that stay", {{1, 3, 1}}, {1, 3, 2});
  add("to nothing", {{1, 3}}, {0, 3});
  add("transposed", {{4, 5}, Layout::transposed}, {3, 4, 5});
  add("with gaps", {{3, 1}, Layout::spaced}, {3, 7});
  add("backward", {{6}, Layout::backward}, {2, 6});
  add("large", {{130, 1, 130}, Layout::transposed}, {130, 2, 130});
  spec.random = [](Random& random) {
    const Shape shape = any_shape(random, random.below(5)), part = any_part(random, shape);
    return Sample{"", {{part, any_layout(random)}}, [=](const auto& in) { return broadcast_to(in[0], shape); }, {}};
  };
  const auto refuse = [&](const Shape& from, const Shape& to) {
    spec.refusals.push_back(
        refuses<ShapeError>([=] { broadcast_to(empty(from), to); }, {"broadcast_to", to_string(from), to_string(to)}));
  };
  refuse({2, 3}, {2, 4});
  refuse({2, 3}, {3});
  refuse({3}, {1});
  refuse({3, 1}, {0, 2});
  return spec;
}

/// T there and back by way of `Between`.
template <class Between>
struct ThereAndBack {
  template <class T>
  Tensor<T> operator()(const Tensors<T>& in) const {
    return plinth::cast<T>(plinth::cast<Between>(in[0]));
  }
};

/// Values are multiples of 1/16 with at most seven bits: exact in every type, as are steps of 1/16.
OpSpec cast_spec() {
  OpSpec spec{.name = "cast",
              .covers = {"CastOp"},
              .gradcheck = {.epsilon = 0x1p-4, .relative = 0x1p-8},
              .why = "a cast to 16 bits is a staircase, exact from step to step, and rounds dy to eight bits"};
  const auto sample = [](const char* what, const Shape& shape, Layout layout, const Operation& op) {
    Input x{.shape = shape, .layout = layout, .values = {}};
    for (std::int64_t i = 0; i < plinth::element_count(shape); ++i)
      x.values.push_back(static_cast<double>(i * 37 % 126 - 63) / 16);
    return Sample{what, {x}, op, same_elements(shape)};
  };
  const auto add = [&](const char* what, const Shape& shape, Layout layout, const Operation& op) {
    spec.samples.push_back(sample(what, shape, layout, op));
  };
  add("one element, float", {1}, Layout::dense, ThereAndBack<float>());
  add("bfloat16", {5, 7}, Layout::dense, ThereAndBack<bfloat16>());
  add("half", {37}, Layout::dense, ThereAndBack<plinth::half>());
  add("double", {37}, Layout::dense, ThereAndBack<double>());
  add("empty", {0, 3}, Layout::dense, ThereAndBack<float>());
  add("transposed", {3, 5}, Layout::transposed, ThereAndBack<bfloat16>());
  add("with gaps", {2, 3, 3}, Layout::spaced, ThereAndBack<plinth::half>());
  add("backward, no axes", {}, Layout::backward, ThereAndBack<float>());
  add("large", {3, 8192 + 5}, Layout::dense, ThereAndBack<float>());
  const std::vector<Operation> ways = {spec.samples[0].op, spec.samples[1].op, spec.samples[2].op, spec.samples[3].op};
  spec.random = [=](Random& random) {
    const Shape shape = any_shape(random, random.below(4));
    const Layout layout = any_layout(random);
    return sample("", shape, layout, ways[static_cast<std::size_t>(random.below(4))]);
  };
  spec.refusals = {
      refuses<plinth::ArgumentError>([] { plinth::cast<float>(Tensor<double>()); }, {"cast", "undefined"})};
  return spec;
}

Specs shape_specs() {
  return {reshape_spec(), permute_spec(), slice_spec(), concatenate_spec(), broadcast_spec(), cast_spec()};
}

const InTable shape_table("shapes and types", shape_specs);

}  // namespace
