// SPDX-License-Identifier: MIT
// Writing tensors, and the parameters of models from one to another.
#include <plinth/io/safetensors.hpp>

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include <plinth/ops/shape.hpp>

#include "catch.hpp"
#include "io/files.hpp"

using namespace plinth;
using Catch::Matchers::Contains;
using Names = std::vector<std::string>;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
const std::vector<double> reals = {0, -0.0, 1.5, -2.25, infinity, -infinity, 0x1p-14, -3};

template <class T>
Tensor<T> numbers(const Shape& shape) {
  std::vector<T> values;
  for (const double x : reals) values.push_back(static_cast<T>(static_cast<accumulator_t<T>>(x)));
  return Tensor<T>(shape, values);
}

/// Smallest, 0, 1, largest.
template <class T>
const std::vector<T>& limits() {
  static const std::vector<T> values = {std::numeric_limits<T>::min(), 0, 1, std::numeric_limits<T>::max()};
  return values;
}
template <class T>
NamedTensor limits_named(const char* name) {
  return NamedTensor(name, Shape{4}, std::span<const T>(limits<T>()));
}

/// Writes one tensor and reads it again.
template <class T>
std::vector<T> round_trip(const Tensor<T>& x) {
  const files::Folder folder;
  save_safetensors(folder / "x", {{"x", x}});
  const SafetensorsFile file(folder / "x");
  CHECK(file.shape("x") == x.shape());
  return file.read<T>("x");
}

template <class E>
void refuses(const files::Folder& folder, const std::vector<NamedTensor>& tensors, const std::string& text,
             const std::map<std::string, std::string>& metadata = {}) {
  files::write(folder / "file", "old");
  CHECK_THROWS_AS(save_safetensors(folder / "file", tensors, metadata), E);
  CHECK_THROWS_WITH(save_safetensors(folder / "file", tensors, metadata), Contains(text));
  CHECK(files::content(folder / "file") == "old");
  CHECK(folder.names() == Names{"file"});
}

}  // namespace

TEST_CASE("files equal those of the reference byte for byte") {
  const files::Folder folder;
  const auto ascending = Tensor<float>({2, 3}, {0, 1, 2, 3, 4, 5});
  save_safetensors(
      folder / "written",
      {limits_named<std::int8_t>("i8"), limits_named<std::uint8_t>("u8"), limits_named<std::int16_t>("i16"),
       limits_named<std::uint16_t>("u16"), limits_named<std::int32_t>("i32"), limits_named<std::uint32_t>("u32"),
       limits_named<std::int64_t>("i64"), limits_named<std::uint64_t>("u64"), {"f64", numbers<double>({2, 4})},
       {"f32", numbers<float>({4, 2})}, {"bf16", numbers<bfloat16>({8})}, {"f16", numbers<half>({1, 2, 1, 2, 2, 1})},
       {"transposed", transpose(ascending, 0, 1)}, {"scalar", Tensor<std::int32_t>({}, {7})},
       {"empty", Tensor<float>({3, 0, 2})}, {"", Tensor<float>({1}, {1})},
       {"a \"name\" with \\, /, \b\f\n\r\t\x01\x1f\x7f, \xc3\xa9, \xe2\x82\xac and \xf0\x9f\x98\x80", Tensor<float>({1}, {2})}},
      {{"made by\n", "safetensors 0.8.0, torch 2.15.0"}});
  CHECK(files::content(folder / "written") == files::content("tests/golden/safetensors_written.safetensors"));
  CHECK(folder.names() == Names{"written"});
}

TEST_CASE("tensors that are not dense are written in row-major order") {
  std::vector<float> memory = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  const auto view = [&](std::size_t first, const Shape& shape, const Shape& strides) {
    return round_trip(Tensor<float>::view_of(memory.data() + first, shape, strides));
  };
  CHECK(view(0, {4, 3}, {1, 4}) == std::vector<float>{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11});
  CHECK(view(1, {2, 2}, {8, 2}) == std::vector<float>{1, 3, 9, 11});
  CHECK(view(11, {12}, {-1}) == std::vector<float>{11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0});
  CHECK(view(5, {2, 3}, {0, 1}) == std::vector<float>{5, 6, 7, 5, 6, 7});
  CHECK(view(4, {3}, {1}) == std::vector<float>{4, 5, 6});  // dense, but not at the beginning
}

TEST_CASE("scalars, empty tensors and values that are not numbers survive") {
  CHECK(round_trip(Tensor<double>({}, {0.1})) == std::vector<double>{0.1});
  CHECK(round_trip(Tensor<half>({0})).empty());
  CHECK(round_trip(Tensor<std::int32_t>({2, 0})).empty());
  const auto odd = __builtin_bit_cast(float, 0xffc12345u);  // not a number, with a payload
  CHECK(__builtin_bit_cast(std::uint32_t, round_trip(Tensor<float>({1}, {odd}))[0]) == 0xffc12345u);
  CHECK(round_trip(Tensor<float>({1, 1, 1, 1, 1, 2}, {1, 2})) == std::vector<float>{1, 2});
}

TEST_CASE("a file may hold metadata only, or nothing") {
  const files::Folder folder;
  const std::map<std::string, std::string> metadata = {{"format", "pt"}, {"\xe2\x82\xac", "a\n\"b\""}, {"", ""}};
  save_safetensors(folder / "a", {}, metadata);
  CHECK(SafetensorsFile(folder / "a").metadata() == metadata);
  CHECK(SafetensorsFile(folder / "a").names().empty());
  save_safetensors(folder / "b", {});
  CHECK(files::content(folder / "b") == std::string("\x08\0\0\0\0\0\0\0{}      ", 16));  // safetensors.numpy.save({})
}

TEST_CASE("what cannot be written leaves the old file and nothing else") {
  const files::Folder folder;
  const Tensor<float> x({2}, {1, 2});
  refuses<ArgumentError>(folder, {{"a", x}, {"b", x}, {"a", x}}, R"(the name "a" is taken)");
  refuses<ArgumentError>(folder, {{"__metadata__", x}}, R"(the name "__metadata__" is taken)");
  refuses<ArgumentError>(folder, {{"a\xff", x}}, "is not UTF-8");
  refuses<ArgumentError>(folder, {{"a", x}}, "is not UTF-8", {{"k", "\xc3"}});
  CHECK_THROWS_AS(NamedTensor("a", Tensor<float>()), ArgumentError);
  CHECK_THROWS_WITH(NamedTensor("a", Tensor<float>()), R"(safetensors: tensor "a" is undefined)");
  CHECK_THROWS_AS(NamedTensor("a", Shape{3}, std::span<const std::int32_t>(limits<std::int32_t>())), ShapeError);
  const files::FullDisk disk(50'000);
  refuses<IoError>(folder, {{"a", Tensor<float>({4, 10'000})}}, "file.tmp: cannot write: No space left on device");
  refuses<IoError>(folder, {{"a", transpose(Tensor<float>({4, 10'000}), 0, 1)}}, "cannot write: No space left on device");
}

TEST_CASE("a file cannot be written where there is no folder for it") {
  const files::Folder folder;
  const std::vector<NamedTensor> tensors = {{"a", Tensor<float>({2}, {1, 2})}};
  CHECK_THROWS_AS(save_safetensors(folder / "none" / "file", tensors), IoError);
  CHECK_THROWS_AS(save_safetensors(folder.path(), tensors), IoError);
  CHECK(folder.names().empty());
  CHECK_FALSE(std::filesystem::exists(folder.path() + ".tmp"));
}
