// SPDX-License-Identifier: MIT
// The architecture check must be able to fail: one planted violation of each kind, and the tree that has none.
#include "architecture/rules.hpp"

#include <string>
#include <vector>

#include "catch.hpp"

namespace {

using architecture::File;

/// A header that keeps every rule, followed by `lines`.
File header(std::string path, std::vector<std::string> lines = {}) {
  lines.insert(lines.begin(), {"// SPDX-License-Identifier: MIT", "// What it is for.", "#pragma once"});
  return {std::move(path), std::move(lines)};
}

/// The violations of one header in a tree with a README in its room, as "line: what".
std::vector<std::string> faults(const File& file) {
  std::vector<File> tree = {file};
  if (file.path.find('/') != std::string::npos)
    tree.push_back({std::string(architecture::room_of(file.path)) + "/README.md", {"A room."}});
  std::vector<std::string> found;
  for (const auto& [path, line, what] : architecture::check(tree)) {
    CHECK(path == file.path);
    found.push_back(std::to_string(line) + ": " + what);
  }
  return found;
}

/// What is said of `include` on line 4 of a header; empty when it is allowed.
std::string said_of(std::string path, std::string include) {
  const auto found = faults(header(std::move(path), {"#include " + include}));
  REQUIRE(found.size() <= 1);
  return found.empty() ? "" : found[0];
}

}  // namespace

TEST_CASE("a room includes itself and rooms below it", "[architecture]") {
  CHECK(said_of("tensor/tensor.hpp", "<plinth/tensor/shape.hpp>") == "");
  CHECK(said_of("ops/matmul.hpp", "<plinth/autograd/apply.hpp>") == "");
  CHECK(said_of("autograd/tape.hpp", "<plinth/kernels/cpu.hpp>") == "");
  CHECK(said_of("kernels/cpu.hpp", "<plinth/kernels/cpu/gemm.hpp>") == "");
  CHECK(said_of("io/json.hpp", "<plinth/models/decoder.hpp>") == "");
  CHECK(said_of("plinth.hpp", "<plinth/generate/generate.hpp>") == "");
  CHECK(said_of("tensor/error.hpp", "<plinth/version.hpp>") == "");
  CHECK(said_of("tensor/tensor.hpp", "<vector>") == "");
}

TEST_CASE("a room does not include rooms above or beside it", "[architecture]") {
  CHECK(said_of("tensor/tensor.hpp", "<plinth/ops/matmul.hpp>") == "4: tensor must not include ops");
  CHECK(said_of("position/rope.hpp", "<plinth/activation/gelu.hpp>") == "4: position must not include activation");
  CHECK(said_of("train/trainer.hpp", "<plinth/generate/sample.hpp>") == "4: train must not include generate");
  CHECK(said_of("models/decoder.hpp", "<plinth/plinth.hpp>") == "4: models must not include plinth.hpp");
  CHECK(said_of("version.hpp", "<plinth/tensor/shape.hpp>") == "4: version.hpp must not include tensor");
  CHECK(said_of("ops/matmul.hpp", "<plinth/tools/x.hpp>") == "4: tools is no room of the house");
}

TEST_CASE("components stay out of the core and of each other", "[architecture]") {
  CHECK(said_of("models/decoder.hpp", "<plinth/io/json.hpp>") == "4: the core must not include the component io");
  CHECK(said_of("plinth.hpp", "<plinth/text/bpe.hpp>") == "4: the core must not include the component text");
  CHECK(said_of("report/plot.hpp", "<plinth/io/json.hpp>") ==
        "4: the component report must not include the component io");
}

TEST_CASE("a backend is reached through its one header", "[architecture]") {
  CHECK(said_of("autograd/tape.hpp", "<plinth/kernels/cpu/gemm.hpp>") ==
        "4: a backend is reached through kernels/cpu.hpp or .cuh, not by kernels/cpu/gemm.hpp");
  CHECK(said_of("io/gguf.hpp", "<plinth/kernels/cuda/gemm.cuh>") ==
        "4: a backend is reached through kernels/cuda.hpp or .cuh, not by kernels/cuda/gemm.cuh");
}

TEST_CASE("slow standard headers and quoted includes are refused", "[architecture]") {
  for (const std::string name : {"regex", "iostream", "filesystem", "thread", "random", "chrono", "ranges"})
    CHECK(said_of("models/decoder.hpp", "<" + name + ">") == "4: <" + name + "> is slow to compile: not in models");
  CHECK(said_of("train/trainer.hpp", "<chrono>") == "");
  CHECK(said_of("io/file.hpp", "<filesystem>") == "");
  CHECK(said_of("ops/matmul.hpp", "\"shape.hpp\"") == "4: includes are root-relative: #include <plinth/...>");
  CHECK(faults(header("ops/matmul.hpp", {"#  include  <random>  // why not"})) ==
        std::vector<std::string>{"4: <random> is slow to compile: not in ops"});
}

TEST_CASE("__CUDACC__ is asked for in few places", "[architecture]") {
  CHECK(faults(header("tensor/host_device.hpp", {"#ifdef __CUDACC__"})).empty());
  CHECK(faults(header("kernels/cuda.cuh", {"#ifdef __CUDACC__"})).empty());
  CHECK(faults(header("plinth.hpp", {"#ifdef __CUDACC__"})).empty());
  CHECK(faults(header("ops/matmul.hpp", {"", "#ifdef __CUDACC__"})) ==
        std::vector<std::string>{"5: __CUDACC__ is asked for outside tensor/host_device.hpp, kernels/ and plinth.hpp"});
}

TEST_CASE("a header has a licence line, a guard, a known room and a bounded length", "[architecture]") {
  CHECK(faults({"ops/matmul.hpp", {"// A file.", "#pragma once"}}) ==
        std::vector<std::string>{"1: the first line is not // SPDX-License-Identifier: MIT"});
  CHECK(faults({"ops/matmul.hpp", {"// SPDX-License-Identifier: MIT", "// #pragma once"}}) ==
        std::vector<std::string>{"1: #pragma once is missing"});
  CHECK(faults(header("utils/string.hpp")) == std::vector<std::string>{"1: utils is no room of the house"});
  CHECK(faults(header("ops/matmul.hpp", std::vector<std::string>(297))).empty());
  CHECK(faults(header("ops/matmul.hpp", std::vector<std::string>(298))) ==
        std::vector<std::string>{"301: longer than 300 lines"});
}

TEST_CASE("a room has a short README", "[architecture]") {
  const auto missing = architecture::check({header("ops/matmul.hpp")});
  REQUIRE(missing.size() == 1);
  CHECK(missing[0].path == "ops/README.md");
  CHECK(missing[0].what == "the room has no README.md");

  const auto length = [](std::size_t lines) {
    return architecture::check({{"ops/README.md", std::vector<std::string>(lines)}}).size();
  };
  CHECK(length(15) == 0);
  CHECK(length(16) == 1);
}

TEST_CASE("the umbrella reaches every header of the core", "[architecture]") {
  const File readme = {"ops/README.md", {"A room."}};
  const auto umbrella = header("plinth.hpp", {"#include <plinth/ops/matmul.hpp>"});
  const auto matmul = header("ops/matmul.hpp", {"#include <plinth/ops/shape.hpp>"});
  CHECK(architecture::check({umbrella, matmul, header("ops/shape.hpp"), readme}).empty());
  const auto forgotten =
      architecture::check({umbrella, matmul, header("ops/shape.hpp"), header("ops/sum.hpp"), readme});
  REQUIRE(forgotten.size() == 1);
  CHECK(forgotten[0].path == "ops/sum.hpp");
}
