// SPDX-License-Identifier: MIT
// What POSIX does to files and folders; file_calls.hpp says what each function is for.
#pragma once

#ifndef _WIN32

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include <plinth/io/file_calls.hpp>

namespace plinth::detail::system {

inline FileHandle open(const std::filesystem::path& file) {
  // O_NONBLOCK: opening a pipe must not wait for its writer.
  return ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

inline int status(FileHandle file, FileStatus& status) {
  struct ::stat found;
  if (::fstat(static_cast<int>(file), &found) != 0) return -1;
  status = {S_ISREG(found.st_mode), static_cast<std::uint64_t>(found.st_size)};
  return 0;
}

inline std::int64_t read(FileHandle file, std::uint64_t offset, void* bytes, std::size_t count) {
  return ::pread(static_cast<int>(file), bytes, count, static_cast<::off_t>(offset));
}

inline bool is_folder(const std::filesystem::path& path) {
  struct ::stat found;
  return ::lstat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode);
}

inline bool names(const std::filesystem::path& path, FileHandle file) {
  struct ::stat ours, named;
  return ::fstat(static_cast<int>(file), &ours) == 0 && ::stat(path.c_str(), &named) == 0 &&
         ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

inline FileHandle create(const std::filesystem::path& file, bool only_new) {
  const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (only_new ? O_EXCL : 0);
  return ::open(file.c_str(), flags, 0666);
}

inline int lock(FileHandle file) { return ::flock(static_cast<int>(file), LOCK_EX | LOCK_NB); }
inline int empty(FileHandle file) { return ::ftruncate(static_cast<int>(file), 0); }

inline std::int64_t write(FileHandle file, const void* bytes, std::size_t count) {
  return ::write(static_cast<int>(file), bytes, count);
}

inline int flush(FileHandle file) { return ::fsync(static_cast<int>(file)); }
inline int close(FileHandle file) { return ::close(static_cast<int>(file)); }

inline int rename(const std::filesystem::path& from, const std::filesystem::path& to) {
  return ::rename(from.c_str(), to.c_str());
}

inline int remove_file(const std::filesystem::path& file) { return ::unlink(file.c_str()); }
inline int make_folder(const std::filesystem::path& folder) { return ::mkdir(folder.c_str(), 0777); }
inline int remove_empty_folder(const std::filesystem::path& folder) { return ::rmdir(folder.c_str()); }

inline int flush_folder(const std::filesystem::path& folder) {
  const int opened = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (opened < 0) return -1;
  const int result = ::fsync(opened), error = errno;
  ::close(opened);
  errno = error;
  return result;
}

inline FileHandle lock_folder(const std::filesystem::path& folder) {
  const int opened = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (opened < 0 || lock(opened) == 0) return opened;
  const int error = errno;
  if (error != EAGAIN && error != EINTR) return opened;  // a disk that knows no locks goes without
  ::close(opened);
  errno = error;
  return no_file;
}

}  // namespace plinth::detail::system

#endif
