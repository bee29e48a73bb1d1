// SPDX-License-Identifier: MIT
// Parameters of models in files: exact round trips, conversions, and errors that change nothing.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <plinth/io/safetensors.hpp>
#include <plinth/models/decoder.hpp>

#include "catch.hpp"
#include "io/files.hpp"

using namespace plinth;
using Catch::Matchers::Contains;
using Catch::Matchers::Equals;
using Names = std::vector<std::string>;

namespace {

const TransformerConfig config = {.vocabulary = 11, .context = 8, .hidden = 16, .layers = 2, .heads = 2};

template <class T>
struct Pair {
  Tensor<T> first{{2, 3}, {T(1), T(2), T(3), T(4), T(5), T(6)}}, second{{2}, {T(7), T(8)}};

  static void visit(auto& self, auto&& f) {
    f("first", self.first);
    f("second", self.second);
  }
};

struct Mixed {
  std::vector<Pair<double>> pairs{2};
  std::optional<Pair<float>> absent;
  Tensor<std::int32_t> counts{{3}, {1, 2, 3}};
  Tensor<half> scale{{}, {half(0.1f)}};
  Tensor<float> empty{Shape{3, 0}};
  Tensor<float> undefined;

  static void visit(auto& self, auto&& f) {
    f("pairs", self.pairs);
    f("absent", self.absent);
    f("counts", self.counts);
    f("scale", self.scale);
    f("empty", self.empty);
    f("undefined", self.undefined);
  }
};

struct Tied {
  Tensor<float> embedding{{2}, {1, 2}}, other{{2}, {0, 0}}, head = embedding;

  static void visit(auto& self, auto&& f) {
    f("embedding", self.embedding);
    f("other", self.other);
    f("head", self.head);
  }
};

/// All values of a model in double, one parameter after the other.
template <class M>
std::vector<double> values(const M& model) {
  std::vector<double> all;
  for_each_parameter(model, [&](const std::string&, const auto& x) {
    for (const auto value : x.to_vector()) all.push_back(static_cast<double>(value));
  });
  return all;
}

/// Sets every element of a model to one value.
template <class M>
void fill(M& model, float value) {
  for_each_parameter(model, [&](const std::string&, auto& x) {
    using T = typename std::remove_cvref_t<decltype(x)>::element;
    for (std::int64_t i = 0; i < x.count(); ++i) x.mutable_data()[i] = static_cast<T>(value);
  });
}

/// Loading into the model throws E with the text, and changes nothing.
template <class E, class M>
void refuses(const std::filesystem::path& file, M& model, const std::string& text) {
  const auto before = values(model);
  CHECK_THROWS_AS(load_parameters(file, model), E);
  CHECK_THROWS_WITH(load_parameters(file, model), Contains(text));
  CHECK(values(model) == before);
}

const Tensor<double> matrix({2, 3}, {10, 20, 30, 40, 50, 60}), vector({2}, {70, 80});

}  // namespace

TEST_CASE("a decoder's parameters come back exactly") {
  const files::Folder folder;
  Decoder<float> model(config);
  const auto wanted = values(model);
  save_parameters(folder / "model", model, {{"step", "12"}});
  fill(model, 1);
  REQUIRE(values(model) != wanted);
  load_parameters(folder / "model", model);
  CHECK(values(model) == wanted);
  const SafetensorsFile file(folder / "model");
  CHECK(file.metadata().at("step") == "12");
  CHECK(file.shape("blocks.1.attention.query.weight") == Shape{16, 16});
  CHECK(folder.names() == Names{"model"});
}

TEST_CASE("every kind of part comes back exactly") {
  const files::Folder folder;
  Mixed model;
  model.pairs[1].second.mutable_data()[1] = -0.1;
  const auto wanted = values(model);
  save_parameters(folder / "model", model);
  CHECK(SafetensorsFile(folder / "model").names() ==
        Names{"pairs.0.first", "pairs.0.second", "pairs.1.first", "pairs.1.second", "empty", "counts", "scale"});
  fill(model, 5);
  load_parameters(folder / "model", model);
  CHECK(values(model) == wanted);
}

TEST_CASE("loading keeps the tensors, their other handles and their gradients' tape") {
  const files::Folder folder;
  save_safetensors(folder / "model", {{"first", matrix}, {"second", vector}});
  Pair<double> model;
  set_trainable(model, true);
  const Pair<double> other = model;
  const auto* const memory = model.first.data();
  const auto version = model.first.version();
  load_parameters(folder / "model", model);
  CHECK(other.first.to_vector() == matrix.to_vector());
  CHECK(model.first.data() == memory);
  CHECK(model.first.version() == version + 1);
  CHECK(unreached(model) == Names{"first", "second"});  // still trainable
}

