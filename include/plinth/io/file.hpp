// SPDX-License-Identifier: MIT
// Files whose every system call is checked: reading at an offset, and replacing a file in one step or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include <plinth/io/file_calls.hpp>

namespace plinth::detail {

/// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() { close(); }

  int number() const { return number_; }
  /// Whether the system reported no error, such as a late one of a network disk. A signal is none: it is closed.
  bool close() { return number_ < 0 || file_calls.close(std::exchange(number_, -1)) == 0 || errno == EINTR; }

 private:
  int number_;
};

/// A regular file open for reading. Its const functions may be called by several threads at once.
class InputFile {
 public:
  /// Throws IoError when it cannot be opened or is no regular file.
  explicit InputFile(const std::filesystem::path& file) : path_(file) {
    // O_NONBLOCK: opening a pipe must not wait for its writer.
    file_ = Descriptor(uninterrupted([&] { return ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }));
    if (file_.number() < 0) throw_io_error(path_, "open");
    struct ::stat status;
    if (::fstat(file_.number(), &status) != 0) throw_io_error(path_, "read its size");
    require<IoError>(S_ISREG(status.st_mode), path_.string(), ": is not a regular file");
    size_ = static_cast<std::uint64_t>(status.st_size);
  }

  const std::filesystem::path& path() const { return path_; }
  /// Bytes it had when it was opened.
  std::uint64_t size() const { return size_; }

  /// Fills `bytes` from what stands at the offset. Throws IoError, also when the file ends before.
  void read(std::uint64_t offset, std::span<std::byte> bytes) const {
    while (!bytes.empty()) {
      const auto count = uninterrupted(
          [&] { return ::pread(file_.number(), bytes.data(), bytes.size(), static_cast<::off_t>(offset)); });
      if (count < 0) throw_io_error(path_, "read");
      require<IoError>(count > 0, path_.string(), ": ends at offset ", offset, ", ", bytes.size(), " bytes too early");
      offset += static_cast<std::uint64_t>(count);
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
  }

 private:
  std::filesystem::path path_;
  Descriptor file_;
  std::uint64_t size_ = 0;
};

/// A file open for writing.
class OutputFile {
 public:
  OutputFile() = default;
  /// `flags` are those of open(2) beside O_WRONLY and O_CREAT. Throws IoError when it cannot be created.
  OutputFile(const std::filesystem::path& file, int flags) : path_(file) {
    const int all = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags;
    file_ = Descriptor(uninterrupted([&] { return file_calls.open(path_.c_str(), all, 0666); }));
    if (file_.number() < 0) throw_io_error(path_, "create");
  }

  /// Appends. Throws IoError, as when the disk is full.
  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const auto count = uninterrupted([&] { return file_calls.write(file_.number(), bytes.data(), bytes.size()); });
      if (count < 0) throw_io_error(path_, "write");
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
  }

  /// Everything written is on the disk when this returns. Throws IoError.
  void flush() {
    if (uninterrupted([&] { return file_calls.fsync(file_.number()); }) != 0) throw_io_error(path_, "flush to disk");
  }
  /// Throws IoError.
  void close() {
    if (!file_.close()) throw_io_error(path_, "close");
  }
  /// The descriptor's number, -1 when it is closed.
  int number() const { return file_.number(); }

 private:
  std::filesystem::path path_;
  Descriptor file_;
};

/// Makes what was created, renamed or removed in a folder outlast a loss of power. Throws IoError.
inline void flush_folder(const std::filesystem::path& folder) {
  const char* name = folder.empty() ? "." : folder.c_str();
  Descriptor opened(uninterrupted([&] { return file_calls.open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0); }));
  if (opened.number() < 0) throw_io_error(name, "open");
  if (uninterrupted([&] { return file_calls.fsync(opened.number()); }) != 0) throw_io_error(name, "flush to disk");
  if (!opened.close()) throw_io_error(name, "close");
}

/// A file that takes its name only when it is complete and on the disk: until commit() the name keeps what it had, also
/// when the process is killed or the power fails. It grows as "<name>.tmp" in the same folder; what a killed process
/// left there is overwritten, and only one writer at a time is let in. A symbolic link is replaced, not followed.
class FileReplacement {
 public:
  /// Throws IoError, also where the name belongs to a folder, a device or the like: /dev/null is not to be replaced.
  explicit FileReplacement(const std::filesystem::path& file) : path_(file), temporary_(file.string() + ".tmp") {
    struct ::stat old;
    require<IoError>(::stat(path_.c_str(), &old) != 0 || S_ISREG(old.st_mode), path_.string(), ": is not a regular file");
    do {
      file_ = OutputFile(temporary_, 0);
      if (uninterrupted([&] { return file_calls.flock(file_.number(), LOCK_EX | LOCK_NB); }) != 0 &&
          errno == EWOULDBLOCK)
        throw_io_error(temporary_, "lock, somebody else is writing it");
    } while (!still_named());
    if (uninterrupted([&] { return file_calls.ftruncate(file_.number(), 0); }) != 0) {
      const int error = errno;
      discard();
      throw_io_error(temporary_, "empty", error);
    }
  }
  FileReplacement(const FileReplacement&) = delete;
  FileReplacement& operator=(const FileReplacement&) = delete;
  ~FileReplacement() {
    if (file_.number() >= 0) discard();
  }

  /// Appends. Throws IoError, as when the disk is full.
  void write(std::span<const std::byte> bytes) { file_.write(bytes); }

  /// Takes the name. Throws IoError; then the name keeps what it had, unless the folder alone could not be flushed.
  void commit() {
    file_.flush();
    // Still open, so that nobody else gets the lock before the temporary name is free.
    if (file_calls.rename(temporary_.c_str(), path_.c_str()) != 0) throw_io_error(path_, "replace");
    file_.close();
    flush_folder(path_.parent_path());
  }

 private:
  /// Whether the temporary name still means the file that was locked, not one that was renamed in between.
  bool still_named() const {
    struct ::stat ours, named;
    return ::fstat(file_.number(), &ours) == 0 && ::stat(temporary_.c_str(), &named) == 0 &&
           ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
  }
  void discard() {
    file_calls.unlink(temporary_.c_str());
    file_ = OutputFile();
  }

  std::filesystem::path path_, temporary_;
  OutputFile file_;
};

}  // namespace plinth::detail
