// SPDX-License-Identifier: MIT
// Safetensors files as the reference wrote them, and files that do not follow the format.
#include <plinth/io/safetensors_file.hpp>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "io/files.hpp"

using namespace plinth;
using Catch::Matchers::Contains;
using Names = std::vector<std::string>;
template <class T>
using Values = std::vector<T>;

namespace {

const char* const all_types = "tests/golden/safetensors_types.safetensors";

std::string length_bytes(std::uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 64; i += 8) bytes += static_cast<char>(length >> i & 255);
  return bytes;
}

/// A file of a header and data, open for reading.
SafetensorsFile opened(const files::Folder& folder, const std::string& header, const std::string& data = "") {
  files::write(folder / "file", length_bytes(header.size()) + header + data);
  return SafetensorsFile(folder / "file");
}

void refuses(const std::string& bytes, const std::string& text) {
  const files::Folder folder;
  files::write(folder / "file", bytes);
  CHECK_THROWS_AS(SafetensorsFile(folder / "file"), FormatError);
  CHECK_THROWS_WITH(SafetensorsFile(folder / "file"), Contains((folder / "file").string() + ": header: ") && Contains(text));
}

/// As `refuses`, for reading a tensor of the golden file.
template <class T>
void cannot_read(const std::string& name, const std::string& text) {
  const SafetensorsFile file(all_types);
  CHECK_THROWS_AS(file.read<T>(name), FormatError);
  CHECK_THROWS_WITH(file.read<T>(name), Contains(all_types) && Contains("tensor \"" + name + "\" of type ") && Contains(text));
}

}  // namespace

TEST_CASE("a file of the reference is listed as it is") {
  const SafetensorsFile file(all_types);
  // widest first, as the reference sorts them; each tensor is named after its type
  CHECK(file.names() == Names{"U64", "I64", "F64", "C64", "F32", "U32", "I32", "BF16", "F16", "U16", "I16", "F8_E5M2FNUZ",
                              "F8_E4M3FNUZ", "F8_E8M0", "F8_E4M3", "F8_E5M2", "I8", "U8", "F4", "BOOL"});
  for (const std::string& name : file.names()) CHECK(file.type(name) == name);
  CHECK(file.metadata() == std::map<std::string, std::string>{{"made by", "safetensors 0.8.0, torch 2.15.0"}});
  CHECK(file.path() == all_types);
  CHECK(file.contains("F16"));
  CHECK_FALSE(file.contains("F17"));
  CHECK_FALSE(file.contains("__metadata__"));
  CHECK(file.shape("F16") == Shape{3});
  const SafetensorsFile written("tests/golden/safetensors_written.safetensors");
  CHECK(written.shape("scalar") == Shape{});
  CHECK(written.shape("empty") == Shape{3, 0, 2});
  CHECK(written.shape("f16") == Shape{1, 2, 1, 2, 2, 1});
}

TEST_CASE("elements are read as the type they are stored in") {
  const SafetensorsFile file(all_types);
  CHECK(file.read<std::uint8_t>("U8") == Values<std::uint8_t>{0, 255});
  CHECK(file.read<std::int8_t>("I8") == Values<std::int8_t>{-128, 127});
  CHECK(file.read<std::uint16_t>("U16") == Values<std::uint16_t>{1, 65535});
  CHECK(file.read<std::int16_t>("I16") == Values<std::int16_t>{-32768, 2});
  CHECK(file.read<std::uint32_t>("U32") == Values<std::uint32_t>{3, 4294967295u});
  CHECK(file.read<std::int32_t>("I32") == Values<std::int32_t>{-2147483647 - 1, 4});
  CHECK(file.read<std::uint64_t>("U64") == Values<std::uint64_t>{5, 18446744073709551615u});
  CHECK(file.read<std::int64_t>("I64") == Values<std::int64_t>{std::numeric_limits<std::int64_t>::min(), 6});
  CHECK(file.read<float>("F32") == Values<float>{1.0f / 3, -3e38f});
  CHECK(file.read<double>("F64") == Values<double>{1.0 / 3, -1e300});
  CHECK(file.read<half>("F16")[1].bits == 0x7bff);
  CHECK(file.read<bfloat16>("BF16")[0].bits == 0x3eab);
  const SafetensorsFile written("tests/golden/safetensors_written.safetensors");
  CHECK(written.read<float>("empty").empty());
  CHECK(written.read<std::int32_t>("scalar") == Values<std::int32_t>{7});
  CHECK(written.read<float>("transposed") == Values<float>{0, 3, 1, 4, 2, 5});
}

