// SPDX-License-Identifier: MIT
// What a system does to files and folders, in one place where tests can record it or make it fail.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <filesystem>
#include <string>

#include <plinth/tensor/error.hpp>

namespace plinth::detail {

/// An open file or folder by the system's name for it: a descriptor (POSIX) or a HANDLE (Windows).
using FileHandle = std::intptr_t;
inline constexpr FileHandle no_file = -1;

struct FileStatus {
  bool regular = false;
  std::uint64_t bytes = 0;
};

/// Each system's own, from file_calls_posix.hpp or file_calls_windows.hpp. What fails returns no_file or -1 and sets
/// errno, EINTR where a signal came first and the call is to be made again.
namespace system {

// Reading. Nothing here waits for the other end of a pipe.
inline FileHandle open(const std::filesystem::path&);
inline int status(FileHandle, FileStatus&);
/// How many bytes were read from an offset on: 0 where the file ends.
inline std::int64_t read(FileHandle, std::uint64_t offset, void* bytes, std::size_t count);
/// Whether there is a folder, not just a link to one.
inline bool is_folder(const std::filesystem::path&);
/// Whether the name means this file.
inline bool names(const std::filesystem::path&, FileHandle);

// Writing.
/// Opens for writing; makes the file where it is missing, or fails unless it is. Never follows a link. EAGAIN: somebody
/// else has the lock.
inline FileHandle create(const std::filesystem::path&, bool only_new);
/// Gives the one who created a file the only right to write it, until it is closed. EAGAIN: somebody else has it.
inline int lock(FileHandle);
inline int empty(FileHandle);
/// How many bytes were appended.
inline std::int64_t write(FileHandle, const void* bytes, std::size_t count);
inline int flush(FileHandle);
inline int close(FileHandle);
/// Gives a file or folder a name, on which another file loses it in the same moment.
inline int rename(const std::filesystem::path& from, const std::filesystem::path& to);
/// Removes a file or a link, not what it points to.
inline int remove_file(const std::filesystem::path&);
inline int make_folder(const std::filesystem::path&);
inline int remove_empty_folder(const std::filesystem::path&);
/// Makes what was created, renamed or removed in a folder outlast a loss of power.
inline int flush_folder(const std::filesystem::path&);
/// Gives the right to change a folder, until what it returns is closed. EAGAIN: somebody else has it.
inline FileHandle lock_folder(const std::filesystem::path&);

}  // namespace system

/// The calls that change a disk.
struct FileCalls {
  decltype(&system::create) create = system::create;
  decltype(&system::lock) lock = system::lock;
  decltype(&system::empty) empty = system::empty;
  decltype(&system::write) write = system::write;
  decltype(&system::flush) flush = system::flush;
  decltype(&system::close) close = system::close;
  decltype(&system::rename) rename = system::rename;
  decltype(&system::remove_file) remove_file = system::remove_file;
  decltype(&system::make_folder) make_folder = system::make_folder;
  decltype(&system::remove_empty_folder) remove_empty_folder = system::remove_empty_folder;
  decltype(&system::flush_folder) flush_folder = system::flush_folder;
  decltype(&system::lock_folder) lock_folder = system::lock_folder;
};

/// Those of this thread.
inline thread_local FileCalls file_calls;

/// A path for people to read, in UTF-8.
inline std::string text_of(const std::filesystem::path& file) {
  try {
    const std::u8string text = file.u8string();
    return {text.begin(), text.end()};
  } catch (const std::exception&) {  // Windows lets names be no Unicode
    return "(a name that is no Unicode)";
  }
}

[[noreturn]] inline void throw_io_error(const std::filesystem::path& file, const char* action, int error = errno) {
  throw IoError(join(text_of(file), ": cannot ", action, ": ", std::strerror(error)));
}

/// Calls a system function again as long as a signal interrupts it.
template <class F>
auto uninterrupted(F&& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace plinth::detail

#include <plinth/io/file_calls_posix.hpp>
#include <plinth/io/file_calls_windows.hpp>