TEST_CASE("parameters become the model's element type") {
  const files::Folder folder;
  Decoder<double> exact(config);
  save_parameters(folder / "double", exact);
  Decoder<float> rounded(config);
  fill(rounded, 0);
  load_parameters(folder / "double", rounded);
  auto nearest = values(exact);
  for (double& x : nearest) x = static_cast<double>(static_cast<float>(x));
  CHECK(values(rounded) == nearest);

  save_parameters(folder / "float", rounded);
  fill(exact, 0);
  load_parameters(folder / "float", exact);
  CHECK(values(exact) == nearest);
}

TEST_CASE("all that does not fit is listed by name") {
  const files::Folder folder;
  const auto file = folder / "model";
  Pair<double> model;
  save_safetensors(file, {{"first", vector}, {"third", vector}, {"a\n", vector}});
  refuses<FormatError>(file, model, "does not hold this model's parameters:");
  CHECK_THROWS_WITH(load_parameters(file, model), Equals(file.string() + R"( does not hold this model's parameters:
  first: the file has shape (2), the model (2, 3)
  missing: second of shape (2)
  unexpected: "a\n"
  unexpected: "third")"));
  save_safetensors(file, {{"first", matrix}});
  refuses<FormatError>(file, model, "\n  missing: second of shape (2)");
  save_safetensors(file, {{"first", matrix}, {"second", vector}, {"second.x", vector}});
  refuses<FormatError>(file, model, "\n  unexpected: \"second.x\"");
  save_safetensors(file, {{"first", Tensor<double>({3, 2})}, {"second", vector}});  // as many elements
  refuses<FormatError>(file, model, "\n  first: the file has shape (3, 2), the model (2, 3)");
  const std::string header = R"({"second":{"dtype":"I8","shape":[1,1,1,1,1,1,2],"data_offsets":[0,2]}})";
  files::write(file, std::string(1, static_cast<char>(header.size())) + std::string(7, '\0') + header + "ab");
  refuses<FormatError>(file, model, "tensor \"second\" has more than 6 axes");
  CHECK_THROWS_WITH(load_parameters(file, model), Contains("\n  missing: first"));
}

TEST_CASE("a value that does not fit changes nothing, also where it comes last") {
  const files::Folder folder;
  const auto file = folder / "model";
  Pair<float> model;
  save_safetensors(file, {{"first", matrix}, {"second", Tensor<double>({2}, {1, 1e300})}});
  refuses<FormatError>(file, model, "tensor \"second\" of type F64 does not fit at element 1");
  save_safetensors(file, {{"first", matrix}, {"second", Tensor<std::int32_t>({2}, {1, 16777217})}});
  refuses<FormatError>(file, model, "tensor \"second\" of type I32 does not fit at element 1");
  const std::vector<std::uint8_t> bytes = {1, 2};
  save_safetensors(file, {{"first", matrix}, {"second", Shape{2}, std::span<const std::uint8_t>(bytes)}});
  load_parameters(file, model);
  CHECK(values(model) == std::vector<double>{10, 20, 30, 40, 50, 60, 1, 2});
}

TEST_CASE("a file that is missing or broken changes nothing") {
  const files::Folder folder;
  const auto file = folder / "model";
  Pair<float> model;
  refuses<IoError>(file, model, "model: cannot open: No such file");
  refuses<IoError>(folder.path(), model, "is not a regular file");
  save_parameters(file, Pair<float>());
  fill(model, 3);
  const std::string whole = files::content(file);
  for (std::size_t size = 0; size < whole.size(); ++size) {  // cut anywhere
    files::write(file, whole.substr(0, size));
    refuses<FormatError>(file, model, "model: header: ");
  }
}

TEST_CASE("a parameter that is not dense is refused") {
  const files::Folder folder;
  save_safetensors(folder / "model", {{"first", matrix}, {"second", vector}});
  std::vector<double> memory(6, -1);
  Pair<double> model;
  model.first = Tensor<double>::view_of(memory.data(), {2, 3}, {1, 2});
  refuses<ShapeError>(folder / "model", model, "load_parameters: first has strides (1, 2)");
}

TEST_CASE("names that share their memory must agree") {
  const files::Folder folder;
  const auto file = folder / "model";
  Tied model;
  save_parameters(file, model);
  fill(model, 9);
  load_parameters(file, model);
  CHECK(values(model) == std::vector<double>{1, 2, 0, 0, 1, 2});
  const Tensor<float> a({2}, {3, 4}), b({2}, {3, 5});
  save_safetensors(file, {{"embedding", a}, {"other", b}, {"head", b}});
  refuses<FormatError>(file, model, "embedding and head share their memory in the model but differ in the file");
}

TEST_CASE("a failed save keeps the old parameters") {
  const files::Folder folder;
  Decoder<float> model(config);
  save_parameters(folder / "model", model);
  const auto wanted = values(model);
  fill(model, 2);
  {
    const files::FullDisk disk(10'000);
    CHECK_THROWS_AS(save_parameters(folder / "model", model), IoError);
  }
  CHECK(folder.names() == Names{"model"});
  load_parameters(folder / "model", model);
  CHECK(values(model) == wanted);
}