TEST_CASE("elements are converted when they are read") {
  const SafetensorsFile file(all_types);
  CHECK(file.read<std::int64_t>("BOOL") == Values<std::int64_t>{1, 0, 1});
  CHECK(file.read<float>("BOOL") == Values<float>{1, 0, 1});
  CHECK(file.read<double>("F16") == Values<double>{0.333251953125, 65504, 5.9604644775390625e-08});
  CHECK(file.read<double>("BF16")[0] == 0.333984375);
  CHECK(file.read<float>("F16") == Values<float>{0.333251953125f, 65504, 5.9604644775390625e-08f});
  CHECK(file.read<double>("F32")[0] == 0.3333333432674407958984375);
  CHECK(file.read<bfloat16>("F32")[0].bits == 0x3eab);
  CHECK(file.read<double>("I32") == Values<double>{-2147483648.0, 4});
  CHECK(file.read<std::int64_t>("U32") == Values<std::int64_t>{3, 4294967295});
  CHECK(file.read<half>("U8")[1].bits == 0x5bf8);  // 255
  CHECK(file.read<float>("I64")[0] == -0x1p63f);
}

TEST_CASE("conversions that would change a value are refused") {
  cannot_read<float>("F64", "of type F64 does not fit at element 1");
  cannot_read<half>("F32", "does not fit at element 1");
  cannot_read<float>("U32", "of type U32 does not fit at element 1");
  cannot_read<bfloat16>("U16", "does not fit at element 1");
  cannot_read<half>("U16", "does not fit at element 1");
  cannot_read<std::uint8_t>("I8", "does not fit at element 0");
  cannot_read<std::int32_t>("U64", "does not fit at element 1");
  cannot_read<std::int64_t>("F32", "cannot be read as integers");
  cannot_read<std::int32_t>("F16", "cannot be read as integers");
  const files::Folder folder;
  const auto file = opened(folder, R"({"b":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})", "\1\2");
  CHECK_THROWS_WITH(file.read<float>("b"), Contains("of type BOOL does not fit at element 1"));
}

TEST_CASE("elements of types that are not read") {
  for (const char* name : {"F4", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "C64"}) {
    cannot_read<float>(name, "is not read");
    cannot_read<std::uint8_t>(name, "is not read");
  }
}

TEST_CASE("long tensors are converted to the last element") {
  const files::Folder folder;
  const std::size_t count = 200'001;  // several pieces and a rest
  std::string data;
  for (std::size_t i = 0; i < count; ++i) data += {static_cast<char>(i & 255), static_cast<char>(i % 65521 >> 8 & 255)};
  const std::string size = std::to_string(count), end = std::to_string(2 * count);
  const auto file = opened(folder, R"({"x":{"dtype":"U16","shape":[)" + size + R"(],"data_offsets":[0,)" + end + "]}}", data);
  const auto values = file.read<double>("x");
  REQUIRE(values.size() == count);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < count; ++i) wrong += values[i] != static_cast<double>((i & 255) + (i % 65521 >> 8 << 8));
  CHECK(wrong == 0);
  CHECK_THROWS_WITH(file.read<std::int16_t>("x"), Contains("does not fit at element 32768"));
}

