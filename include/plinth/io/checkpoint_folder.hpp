// SPDX-License-Identifier: MIT
// A folder of checkpoints on the disk: how one is written so that a crash at any moment leaves the others whole.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <plinth/io/checkpoint_manifest.hpp>
#include <plinth/io/file.hpp>
#include <plinth/io/safetensors.hpp>

namespace plinth::detail {

/// "step-250": the checkpoint from which step 250 comes next.
inline std::string checkpoint_name(std::int64_t next_step) { return "step-" + std::to_string(next_step); }
/// What an unfinished checkpoint, or one that is being removed, is called beside its name.
inline constexpr std::string_view unfinished = ".tmp";

/// The step that a checkpoint's name says; nothing when it is no such name.
inline std::optional<std::int64_t> step_of(std::string_view name) {
  std::int64_t step = -1;
  const auto digits = name.substr(std::min<std::size_t>(5, name.size()));
  std::from_chars(digits.data(), digits.data() + digits.size(), step);
  return step >= 0 && name == checkpoint_name(step) ? std::optional(step) : std::nullopt;
}

/// The names in a folder, in no order. Throws IoError.
inline std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator entry(folder, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error))
    names.push_back(text_of(entry->path().filename()));
  if (error) throw_io_error(folder, "list", error.value());
  return names;
}

/// The steps of the checkpoints in a folder, the largest first. Throws IoError.
inline std::vector<std::int64_t> checkpoint_steps(const std::filesystem::path& folder) {
  std::vector<std::int64_t> steps;
  for (const std::string& name : names_in(folder))
    if (const auto step = step_of(name)) steps.push_back(*step);
  std::ranges::sort(steps, std::greater());
  return steps;
}

/// Removes a folder of files; where the name belongs to something else, that and not what it may point to. Throws
/// IoError.
inline void remove_folder(const std::filesystem::path& folder) {
  if (!system::is_folder(folder)) {
    if (file_calls.remove_file(folder) != 0) throw_io_error(folder, "remove");
    return;
  }
  for (const std::string& name : names_in(folder))
    if (file_calls.remove_file(folder / name) != 0) throw_io_error(folder / name, "remove");
  if (file_calls.remove_empty_folder(folder) != 0) throw_io_error(folder, "remove");
}

/// Removes a checkpoint; killed in between, it leaves an unfinished one, never a torn one. Throws IoError.
inline void remove_checkpoint(const std::filesystem::path& checkpoint) {
  const auto condemned = with_suffix(checkpoint, unfinished);
  if (file_calls.rename(checkpoint, condemned) != 0) throw_io_error(checkpoint, "remove");
  remove_folder(condemned);
}

/// A folder that takes its name only when it is complete and on the disk; given up, it leaves nothing.
class NewFolder {
 public:
  /// Throws IoError.
  explicit NewFolder(const std::filesystem::path& folder)
      : path_(folder), temporary_(with_suffix(folder, unfinished)) {
    if (file_calls.make_folder(temporary_) != 0) throw_io_error(temporary_, "make");
  }
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;
  ~NewFolder() {
    if (named_) return;
    try {
      remove_folder(temporary_);
    } catch (const Error&) {  // the next save tries again
    }
  }

  /// Where its files are to be written, each flushed, before it takes its name.
  const std::filesystem::path& temporary() const { return temporary_; }

  /// Takes the name. Throws IoError; then the name is free, unless the folder around alone could not be flushed.
  void commit() {
    flush_folder(temporary_);
    if (file_calls.rename(temporary_, path_) != 0) throw_io_error(path_, "name");
    named_ = true;
    flush_folder(path_.parent_path());
  }

 private:
  std::filesystem::path path_, temporary_;
  bool named_ = false;
};

/// The right to change a folder of checkpoints, which is made where it is missing: one process at a time has it, as far
/// as the disk knows locks.
class FolderLock {
 public:
  /// Throws IoError when it cannot be made or opened, or somebody else is saving there.
  explicit FolderLock(const std::filesystem::path& folder) {
    if (file_calls.make_folder(folder) != 0 && errno != EEXIST) throw_io_error(folder, "make");
    flush_folder(folder.parent_path());  // also where it is there: whoever made it may have died before this
    lock_ = OpenFile(uninterrupted([&] { return file_calls.lock_folder(folder); }));
    if (!lock_) throw_io_error(folder, errno == EAGAIN ? "lock, somebody else is saving there" : "open");
  }

