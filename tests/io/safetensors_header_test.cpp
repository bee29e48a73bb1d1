// SPDX-License-Identifier: MIT
// Headers of safetensors files: every rule of the reference's reader, and the text its writer makes.
#include <plinth/io/safetensors_header.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "catch.hpp"

using namespace plinth;
using Catch::Matchers::Contains;
using detail::parse_safetensors_header;
using detail::SafetensorsEntry;
using detail::SafetensorsHeader;
using detail::to_json;

namespace {

const std::string valid = R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})";

/// The header of one tensor "a".
std::string one(const std::string& type, const std::string& shape, const std::string& offsets) {
  return R"({"a":{"dtype":")" + type + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}
/// Two tensors of bytes, "a" and "b".
std::string two(const std::string& a_size, const std::string& a, const std::string& b_size, const std::string& b) {
  return R"({"a":{"dtype":"U8","shape":[)" + a_size + R"(],"data_offsets":)" + a + R"(},)" +
         R"("b":{"dtype":"U8","shape":[)" + b_size + R"(],"data_offsets":)" + b + "}}";
}
std::string repeated(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

void refuses(const std::string& header, std::uint64_t data_size, const std::string& text) {
  INFO(header.substr(0, 200));
  CHECK_THROWS_AS(parse_safetensors_header(header, data_size), FormatError);
  CHECK_THROWS_WITH(parse_safetensors_header(header, data_size), Contains(text));
}
/// `valid` with a part of it replaced.
std::string with(const std::string& part, const std::string& replacement) {
  std::string text = valid;
  return text.replace(text.find(part), part.size(), replacement);
}

}  // namespace

TEST_CASE("a header becomes tensors in the order of their bytes") {
  const auto header = parse_safetensors_header(
      R"({"b":{"data_offsets":[4,20],"shape":[2],"dtype":"F64"},"__metadata__":{"k":"v","":"\u20ac"},)"
      R"("a":{"dtype":"I8","shape":[2,1,2],"data_offsets":[0,4]},"c":{"dtype":"BOOL","shape":[],"data_offsets":[20,21]}})",
      21);
  REQUIRE(header.tensors.size() == 3);
  CHECK(header.metadata == std::map<std::string, std::string>{{"k", "v"}, {"", "\xe2\x82\xac"}});
  const auto& [name, type, shape, begin, end] = header.tensors[0];
  CHECK(name == "a");
  CHECK(type == SafetensorsType::i8);
  CHECK(shape == std::vector<std::uint64_t>{2, 1, 2});
  CHECK(begin == 0);
  CHECK(end == 4);
  CHECK(header.tensors[1].name == "b");
  CHECK(header.tensors[1].type == SafetensorsType::f64);
  CHECK(header.tensors[2].shape.empty());
}

