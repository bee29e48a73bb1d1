// SPDX-License-Identifier: MIT
// The op table: rows of a table, and dropout.
#include <vector>

#include <plinth/ops/create.hpp>
#include <plinth/ops/dropout.hpp>
#include <plinth/ops/gather.hpp>

#include "ops/spec.hpp"

namespace {

using namespace op_table;
using plinth::ArgumentError;

using Ids = std::vector<std::int32_t>;

/// y[..., c] = table[ids[...], c]
Reference rows_of(const Shape& rows, const Ids& ids) {
  return [=](const Arrays& in) {
    Shape shape = rows;
    shape.push_back(in[0].shape[1]);
    std::int64_t next = 0;
    return Array(shape, [&](const Shape& index) {
      return in[0].at({ids[static_cast<std::size_t>(next++ / in[0].shape[1])], index[-1]});
    });
  };
}

OpSpec gather_rows_spec() {
  OpSpec spec{.name = "gather_rows", .covers = {"GatherRowsOp"}};
  const auto sample = [](const char* what, const Input& table, const Shape& rows, const Ids& ids, Layout of_ids) {
    const auto at = placed<std::int32_t>(rows, of_ids, std::vector<double>(ids.begin(), ids.end()));
    return Sample{what, {table}, [=](const auto& in) { return gather_rows(in[0], at); }, rows_of(rows, ids)};
  };
  const auto add = [&](const char* what, const Input& table, const Shape& rows, const Ids& ids,
                       Layout of_ids = Layout::dense) { spec.samples.push_back(sample(what, table, rows, ids, of_ids)); };
  add("one element", {{1, 1}}, {1}, {0});
  add("a single row", {{4, 3}}, {}, {2});
  add("some twice, some never", {{5, 3}}, {2, 3}, {4, 0, 4, 4, 1, 0});
  add("one channel", {{7, 1}}, {4}, {6, 0, 3, 6});
  add("no rows wanted", {{4, 3}}, {0}, {});
  add("no channels", {{4, 0}}, {2}, {3, 1});
  add("a transposed table", {{5, 4}, Layout::transposed}, {3}, {4, 4, 0});
  add("gaps, strided ids", {{3, 5}, Layout::spaced}, {2, 2}, {0, 2, 1, 1}, Layout::transposed);
  add("backward", {{3, 2}, Layout::backward}, {3}, {2, 0, 1}, Layout::backward);
  add("wider than a strip", {{3, 67}}, {4}, {2, 0, 1, 2});
  Ids many;
  for (std::int32_t i = 0; i < 600; ++i) many.push_back(i * i % 113 % 3 == 0 ? 7 : i % 113);
  add("large, one row very often", {{113, 150}}, {600}, many);
  spec.random = [=](Random& random) {
    const auto [rows, columns] = random.matrix();
    const std::int64_t wanted = random.length(random.most() / columns);
    const Input table{{rows + 1, columns}, any_layout(random)};
    return sample("", table, {wanted}, random.integers(rows + 1, wanted), any_layout(random));
  };
  const auto call = [](const Shape& table, std::int32_t id) {
    return [=] { return gather_rows(plinth::full<double, Device>(table, 1), Tensor<std::int32_t>({1}, {id})); };
  };
  spec.refusals = {refuses<plinth::ShapeError>(call({3}, 0), {"gather_rows", "(3)"}),
                   misses<ArgumentError>(call({3, 2}, 3), {"gather_rows", "index 3", "[0, 3)"}),
                   misses<ArgumentError>(call({3, 2}, -1), {"gather_rows", "index -1", "[0, 3)"}),
                   misses<ArgumentError>(call({0, 2}, 0), {"gather_rows", "index 0", "[0, 0)"})};
  return spec;
}

constexpr std::uint64_t seed = 11;
constexpr std::int64_t step = 5;
constexpr std::uint32_t site = 3;

/// 0 where the stream's word is below probability 2^32, else x / (1 - probability).
Reference kept(double probability) {
  return [=](const Arrays& in) {
    const plinth::RandomStream stream{seed, plinth::RandomPurpose::dropout, site};
    std::uint64_t next = 0;
    return Array(in[0].shape, [&](const Shape& index) {
      const bool lost = stream.word(next++, step) < probability * 0x1p32;
      return lost ? 0 : in[0].at(index) / (1 - probability);
    });
  };
}

OpSpec dropout_spec() {
  OpSpec spec{.name = "dropout", .covers = {"DropoutOp"}};
  const auto sample = [](const char* what, const Input& x, double probability) {
    const auto op = [=](const auto& in) {
      const plinth::TrainingScope<Device> training(seed, step);
      return dropout(in[0], probability, site);
    };
    return Sample{what, {x}, op, kept(probability)};
  };
  const auto add = [&](const char* what, const Input& x, double probability) {
    spec.samples.push_back(sample(what, x, probability));
  };
  add("one element", {{1}}, 0.5);
  add("no axes", {Shape()}, 0.5);
  add("empty", {{0, 3}}, 0.5);
  add("odd size", {{67}}, 0.3);
  add("nothing lost", {{3, 4}}, 0);
  add("everything lost", {{3, 4}}, 1);
  add("transposed", {{5, 7}, Layout::transposed}, 0.1);
  add("with gaps", {{2, 3, 5}, Layout::spaced}, 0.5);
  add("backward", {{19}, Layout::backward}, 0.75);
  add("large", {{3, 8192 + 5}}, 0.2);
  spec.random = [=](Random& random) {
    const Shape shape = any_shape(random, random.below(4));
    return sample("", {shape, any_layout(random)}, static_cast<double>(random.below(10)) / 10);
  };
  const auto call = [](double probability) { return [=] { dropout(Tensor<double>({1}, {1}), probability, site); }; };
  spec.refusals = {refuses<ArgumentError>(call(1.5), {"dropout", "1.5", "[0, 1]"}),
                   refuses<ArgumentError>(call(-0.25), {"dropout", "-0.25", "[0, 1]"})};
  return spec;
}

Specs rows_specs() { return {gather_rows_spec(), dropout_spec()}; }

const InTable rows_table("rows and dropout", rows_specs);

}  // namespace