TEST_CASE("a tensor that is not there is named") {
  const SafetensorsFile file(all_types);
  CHECK_THROWS_AS(file.read<float>("F\n"), ArgumentError);
  CHECK_THROWS_WITH(file.read<float>("F\n"), std::string(all_types) + R"(: there is no tensor "F\n")");
  CHECK_THROWS_AS(file.shape(""), ArgumentError);
  CHECK_THROWS_AS(file.type("f32"), ArgumentError);
}

TEST_CASE("a shape that no Tensor can have is read as a list only") {
  const files::Folder folder;
  const auto file = opened(folder, R"({"deep":{"dtype":"I8","shape":[1,1,1,1,1,1,2],"data_offsets":[0,2]},)"
                                   R"("long":{"dtype":"I8","shape":[0,281474976710656],"data_offsets":[2,2]}})", "\1\2");
  CHECK(file.read<std::int8_t>("deep") == Values<std::int8_t>{1, 2});
  CHECK(file.read<std::int8_t>("long").empty());
  CHECK_THROWS_AS(file.shape("deep"), ShapeError);
  CHECK_THROWS_WITH(file.shape("deep"), Contains("tensor \"deep\" has more than 6 axes"));
  CHECK_THROWS_AS(file.shape("long"), ShapeError);
}

TEST_CASE("a file without a whole header is refused") {
  const std::string header = R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})";
  refuses("", "the file has 0 bytes, fewer than 8");
  refuses(std::string(7, '\0'), "the file has 7 bytes, fewer than 8");
  refuses(length_bytes(0), "does not begin with {");
  refuses(length_bytes(100'000'001) + header + "ab", "its length 100000001 is more than 100000000");
  refuses(length_bytes(~std::uint64_t{0}) + header + "ab", "its length 18446744073709551615 is more than");
  refuses(length_bytes(100'000'000) + header + "ab", "its length 100000000 passes the end of the file, " +
                                                         std::to_string(8 + header.size() + 2));
  refuses(length_bytes(3) + "{}", "its length 3 passes the end of the file, 10");
  refuses(length_bytes(header.size() + 1) + header + "ab", "not valid JSON");
  refuses(length_bytes(header.size()) + header + "abc", "the tensors end at 2 but the data at 3");  // trailing bytes
  refuses(length_bytes(header.size()) + header + "a", R"(tensor "a": data_offsets [0, 2] pass the end of the data, 1)");
  refuses(length_bytes(4) + "{\xff} ", "not valid JSON");
}

TEST_CASE("a file that cannot be read is an error of the system") {
  const files::Folder folder;
  CHECK_THROWS_AS(SafetensorsFile(folder / "missing"), IoError);
  CHECK_THROWS_AS(SafetensorsFile(folder.path()), IoError);
  const auto file = opened(folder, R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", "ab");
  std::filesystem::resize_file(folder / "file", 62);  // somebody cuts it while it is open
  CHECK_THROWS_AS(file.read<std::uint8_t>("a"), IoError);
  CHECK_THROWS_WITH(file.read<float>("a"), Contains("ends at offset 62"));
}

TEST_CASE("a file open for reading stays what it was when its name is replaced") {
  const files::Folder folder;
  const std::string header = R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})";
  const auto file = opened(folder, header, "ab");
  files::write(folder / "new", length_bytes(header.size()) + header + "cd");
  std::error_code refused;  // by Windows, where nobody else may replace an open file
  std::filesystem::rename(folder / "new", folder / "file", refused);
#ifndef _WIN32
  CHECK(!refused);
#endif
  CHECK(file.read<std::uint8_t>("a") == Values<std::uint8_t>{'a', 'b'});
}

TEST_CASE("several threads read one file") {
  const SafetensorsFile file(all_types);
  std::vector<double> sums(4);
  std::vector<std::thread> threads;
  for (double& sum : sums)
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) sum += file.read<double>("F32")[0] + file.read<double>("I32")[1];
    });
  for (auto& thread : threads) thread.join();
  for (const double sum : sums) CHECK(sum == Approx(500 * (1.0 / 3 + 4)).epsilon(1e-6));
}