TEST_CASE("what the reference's reader lets pass") {
  CHECK(parse_safetensors_header("{}", 0).tensors.empty());
  CHECK(parse_safetensors_header(" \t\r\n" + valid + " \n\t\r ", 24).tensors.size() == 1);
  CHECK(parse_safetensors_header(R"({"__metadata__":{}})", 0).metadata.empty());
  CHECK(parse_safetensors_header(R"({"__metadata__":null})", 0).metadata.empty());
  CHECK(parse_safetensors_header(with("{\"dtype", R"({"more":[1,{"shape":-1.5e3}],"text":"x","none":null,"dtype)"), 24)
            .tensors.size() == 1);
  CHECK(parse_safetensors_header(one("F32", "[0,99]", "[0,0]"), 0).tensors.size() == 1);
  const auto empties = parse_safetensors_header(two("4", "[0,4]", "0", "[0,0]"), 4);  // the empty one comes first
  CHECK(empties.tensors[0].name == "b");
  CHECK(parse_safetensors_header(one("F4", "[3,2]", "[0,3]"), 3).tensors.size() == 1);
  CHECK(parse_safetensors_header(one("F6_E2M3", "[4]", "[0,3]"), 3).tensors.size() == 1);
  CHECK(parse_safetensors_header(with("\"a\"", R"("a\u0000\n")"), 24).tensors[0].name == std::string("a\0\n", 3));
}

TEST_CASE("text that is no JSON object is refused") {
  refuses("", 0, "does not begin with {");
  refuses("   ", 0, "does not begin with {");
  refuses("[]", 0, "does not begin with {");
  refuses("\"{\"", 0, "does not begin with {");
  refuses("\xef\xbb\xbf{}", 0, "does not begin with {");  // a byte order mark
  refuses("{", 0, "not valid JSON at byte 2");
  refuses("{}{}", 0, "not valid JSON at byte 3");
  refuses("{} x", 0, "not valid JSON at byte 4");
  refuses("{/**/}", 0, "not valid JSON");
  refuses("{'a':1}", 0, "not valid JSON");
  refuses(R"({"a":NaN})", 0, "not valid JSON");
  refuses(valid.substr(0, valid.size() - 1) + ",}", 24, "not valid JSON");
  refuses(valid.substr(0, valid.size() - 1), 24, "not valid JSON");
  refuses(valid + std::string(1, '\0'), 24, "zero byte");
  refuses(std::string("{\0}", 3), 0, "zero byte");
  refuses(with("\"a\"", "\"a\x01\""), 24, "not valid JSON");
}

TEST_CASE("text that is not UTF-8 is refused") {
  for (const char* bad : {"\xff", "\xc0\xaf", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\\ud800"})
    refuses(with("\"a\"", plinth::detail::join('"', bad, '"')), 24, "not valid JSON");
  refuses("{\xff}", 0, "not valid JSON");
  CHECK(parse_safetensors_header(with("\"a\"", "\"\xf0\x9f\x98\x80\""), 24).tensors[0].name == "\xf0\x9f\x98\x80");
}

TEST_CASE("deep nesting is refused") {
  const std::string before = R"({"a":{"more":)";
  refuses(before + repeated("[", 63), 0, "nested deeper than 64");
  refuses(before + repeated(R"({"x":)", 63), 0, "nested deeper than 64");
  refuses(repeated("[", 1000), 0, "does not begin with {");
  refuses("{\"a\":" + repeated("[", 1000), 0, "an array is out of place near key \"a\"");
  const std::string nested = repeated("[", 62) + repeated("]", 62);  // with the two objects around it, exactly 64
  CHECK(parse_safetensors_header(with("{\"dtype", "{\"more\":" + nested + ",\"dtype"), 24).tensors.size() == 1);
}

TEST_CASE("keys that stand twice are refused") {
  refuses(two("2", "[0,2]", "2", "[2,4]").replace(2, 1, "b"), 4, R"(the key "b" stands twice)");
  refuses(R"({"__metadata__":{},"__metadata__":{}})", 0, R"(the key "__metadata__" stands twice)");
  refuses(R"({"__metadata__":{"k":"1","k":"2"}})", 0, R"(the key "k" stands twice in __metadata__)");
  refuses(with("\"shape", R"("dtype":"F32","shape)"), 24, R"(tensor "a": dtype stands twice)");
  refuses(with("\"data", R"("shape":[2,3],"data)"), 24, R"(tensor "a": shape stands twice)");
  refuses(with("\"data", R"("data_offsets":[0,24],"data)"), 24, R"(tensor "a": data_offsets stands twice)");
}

TEST_CASE("entries of another form are refused") {
  refuses(R"({"a":1})", 0, "a number is out of place near key \"a\"");
  refuses(R"({"a":"F32"})", 0, "a string is out of place");
  refuses(R"({"a":null})", 0, "null is out of place");
  refuses(R"({"a":true})", 0, "a boolean is out of place");
  refuses(R"({"a":[]})", 0, "an array is out of place");
  refuses(R"({"a":{}})", 0, R"(tensor "a": dtype is missing)");
  refuses(with(R"("shape":[2,3],)", ""), 24, R"(tensor "a": shape is missing)");
  refuses(with(R"(,"data_offsets":[0,24])", ""), 24, R"(tensor "a": data_offsets is missing)");
  refuses(with("\"F32\"", "32"), 24, "a number is out of place");
  refuses(with("\"F32\"", "[\"F32\"]"), 24, "an array is out of place");
  refuses(with("[2,3]", "6"), 24, "a number is out of place");
  refuses(with("[2,3]", "[[2,3]]"), 24, "an array is out of place");
  refuses(with("[2,3]", "{\"0\":2}"), 24, "an object is out of place");
  refuses(with("[2,3]", "[2,\"3\"]"), 24, "a string is out of place");
  refuses(with("[2,3]", "[2,null]"), 24, "null is out of place");
  refuses(with("[2,3]", "[-2,-3]"), 24, "a negative number is out of place");
  refuses(with("[2,3]", "[2,3.0]"), 24, "a number that is no 64-bit integer");
  refuses(with("[2,3]", "[2,18446744073709551616]"), 24, "a number that is no 64-bit integer");
  refuses(with("[2,3]", "[2,-0]"), 24, "a negative number");
  refuses(with("[0,24]", "[0]"), 24, "data_offsets has 1 numbers, must have 2");
  refuses(with("[0,24]", "[0,24,24]"), 24, "data_offsets has 3 numbers, must have 2");
  refuses(with("[0,24]", "[]"), 24, "data_offsets has 0 numbers, must have 2");
  refuses(with("[0,24]", "[1e0,24]"), 24, "a number that is no 64-bit integer");
  refuses(R"({"__metadata__":{"k":1}})", 0, "a number is out of place near key \"__metadata__\"");
  refuses(R"({"__metadata__":{"k":null}})", 0, "null is out of place");
  refuses(R"({"__metadata__":{"k":{}}})", 0, "an object is out of place");
  refuses(R"({"__metadata__":"text"})", 0, "a string is out of place");
  refuses(R"({"__metadata__":[]})", 0, "an array is out of place");
}

TEST_CASE("element types that the format does not know are refused") {
  for (const std::string type : {"F31", "f32", "F32 ", "", "float32", "C128"})
    refuses(one(type, "[2,3]", "[0,24]"), 24, R"(tensor "a": dtype ")" + type + R"(" is unknown)");
}

TEST_CASE("offsets that do not cover the data exactly once are refused") {
  CHECK(parse_safetensors_header(two("2", "[0,2]", "2", "[2,4]"), 4).tensors.size() == 2);
  refuses(two("2", "[0,2]", "3", "[1,4]"), 4, R"(tensor "b": data_offsets [1, 4] leave a hole or overlap, must begin at 2)");
  refuses(two("4", "[0,4]", "4", "[0,4]"), 4, R"(tensor "b": data_offsets [0, 4] leave a hole or overlap)");
  refuses(two("2", "[0,2]", "1", "[3,4]"), 4, R"(tensor "b": data_offsets [3, 4] leave a hole or overlap)");
  refuses(two("1", "[1,2]", "2", "[2,4]"), 4, R"(tensor "a": data_offsets [1, 2] leave a hole or overlap, must begin at 0)");
  refuses(one("U8", "[4]", "[0,4]"), 3, R"(tensor "a": data_offsets [0, 4] pass the end of the data, 3)");
  refuses(one("U8", "[4]", "[0,18446744073709551615]"), 4, "pass the end of the data");
  refuses(two("4", "[0,4]", "0", "[4,3]"), 4, R"(tensor "b": data_offsets [4, 3] end before they begin)");
  refuses(one("U8", "[4]", "[0,4]"), 5, "the tensors end at 4 but the data at 5");
  refuses("{}", 1, "the tensors end at 0 but the data at 1");
}

TEST_CASE("a size other than that of shape and dtype is refused") {
  refuses(one("F32", "[2,3]", "[0,23]"), 23, "data_offsets [0, 23] differ from the size of shape and dtype, 24");
  refuses(one("F32", "[2,3]", "[0,25]"), 25, "differ from the size of shape and dtype, 24");
  refuses(one("F64", "[]", "[0,4]"), 4, "differ from the size of shape and dtype, 8");
  refuses(one("U8", "[0]", "[0,1]"), 1, "differ from the size of shape and dtype, 0");
  refuses(one("F4", "[3]", "[0,1]"), 1, "hold 12 bits, no whole number of bytes");
  refuses(one("F4", "[3]", "[0,2]"), 2, "hold 12 bits, no whole number of bytes");
  refuses(one("F6_E3M2", "[2]", "[0,1]"), 1, "hold 12 bits, no whole number of bytes");
}

TEST_CASE("sizes that overflow are refused") {
  refuses(one("U8", "[4294967296,4294967296]", "[0,0]"), 0, R"(tensor "a": the size of its shape overflows)");
  refuses(one("U8", "[18446744073709551615,2]", "[0,0]"), 0, "the size of its shape overflows");
  refuses(one("U8", "[4294967296,4294967296,0]", "[0,0]"), 0, "the size of its shape overflows");
  refuses(one("U8", "[2305843009213693952]", "[0,0]"), 0, "the size of its shape overflows");  // 2^61 times 8 bits
  refuses(one("F64", "[288230376151711744]", "[0,0]"), 0, "the size of its shape overflows");  // 2^58 times 64
  refuses(one("F64", "[288230376151711743]", "[0,0]"), 0, "differ from the size of shape and dtype, 2305843009213693944");
  CHECK(parse_safetensors_header(one("U8", "[0,18446744073709551615]", "[0,0]"), 0).tensors.size() == 1);
}

TEST_CASE("headers are written as the reference writes them") {
  // serialize({"a": TensorSpec(dtype="float32", shape=[4], ...)})[8:72], and of {} with {"k": "v"}
  const SafetensorsEntry a{"a", SafetensorsType::f32, {4}, 0, 16};
  CHECK(to_json({{a}, {}}) == R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}} )");
  CHECK(to_json({{}, {{"k", "v"}}}) == R"({"__metadata__":{"k":"v"}}      )");
  CHECK(to_json({}) == "{}      ");
  const SafetensorsHeader full{{a, {"b", SafetensorsType::i64, {}, 16, 24}}, {{"x", "1"}, {"\xc3\xa9\"\x02", ""}}};
  const auto again = parse_safetensors_header(to_json(full), 24);
  CHECK(again.metadata == full.metadata);
  CHECK(again.tensors.size() == 2);
}

TEST_CASE("a header that cannot be read again is not written") {
  CHECK_THROWS_AS(to_json({{}, {{"k", "\xff"}}}), ArgumentError);
  CHECK_THROWS_WITH(to_json({{}, {{"k\xe2\x82", "v"}}}), Contains("is not UTF-8"));
  CHECK_THROWS_AS(to_json({{{"\xed\xa0\x80", {}, {}, 0, 4}}, {}}), ArgumentError);
  CHECK(to_json({{}, {{"k", std::string(99'999'975, 'x')}}}).size() == 100'000'000);  // {"__metadata__":{"k":"..."}}
  CHECK_THROWS_WITH(to_json({{}, {{"k", std::string(99'999'976, 'x')}}}), Contains("is longer than 100000000"));
}

TEST_CASE("names from files are quoted in messages") {
  const auto quoted = [](const std::string& name) { return detail::join(detail::Quoted{name}); };
  CHECK(quoted("layer.0") == "\"layer.0\"");
  CHECK(quoted("a\"\n\x1b[31m\x7f") == R"("a\"\n\u001b[31m\u007f")");
  CHECK(quoted("\xff\xc3\xa9") == R"("\ufffd\u00e9")");
  CHECK(quoted(std::string(120, 'x')) == "\"" + std::string(120, 'x') + "\"");
  CHECK(quoted(std::string(1000, 'x')) == "\"" + std::string(120, 'x') + "\"...");
}
