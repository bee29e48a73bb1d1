// SPDX-License-Identifier: MIT
// Manifests of checkpoints: what is written is read again, and nothing else is.
#include <plinth/io/checkpoint_manifest.hpp>

#include <cmath>
#include <cstdint>
#include <functional>
#include <random>
#include <string>

#include "catch.hpp"
#include "io/mutation.hpp"

using namespace plinth;
using Catch::Matchers::Contains;
using detail::CheckpointManifest;
using detail::parse_checkpoint_manifest;
using nlohmann::json;

namespace {

CheckpointManifest example() {
  return {.next_step = 250,
          .optimizer_steps = 249,
          .seed = 18446744073709551615u,
          .loss_scale = 0.125,
          .finite_steps = 1999,
          .settings = {{"batch", 8}, {"learning_rate", 6e-3}, {"text", "\xe2\x82\xac"}, {"tied", true}, {"below", -3}},
          .files = {{{1234, std::string(64, 'a')}, {0, std::string(64, '0')}}}};
}

/// The example's text with a change that whoever made it signed again.
std::string forged(const std::function<void(json&)>& change) {
  json manifest = json::parse(to_json(example()));
  change(manifest);
  manifest["sha256"] = detail::manifest_digest(manifest);
  return manifest.dump();
}

void refuses(const std::string& text, const std::string& what) {
  INFO(text.substr(0, 1000));
  CHECK_THROWS_AS(parse_checkpoint_manifest(text), FormatError);
  CHECK_THROWS_WITH(parse_checkpoint_manifest(text), Contains(what));
}
void refuses(const std::function<void(json&)>& change, const std::string& what) { refuses(forged(change), what); }

/// Whether the text is refused. What is not must say what the example says: a blank or a spelling has changed.
bool refused(const std::string& text) {
  CheckpointManifest manifest;
  try {
    manifest = parse_checkpoint_manifest(text);
  } catch (const FormatError&) {
    return true;
  }
  CHECK(to_json(manifest) == to_json(example()));
  return false;
}

}  // namespace

TEST_CASE("a manifest is read as it was written") {
  const auto manifest = parse_checkpoint_manifest(to_json(example()));
  CHECK(manifest.next_step == 250);
  CHECK(manifest.optimizer_steps == 249);
  CHECK(manifest.seed == 18446744073709551615u);
  CHECK(manifest.loss_scale == 0.125);
  CHECK(manifest.finite_steps == 1999);
  CHECK(manifest.settings == example().settings);
  CHECK(manifest.files[0].bytes == 1234);
  CHECK(manifest.files[0].sha256 == std::string(64, 'a'));
  CHECK(manifest.files[1].bytes == 0);
  CHECK(parse_checkpoint_manifest(forged([](json&) {})).next_step == 250);
  for (const double odd : {0.1, -0.0, 5e-324, 1.7976931348623157e308, 1e15, 1e-5, 123456789.125}) {
    auto other = example();
    other.settings = {{"odd", odd}};
    const auto read = parse_checkpoint_manifest(to_json(other)).settings["odd"].get<double>();
    CHECK(read == odd);
    CHECK(std::signbit(read) == std::signbit(odd));
  }
}

TEST_CASE("a manifest with any bit turned is refused") {
  const std::string text = to_json(example());
  int refusals = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = text;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      refusals += refused(changed);
    }
  }
  CHECK(refusals > static_cast<int>(8 * text.size()) - 20);
}

TEST_CASE("a manifest cut at any place is refused") {
  const std::string text = to_json(example());
  for (std::size_t size = 0; size + 1 < text.size(); ++size) CHECK(refused(text.substr(0, size)));  // + 1: the newline
}

TEST_CASE("mutated manifests are read as they were or refused") {
  std::mt19937 random(1);
  const std::string text = to_json(example());
  int refusals = 0;
  for (int i = 0; i < 3000; ++i) refusals += refused(files::mutated(text, text.size(), random));
  CHECK(refusals > 2500);
}

TEST_CASE("manifests of another format or without a right digest are refused") {
  refuses([](json& m) { m["format"] = "plinth checkpoint 1"; }, R"(its format is "plinth checkpoint 1", not)");
  refuses([](json& m) { m["format"] = 1; }, "format is no string");
  refuses([](json& m) { m.erase("format"); }, "the manifest: format is missing");
  json unsigned_one = json::parse(to_json(example()));
  unsigned_one["next_step"] = 251;
  refuses(unsigned_one.dump(), "its content is not what its sha256 says");
  unsigned_one.erase("sha256");
  refuses(unsigned_one.dump(), "the manifest: sha256 is missing");
  refuses("[]", "the manifest is no object");
  refuses("null", "the manifest is no object");
  refuses("{}", "format is missing");
}

