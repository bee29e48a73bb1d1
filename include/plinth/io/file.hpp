// SPDX-License-Identifier: MIT
// Files whose every system call is checked: reading at an offset, and replacing a file in one step or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include <plinth/io/file_calls.hpp>

namespace plinth::detail {

/// A path with something added to its last name.
inline std::filesystem::path with_suffix(std::filesystem::path path, std::string_view suffix) { return path += suffix; }

/// Owns what the system has opened.
class OpenFile {
 public:
  explicit OpenFile(FileHandle handle = no_file) : handle_(handle) {}
  OpenFile(OpenFile&& other) noexcept : handle_(std::exchange(other.handle_, no_file)) {}
  OpenFile& operator=(OpenFile&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~OpenFile() { close(); }

  explicit operator bool() const { return handle_ != no_file; }
  FileHandle handle() const { return handle_; }
  /// Whether the system reported no error, such as a late one of a network disk. A signal is none: it is closed.
  bool close() {
    return handle_ == no_file || file_calls.close(std::exchange(handle_, no_file)) == 0 || errno == EINTR;
  }

 private:
  FileHandle handle_;
};

/// A regular file open for reading. Its const functions may be called by several threads at once.
class InputFile {
 public:
  /// Throws IoError when it cannot be opened or is no regular file.
  explicit InputFile(const std::filesystem::path& file) : path_(file) {
    file_ = OpenFile(uninterrupted([&] { return system::open(path_); }));
    if (!file_) throw_io_error(path_, "open");
    FileStatus status;
    if (system::status(file_.handle(), status) != 0) throw_io_error(path_, "read its size");
    require<IoError>(status.regular, text_of(path_), ": is not a regular file");
    size_ = status.bytes;
  }

  const std::filesystem::path& path() const { return path_; }
  /// Bytes it had when it was opened.
  std::uint64_t size() const { return size_; }

  /// Fills `bytes` from what stands at the offset. Throws IoError, also when the file ends before.
  void read(std::uint64_t offset, std::span<std::byte> bytes) const {
    while (!bytes.empty()) {
      const auto count =
          uninterrupted([&] { return system::read(file_.handle(), offset, bytes.data(), bytes.size()); });
      if (count < 0) throw_io_error(path_, "read");
      require<IoError>(count > 0, text_of(path_), ": ends at offset ", offset, ", ", bytes.size(), " bytes too early");
      offset += static_cast<std::uint64_t>(count);
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
  }

 private:
  std::filesystem::path path_;
  OpenFile file_;
  std::uint64_t size_ = 0;
};

/// A file open for writing.
class OutputFile {
 public:
  static constexpr const char* locked = "lock, somebody else is writing it";

  OutputFile() = default;
  /// Keeps what a file already holds, or insists that there is none. Throws IoError when it cannot be created.
  OutputFile(const std::filesystem::path& file, bool only_new) : path_(file) {
    file_ = OpenFile(uninterrupted([&] { return file_calls.create(path_, only_new); }));
    if (!file_) throw_io_error(path_, errno == EAGAIN ? locked : "create");
  }

  /// Appends. Throws IoError, as when the disk is full.
  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const auto count = uninterrupted([&] { return file_calls.write(file_.handle(), bytes.data(), bytes.size()); });
      if (count < 0) throw_io_error(path_, "write");
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
  }

  /// Everything written is on the disk when this returns. Throws IoError.
  void flush() {
    if (uninterrupted([&] { return file_calls.flush(file_.handle()); }) != 0) throw_io_error(path_, "flush to disk");
  }
  /// Throws IoError.
  void close() {
    if (!file_.close()) throw_io_error(path_, "close");
  }
  /// What is open, no_file when it is closed.
  FileHandle handle() const { return file_.handle(); }

 private:
  std::filesystem::path path_;
  OpenFile file_;
};

/// Makes what was created, renamed or removed in a folder outlast a loss of power. Throws IoError.
inline void flush_folder(const std::filesystem::path& folder) {
  if (uninterrupted([&] { return file_calls.flush_folder(folder); }) != 0) throw_io_error(folder, "flush to disk");
}

/// A file that takes its name only when it is complete and on the disk: until commit() the name keeps what it had, also
/// when the process is killed or the power fails. It grows as "<name>.tmp" in the same folder; what a killed process
/// left there is overwritten, and only one writer at a time is let in. A symbolic link is replaced, not followed.
class FileReplacement {
 public:
  /// Throws IoError, also where the name belongs to a folder, a device or the like: /dev/null is not to be replaced.
  explicit FileReplacement(const std::filesystem::path& file) : path_(file), temporary_(with_suffix(file, ".tmp")) {
    std::error_code unknown;
    const auto old = std::filesystem::status(path_, unknown);
    require<IoError>(!std::filesystem::exists(old) || is_regular_file(old), text_of(path_), ": is not a regular file");
    do {
      file_ = OutputFile(temporary_, false);
      if (uninterrupted([&] { return file_calls.lock(file_.handle()); }) != 0 && errno == EAGAIN)
        throw_io_error(temporary_, OutputFile::locked);
    } while (!system::names(temporary_, file_.handle()));
    if (uninterrupted([&] { return file_calls.empty(file_.handle()); }) != 0) {
      const int error = errno;
      discard();
      throw_io_error(temporary_, "empty", error);
    }
  }
  FileReplacement(const FileReplacement&) = delete;
  FileReplacement& operator=(const FileReplacement&) = delete;
  ~FileReplacement() {
    if (file_.handle() != no_file) discard();
  }

  /// Appends. Throws IoError, as when the disk is full.
  void write(std::span<const std::byte> bytes) { file_.write(bytes); }

  /// Takes the name. Throws IoError; then the name keeps what it had, unless the folder alone could not be flushed.
  void commit() {
    file_.flush();
    // Still open, so that nobody else gets the lock before the temporary name is free.
    if (file_calls.rename(temporary_, path_) != 0) throw_io_error(path_, "replace");
    file_.close();
    flush_folder(path_.parent_path());
  }

 private:
  void discard() {
    file_calls.remove_file(temporary_);
    file_ = OutputFile();
  }

  std::filesystem::path path_, temporary_;
  OutputFile file_;
};

}  // namespace plinth::detail
