// SPDX-License-Identifier: MIT
// Reading a safetensors file, the tensor format of Hugging Face.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <plinth/io/file.hpp>
#include <plinth/io/safetensors_header.hpp>
#include <plinth/tensor/shape.hpp>

namespace plinth {

static_assert(std::endian::native == std::endian::little, "safetensors files are read as they lie in memory");

/// A safetensors file open for reading: all of its header was checked, no tensor was read yet. Its const functions may
/// be called by several threads at once.  Python: safetensors.safe_open.
class SafetensorsFile {
 public:
  /// Throws IoError when the file cannot be read and FormatError when it does not follow the format.
  explicit SafetensorsFile(const std::filesystem::path& file) : file_(file) {
    try {
      read_header();
    } catch (const FormatError& error) {
      throw FormatError(detail::text_of(file) + ": header: " + error.what());
    }
    for (std::size_t i = 0; i < header_.tensors.size(); ++i) places_.emplace(header_.tensors[i].name, i);
  }

  /// The file.
  const std::filesystem::path& path() const { return file_.path(); }
  /// The texts under "__metadata__"; empty where there are none.
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  /// All names, in the order of the tensors' bytes.
  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const auto& tensor : header_.tensors) result.push_back(tensor.name);
    return result;
  }
  /// Whether there is a tensor of this name.
  bool contains(std::string_view name) const { return places_.contains(name); }

  /// The element type as the format names it, such as "F32". Throws ArgumentError when there is no such tensor.
  std::string_view type(std::string_view name) const { return detail::info(entry(name).type).name; }

  /// Throws ArgumentError when there is no such tensor, ShapeError when no Tensor can have its shape.
  Shape shape(std::string_view name) const {
    Shape result;
    for (const std::uint64_t size : entry(name).shape) {
      detail::require<ShapeError>(result.rank() < max_rank && size >> 48 == 0, detail::text_of(path()), ": tensor ",
                                  detail::Quoted{name}, " has more than ", max_rank, " axes or one of 2^48 elements");
      result.push_back(static_cast<std::int64_t>(size));
    }
    return result;
  }

  /// The elements in row-major order as T: reals become the nearest value of T, integers keep theirs. T is a type a
  /// Tensor may have or any integer of 8 to 64 bits. Throws ArgumentError when there is no such tensor; FormatError when
  /// it holds reals and T is an integer, when a value is outside what T can hold (for integers: exactly), and for 8-bit
  /// or narrower reals and complex numbers, which are not read; IoError; MemoryError.
  template <detail::Storable T>
  std::vector<T> read(std::string_view name) const {
    const auto& tensor = entry(name);
    std::vector<T> result;
    try {
      result.resize(static_cast<std::size_t>(detail::element_count(tensor)));
    } catch (const std::exception&) {  // bad_alloc or length_error
      throw MemoryError(detail::join(detail::text_of(path()), ": no memory for tensor ", detail::Quoted{name}));
    }
    const bool known =
        detail::with_stored_type(tensor.type, [&]<class Stored>(Stored) { convert<Stored>(tensor, std::span(result)); });
    if (!known) fail(tensor, "is not read");
    return result;
  }

 private:
  void read_header() {
    using detail::require;
    std::array<std::uint8_t, 8> first;
    require<FormatError>(file_.size() >= first.size(), "the file has ", file_.size(), " bytes, fewer than 8");
    file_.read(0, std::as_writable_bytes(std::span(first)));
    const auto length = std::bit_cast<std::uint64_t>(first);
    require<FormatError>(length <= detail::longest_safetensors_header, "its length ", length, " is more than ",
                         detail::longest_safetensors_header);
    require<FormatError>(length <= file_.size() - first.size(), "its length ", length, " passes the end of the file, ",
                         file_.size());
    std::string text(static_cast<std::size_t>(length), ' ');
    file_.read(first.size(), std::as_writable_bytes(std::span(text)));
    data_begin_ = first.size() + length;
    header_ = detail::parse_safetensors_header(text, file_.size() - data_begin_);
  }

  const detail::SafetensorsEntry& entry(std::string_view name) const {
    const auto place = places_.find(name);
    detail::require<ArgumentError>(place != places_.end(), detail::text_of(path()), ": there is no tensor ",
                                   detail::Quoted{name});
    return header_.tensors[place->second];
  }

  template <class... Parts>
  [[noreturn]] void fail(const detail::SafetensorsEntry& tensor, const Parts&... what) const {
    throw FormatError(detail::join(detail::text_of(path()), ": tensor ", detail::Quoted{tensor.name}, " of type ",
                                   detail::info(tensor.type).name, ' ', what...));
  }

  template <class Stored, class T>
  void convert(const detail::SafetensorsEntry& tensor, std::span<T> result) const {
    const std::uint64_t begin = data_begin_ + tensor.begin;
    if constexpr (std::same_as<Stored, T>) {
      file_.read(begin, std::as_writable_bytes(result));
    } else if constexpr (Real<Stored> && std::integral<T>) {
      fail(tensor, "cannot be read as integers");
    } else {
      std::vector<Stored> part(std::min<std::size_t>(result.size(), 1 << 16));
      for (std::size_t done = 0; done < result.size(); done += part.size()) {
        part.resize(std::min(part.size(), result.size() - done));
        file_.read(begin + done * sizeof(Stored), std::as_writable_bytes(std::span(part)));
        for (std::size_t i = 0; i < part.size(); ++i)
          if (!detail::convert(part[i], result[done + i])) fail(tensor, "does not fit at element ", done + i);
      }
    }
  }

  detail::InputFile file_;
  detail::SafetensorsHeader header_;
  std::map<std::string, std::size_t, std::less<>> places_;
  std::uint64_t data_begin_ = 0;
};

}  // namespace plinth