 private:
  OpenFile lock_;
};

/// Writes a new file, to the disk, and returns what it became. `content(sink)` hands over its bytes. Throws IoError.
template <class Content>
FileRecord write_new_file(const std::filesystem::path& file, const Content& content) {
  OutputFile output(file, true);
  Sha256 hash;
  std::uint64_t size = 0;
  content([&](std::span<const std::byte> bytes) {
    output.write(bytes);
    hash.add(bytes.data(), bytes.size());
    size += bytes.size();
  });
  output.flush();
  output.close();
  return {size, hash.digest()};
}

/// Throws FormatError when a file is not what its record says, IoError when it cannot be read.
inline void verify_file(const std::filesystem::path& file, const FileRecord& record) {
  const InputFile input(file);
  require<FormatError>(input.size() == record.bytes, text_of(file), ": has ", input.size(), " bytes, must have ",
                       record.bytes);
  Sha256 hash;
  std::vector<std::byte> part(1 << 20);
  for (std::uint64_t at = 0; at < record.bytes; at += part.size()) {
    part.resize(static_cast<std::size_t>(std::min<std::uint64_t>(part.size(), record.bytes - at)));
    input.read(at, part);
    hash.add(part);
  }
  require<FormatError>(hash.digest() == record.sha256, text_of(file), ": its content is not what its sha256 says");
}

/// The manifest of a checkpoint, all of whose files are what it says. Throws FormatError or IoError naming the file.
inline CheckpointManifest verified_manifest(const std::filesystem::path& checkpoint) {
  const InputFile input(checkpoint / "manifest.json");
  CheckpointManifest manifest;
  try {
    require<FormatError>(input.size() <= longest_manifest, "has ", input.size(), " bytes, more than ",
                         longest_manifest);
    std::string text(static_cast<std::size_t>(input.size()), ' ');
    input.read(0, std::as_writable_bytes(std::span(text)));
    manifest = parse_checkpoint_manifest(text);
  } catch (const FormatError& error) {
    throw FormatError(text_of(input.path()) + ": " + error.what());
  }
  for (std::size_t i = 0; i < checkpoint_files.size(); ++i)
    verify_file(checkpoint / checkpoint_files[i], manifest.files[i]);
  return manifest;
}

/// Whether a checkpoint is whole.
inline bool whole(const std::filesystem::path& checkpoint) {
  try {
    return verified_manifest(checkpoint), true;
  } catch (const Error&) {
    return false;
  }
}

/// Writes a checkpoint of `tensors`, as many as there are checkpoint_files, and returns where it is. Throws as
/// save_checkpoint does.
inline std::filesystem::path write_checkpoint(const std::filesystem::path& folder, CheckpointManifest manifest,
                                              std::span<const std::vector<NamedTensor>> tensors, std::size_t keep) {
  const FolderLock lock(folder);
  const auto names = names_in(folder);
  for (const std::string& name : names)
    if (name.starts_with("step-") && name.ends_with(unfinished)) remove_folder(folder / name);
  const std::string own_name = checkpoint_name(manifest.next_step);
  const std::filesystem::path checkpoint = folder / own_name;
  if (std::ranges::find(names, own_name) != names.end()) {
    require<ArgumentError>(!whole(checkpoint), text_of(checkpoint), ": is a checkpoint already, not to be overwritten");
    remove_checkpoint(checkpoint);
  }

  NewFolder target(checkpoint);
  for (std::size_t i = 0; i < checkpoint_files.size(); ++i)
    manifest.files[i] = write_new_file(target.temporary() / checkpoint_files[i],
                                       [&](const ByteSink& sink) { write_safetensors(tensors[i], {}, sink); });
  const std::string text = to_json(manifest);
  write_new_file(target.temporary() / "manifest.json",
                 [&](const ByteSink& sink) { sink(std::as_bytes(std::span(text))); });
  target.commit();

  auto steps = checkpoint_steps(folder);  // those of later steps, if any, are no business of this run
  std::erase_if(steps, [&](std::int64_t step) { return step > manifest.next_step; });
  for (std::size_t i = keep; i < steps.size(); ++i) remove_checkpoint(folder / checkpoint_name(steps[i]));
  return checkpoint;
}

}  // namespace plinth::detail
