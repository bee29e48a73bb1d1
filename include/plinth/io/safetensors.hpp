// SPDX-License-Identifier: MIT
// Tensors and models in safetensors files, the format of Hugging Face.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <plinth/autograd/module.hpp>
#include <plinth/io/file.hpp>
#include <plinth/io/safetensors_file.hpp>
#include <plinth/io/safetensors_header.hpp>
#include <plinth/tensor/tensor.hpp>

namespace plinth {

namespace detail {
/// Takes bytes one after the other.
using ByteSink = std::function<void(std::span<const std::byte>)>;
}  // namespace detail

/// What is to be written under a name.
struct NamedTensor {
  /// Throws ArgumentError when the tensor is undefined.
  template <Element T, class D>
  NamedTensor(std::string name, const Tensor<T, D>& x)
      : entry{std::move(name), detail::safetensors_type<T>(), {x.shape().begin(), x.shape().end()}, 0, 0},
        write([x](const detail::ByteSink& sink) {
          if (std::is_same_v<D, Cpu> && x.contiguous())
            sink(std::as_bytes(std::span(x.data(), static_cast<std::size_t>(x.count()))));
          else
            sink(std::as_bytes(std::span<const T>(x.to_vector())));
        }) {
    detail::require<ArgumentError>(x.defined(), "safetensors: tensor ", detail::Quoted{entry.name}, " is undefined");
  }

  /// Elements in row-major order, which the caller keeps until they are written. Throws ShapeError when there are more
  /// or fewer than the shape has.
  template <detail::Storable T>
  NamedTensor(std::string name, const Shape& shape, std::span<const T> elements)
      : entry{std::move(name), detail::safetensors_type<T>(), {shape.begin(), shape.end()}, 0, 0},
        write([elements](const detail::ByteSink& sink) { sink(std::as_bytes(elements)); }) {
    detail::require<ShapeError>(element_count(shape) == static_cast<std::int64_t>(elements.size()), "safetensors: tensor ",
                                detail::Quoted{entry.name}, " of shape ", shape, " cannot hold ", elements.size(),
                                " elements");
  }

