// SPDX-License-Identifier: MIT
// The header of a safetensors file: from JSON text to a checked list of tensors, and back.
// Format and order of checks: github.com/huggingface/safetensors, README "Format" and safetensors/src/tensor.rs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <plinth/io/json.hpp>
#include <plinth/io/safetensors_type.hpp>
#include <plinth/tensor/error.hpp>

namespace plinth::detail {

inline constexpr std::uint64_t longest_safetensors_header = 100'000'000;
inline constexpr std::string_view metadata_key = "__metadata__";

/// A tensor of a file. Its bytes are [begin, end), counted from the end of the header.
struct SafetensorsEntry {
  std::string name;
  SafetensorsType type = SafetensorsType::f32;
  std::vector<std::uint64_t> shape;
  std::uint64_t begin = 0, end = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> tensors;  // in the order of their bytes
  std::map<std::string, std::string> metadata;
};

/// Takes the JSON text piece by piece, never as a tree, and refuses the first piece that does not belong.
class SafetensorsHeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  SafetensorsHeader header;

  bool start_object(std::size_t) override {
    enter();
    if (depth_ > 2) return refuse("an object");
    if (depth_ == 2 && !in_metadata()) header.tensors.push_back({name_, {}, {}, 0, 0});
    seen_ = 0;
    return true;
  }
  bool key(std::string& text) override {
    if (depth_ == 1) {
      require<FormatError>(names_.insert(text).second, "the key ", Quoted{text}, " stands twice");
      name_ = std::move(text);
      field_ = Field::none;
    } else if (depth_ == 2 && in_metadata()) {
      require<FormatError>(!header.metadata.contains(text), "the key ", Quoted{text}, " stands twice in ", metadata_key);
      text_key_ = std::move(text);
    } else if (depth_ == 2) {
      field_ = field_named(text);
      const unsigned bit = 1u << static_cast<int>(field_);
      require<FormatError>(field_ == Field::unknown || !(seen_ & bit), "tensor ", Quoted{name_}, ": ", text, " stands twice");
      seen_ |= bit;
    }
    return true;
  }
  bool end_object() override {
    if (--depth_ != 1 || in_metadata()) return true;
    for (const char* field : {"dtype", "shape", "data_offsets"})
      require<FormatError>(seen_ & (1u << static_cast<int>(field_named(field))), "tensor ", Quoted{name_}, ": ", field, " is missing");
    require<FormatError>(offsets_ == 2, "tensor ", Quoted{name_}, ": ", "data_offsets has ", offsets_, " numbers, must have 2");
    return true;
  }
  bool start_array(std::size_t) override {
    enter();
    const bool numbers = field_ == Field::shape || field_ == Field::offsets;
    if (depth_ != 3 || in_metadata() || !numbers) return refuse("an array");
    if (field_ == Field::offsets) offsets_ = 0;
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool number_unsigned(std::uint64_t value) override {
    if (depth_ != 3 || in_metadata() || field_ == Field::unknown) return refuse("a number");
    auto& tensor = header.tensors.back();
    if (field_ == Field::shape) tensor.shape.push_back(value);
    else if (++offsets_ <= 2) (offsets_ == 1 ? tensor.begin : tensor.end) = value;
    return true;
  }
  bool string(std::string& text) override {
    if (depth_ == 2 && in_metadata()) return header.metadata.emplace(text_key_, std::move(text)), true;
    if (depth_ != 2 || field_ != Field::type) return refuse("a string");
    const auto found = std::ranges::find(safetensors_types, text, &SafetensorsTypeInfo::name);
    require<FormatError>(found != std::end(safetensors_types), "tensor ", Quoted{name_}, ": ", "dtype ", Quoted{text}, " is unknown");
    header.tensors.back().type = static_cast<SafetensorsType>(found - std::begin(safetensors_types));
    return true;
  }
  bool number_integer(std::int64_t) override { return refuse("a negative number"); }
  bool number_float(double, const std::string&) override { return refuse("a number that is no 64-bit integer"); }
  bool boolean(bool) override { return refuse("a boolean"); }
  bool binary(nlohmann::json::binary_t&) override { return refuse("binary data"); }
  bool null() override { return (depth_ == 1 && in_metadata()) || refuse("null"); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    throw FormatError(join("not valid JSON at byte ", position));
  }

 private:
  enum class Field { none, type, shape, offsets, unknown };

  static Field field_named(std::string_view key) {
    if (key == "dtype") return Field::type;
    if (key == "shape") return Field::shape;
    return key == "data_offsets" ? Field::offsets : Field::unknown;
  }
  bool in_metadata() const { return name_ == metadata_key; }
  void enter() { require<FormatError>(++depth_ <= deepest_json, "nested deeper than ", deepest_json); }
  /// Fields of a tensor that the format does not know are passed over, as the reference does it; nothing else is.
  bool refuse(const char* what) const {
    require<FormatError>(depth_ > 1 && field_ == Field::unknown, what, " is out of place near key ", Quoted{name_});
    return true;
  }

  std::set<std::string> names_;
  std::string name_, text_key_;
  Field field_ = Field::none;
  int depth_ = 0, offsets_ = 0;
  unsigned seen_ = 0;  // one bit for each Field
};

/// a * b. Throws FormatError naming the tensor when it passes 2^64 - 1.
inline std::uint64_t checked_product(const SafetensorsEntry& tensor, std::uint64_t a, std::uint64_t b) {
  require<FormatError>(b == 0 || a <= std::numeric_limits<std::uint64_t>::max() / b, "tensor ", Quoted{tensor.name},
                       ": the size of its shape overflows");
  return a * b;
}

inline std::uint64_t element_count(const SafetensorsEntry& tensor) {
  std::uint64_t count = 1;
  for (const std::uint64_t size : tensor.shape) count = checked_product(tensor, count, size);
  return count;
}

/// Throws FormatError unless the tensors, sorted by offset, cover [0, data_size) without hole or overlap and each has
/// as many bytes as its shape and type say.
inline void check_layout(const std::vector<SafetensorsEntry>& tensors, std::uint64_t data_size) {
  std::uint64_t next = 0;
  for (const SafetensorsEntry& tensor : tensors) {
    const auto check = [&](bool condition, const auto&... what) {
      require<FormatError>(condition, "tensor ", Quoted{tensor.name}, ": data_offsets [", tensor.begin, ", ", tensor.end,
                           "] ", what...);
    };
    check(tensor.begin == next, "leave a hole or overlap, must begin at ", next);
    check(tensor.begin <= tensor.end, "end before they begin");
    check(tensor.end <= data_size, "pass the end of the data, ", data_size);
    const std::uint64_t bits = checked_product(tensor, element_count(tensor), info(tensor.type).bits);
    check(bits % 8 == 0, "hold ", bits, " bits, no whole number of bytes");
    check(tensor.end - tensor.begin == bits / 8, "differ from the size of shape and dtype, ", bits / 8);
    next = tensor.end;
  }
  require<FormatError>(next == data_size, "the tensors end at ", next, " but the data at ", data_size);
}

/// Reads the header's text, which `data_size` bytes of tensor data follow. Throws FormatError, whatever the text is.
inline SafetensorsHeader parse_safetensors_header(std::string_view text, std::uint64_t data_size) {
  const auto first = text.find_first_not_of(" \t\r\n");
  require<FormatError>(first != std::string_view::npos && text[first] == '{', "does not begin with {");
  require_no_zero_byte(text);
  SafetensorsHeaderReader reader;
  nlohmann::json::sax_parse(text.begin(), text.end(), &reader);
  auto& tensors = reader.header.tensors;
  std::ranges::sort(tensors, {}, [](const SafetensorsEntry& x) { return std::tie(x.begin, x.end, x.name); });
  check_layout(tensors, data_size);
  return std::move(reader.header);
}

/// The header as the reference writes it: no blanks but those that fill it up to a multiple of 8 bytes.
/// Throws ArgumentError when a text is not UTF-8 or the header would be longer than a reader accepts.
inline std::string to_json(const SafetensorsHeader& header) {
  const auto escaped = [](const std::string& text) {
    try {
      return nlohmann::json(text).dump();
    } catch (const nlohmann::json::exception&) {
      throw ArgumentError(join("safetensors: ", Quoted{text}, " is not UTF-8"));
    }
  };
  std::ostringstream entries;
  const char* between = "";
  entries << '{';
  if (!header.metadata.empty()) {
    entries << '"' << metadata_key << "\":{";
    for (const auto& [key, value] : header.metadata)
      entries << std::exchange(between, ",") << escaped(key) << ':' << escaped(value);
    entries << '}';
  }
  for (const auto& [name, type, shape, begin, end] : header.tensors) {
    entries << std::exchange(between, ",") << escaped(name) << ":{\"dtype\":\"" << info(type).name << "\",\"shape\":[";
    for (std::size_t i = 0; i < shape.size(); ++i) entries << (i ? "," : "") << shape[i];
    entries << "],\"data_offsets\":[" << begin << ',' << end << "]}";
  }
  entries << '}';
  std::string json = entries.str();
  json.append((8 - json.size() % 8) % 8, ' ');
  require<ArgumentError>(json.size() <= longest_safetensors_header, "safetensors: a header of ", json.size(),
                         " bytes is longer than ", longest_safetensors_header);
  return json;
}

}  // namespace plinth::detail