TEST_CASE("numbers that are out of range or none are refused") {
  const json wrong[] = {-1, 1.0, 2.5, 1e30, true, nullptr, "250", json::array(), json::object()};
  for (const char* name : {"next_step", "optimizer_steps", "seed", "finite_steps", "library_version"}) {
    const std::string what = std::string("the manifest: ") + name + " is no whole number";
    for (const json& value : wrong) refuses([&](json& m) { m[name] = value; }, what);
    refuses([&](json& m) { m.erase(name); }, std::string(name) + " is missing");
  }
  for (const json& value : wrong)
    refuses([&](json& m) { m["files"]["model.safetensors"]["bytes"] = value; },
            "model.safetensors: bytes is no whole number");
  const std::uint64_t too_large = std::uint64_t{1} << 63;
  refuses([&](json& m) { m["next_step"] = too_large; }, "next_step is no whole number in [0, 9223372036854775807]");
  refuses([&](json& m) { m["files"]["optimizer.safetensors"]["bytes"] = too_large; }, "bytes is no whole number");
  refuses([](json& m) { m["loss_scale"] = 0; }, "loss_scale 0 is not positive");
  refuses([](json& m) { m["loss_scale"] = "1"; }, "the manifest: loss_scale is no number");
  std::string huge = to_json(example());
  refuses(huge.replace(huge.find("250"), 3, std::string(400, '9')), "a number is too large");
}

TEST_CASE("a manifest names the files of a checkpoint and no others") {
  for (const char* path : {"../x", "/etc/passwd", "model.safetensors/..", "", ".", "Model.safetensors"}) {
    refuses([&](json& m) { m["files"][path] = m["files"]["model.safetensors"]; }, "files has 3 members, must have 2");
    refuses(
        [&](json& m) {
          m["files"][path] = m["files"]["model.safetensors"];
          m["files"].erase("model.safetensors");
        },
        "files: model.safetensors is missing");
  }
  refuses([](json& m) { m["files"] = json::array(); }, "files is no object");
  refuses([](json& m) { m["files"]["model.safetensors"] = 1; }, "model.safetensors is no object");
  refuses([](json& m) { m["files"]["model.safetensors"]["sha256"] = 1; }, "model.safetensors: sha256 is no string");
  refuses([](json& m) { m["files"]["model.safetensors"]["path"] = "../x"; },
          "model.safetensors has 3 members, must have 2");
  refuses([](json& m) { m["more"] = 1; }, "the manifest has 12 members, must have 11");
}

TEST_CASE("settings are finite numbers, booleans and strings") {
  for (const json& value : {json(nullptr), json::array(), json::object(), json({1})})
    refuses([&](json& m) { m["settings"]["x"] = value; }, R"(the setting "x" is no finite number, boolean or string)");
  refuses([](json& m) { m["settings"] = 1; }, "the settings are no JSON object but number");
  refuses([](json& m) { m["notes"] = 1; }, "the notes are no JSON object but number");
  refuses([](json& m) { m["notes"]["x"] = nullptr; }, R"(the note "x" is no finite number, boolean or string)");
  const auto cannot_write = [](const json& settings, const std::string& what) {
    auto manifest = example();
    manifest.settings = settings;
    CHECK_THROWS_AS(to_json(manifest), ArgumentError);
    CHECK_THROWS_WITH(to_json(manifest), Contains(what));
  };
  cannot_write({{"x", std::nan("")}}, R"(the setting "x" is no finite number)");
  cannot_write({{"x", INFINITY}}, R"(the setting "x" is no finite number)");
  cannot_write({{"x", "\xff"}}, "a setting is not UTF-8");
  cannot_write({{"\xff", 1}}, "a setting is not UTF-8");
  cannot_write(json::array({1}), "the settings are no JSON object but array");
  cannot_write({{"x", std::string(1'000'000, 'x')}}, "is longer than 1000000");
}

TEST_CASE("manifests that are too long or too deep are refused") {
  refuses(to_json(example()) + std::string(1'000'000, ' '), "more than 1000000");
  refuses("{\"a\":" + std::string(1000, '['), "nested deeper than 64");
  std::string twice = to_json(example());
  refuses(twice.replace(twice.find("\"seed\""), 6, "\"next_step\""), R"(the key "next_step" stands twice)");
}
