// SPDX-License-Identifier: MIT
// The system calls by which files and folders are written, in one place where tests can record them or make them fail.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include <plinth/tensor/error.hpp>

namespace plinth::detail {

struct FileCalls {
  int (*open)(const char*, int, ::mode_t) = [](const char* path, int flags, ::mode_t mode) {
    return ::open(path, flags, mode);
  };
  int (*close)(int) = ::close;
  ::ssize_t (*write)(int, const void*, std::size_t) = ::write;
  int (*fsync)(int) = ::fsync;
  int (*ftruncate)(int, ::off_t) = ::ftruncate;
  int (*flock)(int, int) = ::flock;
  int (*rename)(const char*, const char*) = ::rename;
  int (*unlink)(const char*) = ::unlink;
  int (*mkdir)(const char*, ::mode_t) = ::mkdir;
  int (*rmdir)(const char*) = ::rmdir;
};

/// Those of this thread.
inline thread_local FileCalls file_calls;

[[noreturn]] inline void throw_io_error(const std::filesystem::path& file, const char* action, int error = errno) {
  throw IoError(join(file.string(), ": cannot ", action, ": ", std::strerror(error)));
}

/// Calls a system function again as long as a signal interrupts it.
template <class F>
auto uninterrupted(F&& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace plinth::detail
