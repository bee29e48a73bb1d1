// SPDX-License-Identifier: MIT
// The manifest of a checkpoint: where the run was, what it was made with, and what every file must be to the last bit.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include <plinth/io/json.hpp>
#include <plinth/io/sha256.hpp>
#include <plinth/version.hpp>

namespace plinth::detail {

inline constexpr std::size_t longest_manifest = 1'000'000;
inline constexpr std::string_view manifest_format = "plinth checkpoint 2";
/// What a checkpoint consists of beside the manifest. No file is ever opened by a name that a manifest gives.
inline constexpr std::array<const char*, 2> checkpoint_files = {"model.safetensors", "optimizer.safetensors"};

struct FileRecord {
  std::uint64_t bytes = 0;
  std::string sha256;
};

struct CheckpointManifest {
  std::int64_t next_step = 0, optimizer_steps = 0;
  std::uint64_t seed = 0;
  double loss_scale = 1;          // of half precision, and
  std::int64_t finite_steps = 0;  // the steps since it changed
  nlohmann::json settings = nlohmann::json::object(), notes = nlohmann::json::object();
  std::array<FileRecord, checkpoint_files.size()> files;  // as in checkpoint_files
};

/// The digest of a manifest's own content: of its shortest JSON text without "sha256", the keys sorted.
inline std::string manifest_digest(nlohmann::json manifest) {
  manifest.erase("sha256");
  const std::string text = manifest.dump();
  Sha256 hash;
  hash.add(text.data(), text.size());
  return hash.digest();
}

/// Throws ArgumentError unless the settings, or the notes, are an object of finite numbers, booleans and strings, all
/// in UTF-8: what can be read again as it was.
inline void require_settings(const nlohmann::json& settings, const char* one = "setting") {
  require<ArgumentError>(settings.is_object(), "checkpoint: the ", one, "s are no JSON object but ",
                         settings.type_name());
  for (const auto& [name, value] : settings.items()) {
    const bool finite = !value.is_number_float() || std::isfinite(value.get<double>());
    require<ArgumentError>((value.is_number() && finite) || value.is_boolean() || value.is_string(), "checkpoint: the ",
                           one, ' ', Quoted{name}, " is no finite number, boolean or string");
  }
  try {
    static_cast<void>(settings.dump());
  } catch (const nlohmann::json::exception&) {
    throw ArgumentError(join("checkpoint: a ", one, " is not UTF-8"));
  }
}

/// The manifest's text. Throws ArgumentError for settings that cannot be read again.
inline std::string to_json(const CheckpointManifest& manifest) {
  require_settings(manifest.settings);
  require_settings(manifest.notes, "note");
  nlohmann::json json = {{"format", manifest_format},       {"library_version", PLINTH_VERSION},
                         {"next_step", manifest.next_step}, {"optimizer_steps", manifest.optimizer_steps},
                         {"seed", manifest.seed},           {"loss_scale", manifest.loss_scale},
                         {"finite_steps", manifest.finite_steps}, {"settings", manifest.settings},
                         {"notes", manifest.notes}};
  for (std::size_t i = 0; i < checkpoint_files.size(); ++i)
    json["files"][checkpoint_files[i]] = {{"bytes", manifest.files[i].bytes}, {"sha256", manifest.files[i].sha256}};
  json["sha256"] = manifest_digest(json);
  const std::string text = json.dump(2) + '\n';
  require<ArgumentError>(text.size() <= longest_manifest, "checkpoint: a manifest of ", text.size(),
                         " bytes is longer than ", longest_manifest);
  return text;
}

/// An object's members, each of which must be asked for, by its type.
class JsonObject {
 public:
  /// `place` is named in errors. Throws FormatError when the value is no object.
  JsonObject(const nlohmann::json& json, const char* place) : json_(json), place_(place) {
    require<FormatError>(json.is_object(), place_, " is no object");
  }

  /// Throws FormatError when it is missing.
  const nlohmann::json& member(const char* name) {
    const auto found = json_.find(name);
    require<FormatError>(found != json_.end(), place_, ": ", name, " is missing");
    ++asked_;
    return *found;
  }
  std::uint64_t whole_number(const char* name, std::uint64_t largest = std::numeric_limits<std::uint64_t>::max()) {
    const auto& value = member(name);
    require<FormatError>(value.is_number_unsigned() && value.get<std::uint64_t>() <= largest, place_, ": ", name,
                         " is no whole number in [0, ", largest, "]");
    return value.get<std::uint64_t>();
  }
  double number(const char* name) {
    const auto& value = member(name);
    require<FormatError>(value.is_number(), place_, ": ", name, " is no number");
    return value.get<double>();
  }
  std::string text(const char* name) {
    const auto& value = member(name);
    require<FormatError>(value.is_string(), place_, ": ", name, " is no string");
    return value.get<std::string>();
  }
  /// Throws FormatError when it has members that were not asked for.
  void finish() const {
    require<FormatError>(json_.size() == asked_, place_, " has ", json_.size(), " members, must have ", asked_);
  }

 private:
  const nlohmann::json& json_;
  const char* place_;
  std::size_t asked_ = 0;
};

/// Reads a manifest's text. Throws FormatError, whatever the text is.
inline CheckpointManifest parse_checkpoint_manifest(std::string_view text) {
  constexpr auto largest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const nlohmann::json json = parse_json(text, longest_manifest);
  JsonObject object(json, "the manifest");
  const std::string format = object.text("format");
  require<FormatError>(format == manifest_format, "its format is ", Quoted{format}, ", not ", Quoted{manifest_format});
  require<FormatError>(object.text("sha256") == manifest_digest(json), "its content is not what its sha256 says");
  object.whole_number("library_version");

  CheckpointManifest manifest;
  manifest.next_step = static_cast<std::int64_t>(object.whole_number("next_step", largest));
  manifest.optimizer_steps = static_cast<std::int64_t>(object.whole_number("optimizer_steps", largest));
  manifest.seed = object.whole_number("seed");
  manifest.loss_scale = object.number("loss_scale");
  require<FormatError>(manifest.loss_scale > 0, "the manifest: loss_scale ", manifest.loss_scale, " is not positive");
  manifest.finite_steps = static_cast<std::int64_t>(object.whole_number("finite_steps", largest));
  manifest.settings = object.member("settings");
  manifest.notes = object.member("notes");
  try {
    require_settings(manifest.settings);
    require_settings(manifest.notes, "note");
  } catch (const ArgumentError& error) {
    throw FormatError(error.what());
  }
  JsonObject files(object.member("files"), "files");
  for (std::size_t i = 0; i < checkpoint_files.size(); ++i) {
    JsonObject file(files.member(checkpoint_files[i]), checkpoint_files[i]);
    manifest.files[i] = {file.whole_number("bytes", largest), file.text("sha256")};
    file.finish();
  }
  files.finish();
  object.finish();
  return manifest;
}

}  // namespace plinth::detail