  detail::SafetensorsEntry entry;  ///< name, type and shape; its place in the file is found when that is written
  std::function<void(const detail::ByteSink&)> write;  ///< hands the elements' bytes over
};

namespace detail {

/// Hands all bytes of a safetensors file to the sink, in order. Throws ArgumentError as save_safetensors does, before
/// the first one.
inline void write_safetensors(std::vector<NamedTensor> tensors, const std::map<std::string, std::string>& metadata,
                              const ByteSink& sink) {
  std::ranges::sort(tensors, [](const NamedTensor& a, const NamedTensor& b) {
    return std::tie(b.entry.type, a.entry.name) < std::tie(a.entry.type, b.entry.name);
  });
  SafetensorsHeader header{{}, metadata};
  std::set<std::string> names{std::string(metadata_key)};
  std::uint64_t offset = 0;
  for (NamedTensor& tensor : tensors) {
    auto& entry = tensor.entry;
    require<ArgumentError>(names.insert(entry.name).second, "safetensors: the name ", Quoted{entry.name}, " is taken");
    entry.begin = offset;
    entry.end = offset += element_count(entry) * (info(entry.type).bits / 8);
    header.tensors.push_back(entry);
  }
  const std::string text = to_json(header);
  const std::uint64_t length = text.size();
  sink(std::as_bytes(std::span(&length, 1)));
  sink(std::as_bytes(std::span(text)));
  for (const NamedTensor& tensor : tensors) tensor.write(sink);
}

/// All parameters of a model under their dotted names.
template <Module M>
std::vector<NamedTensor> named_parameters(const M& model) {
  std::vector<NamedTensor> tensors;
  for_each_parameter(model, [&](const std::string& name, const auto& x) { tensors.emplace_back(name, x); });
  return tensors;
}

}  // namespace detail

/// Writes a safetensors file, byte for byte as the reference implementation does. It takes the name when all of it is on
/// the disk; before that, and after an error, the name keeps what it had and no other file is left. While it grows it
/// is called "<name>.tmp". Throws ArgumentError for a name that stands twice, is "__metadata__" or not UTF-8; IoError.
/// Python: safetensors.torch.save_file.
inline void save_safetensors(const std::filesystem::path& file, std::vector<NamedTensor> tensors,
                             const std::map<std::string, std::string>& metadata = {}) {
  detail::FileReplacement output(file);
  detail::write_safetensors(std::move(tensors), metadata, [&](auto bytes) { output.write(bytes); });
  output.commit();
}

/// Writes all parameters of a model under their dotted names, as save_safetensors does.
template <Module M>
void save_parameters(const std::filesystem::path& file, const M& model,
                     const std::map<std::string, std::string>& metadata = {}) {
  save_safetensors(file, detail::named_parameters(model), metadata);
}

namespace detail {

/// What keeps the file from being the state of the model, a line for each name; empty when nothing does.
/// Throws ShapeError when a parameter is not dense in memory.
template <Module M>
std::string misfits(const SafetensorsFile& file, const M& model) {
  std::string list;
  std::set<std::string> expected;
  const auto add = [&](const auto&... what) { list += join("\n  ", what...); };
  for_each_parameter(model, [&](const std::string& name, const auto& x) {
    require<ShapeError>(x.contiguous(), "load_parameters: ", name, " has strides ", x.strides());
    expected.insert(name);
    if (!file.contains(name)) return add("missing: ", name, " of shape ", x.shape());
    try {
      if (const Shape shape = file.shape(name); !(shape == x.shape()))
        add(name, ": the file has shape ", shape, ", the model ", x.shape());
    } catch (const ShapeError& error) {
      add(error.what());
    }
  });
  for (const std::string& name : file.names())
    if (!expected.contains(name)) add("unexpected: ", Quoted{name});
  return list;
}

/// The copies that make the file's values the model's parameters. All of it is checked and read, nothing changed yet.
/// Throws as load_parameters does.
template <Module M>
std::vector<std::function<void()>> parameter_copies(const SafetensorsFile& file, M& model) {
  const std::string list = misfits(file, model);
  require<FormatError>(list.empty(), text_of(file.path()), " does not hold this model's parameters:", list);

  std::vector<std::function<void()>> copies;
  std::map<const void*, std::string> first_names;  // by memory
  for_each_parameter(model, [&](const std::string& name, auto& x) {
    using X = std::remove_cvref_t<decltype(x)>;
    auto values = file.read<typename X::element>(name);
    const auto [known, first] = first_names.emplace(x.data(), name);
    if (first) {
      copies.push_back([&x, values = std::move(values)] {
        memory<typename X::device>::copy_from_host(x.mutable_data(), values.data(), values.size() * sizeof(values[0]));
      });
    } else {
      const auto others = file.read<typename X::element>(known->second);
      require<FormatError>(std::ranges::equal(std::as_bytes(std::span(values)), std::as_bytes(std::span(others))),
                           text_of(file.path()), ": ", known->second, " and ", name,
                           " share their memory in the model but differ in the file");
    }
  });
  return copies;
}

}  // namespace detail

/// Reads all parameters of a model, converting element types as SafetensorsFile::read does. The file must hold exactly
/// the model's names and shapes. Throws FormatError listing the names that are missing, unexpected or of another shape,
/// or naming what cannot be converted or has two values for names that share their memory; ShapeError when a parameter
/// is not dense in memory; IoError; MemoryError. Then nothing was changed: until all values are read and converted they
/// are kept beside the model, so loading needs memory for the parameters a second time.
/// PyTorch: load_state_dict(strict=True).
template <Module M>
void load_parameters(const std::filesystem::path& file, M& model) {
  for (const auto& copy : detail::parameter_copies(SafetensorsFile(file), model)) copy();
}

}  // namespace plinth
