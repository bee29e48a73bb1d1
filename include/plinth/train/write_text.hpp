// SPDX-License-Identifier: MIT
// A string as a whole file.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include <plinth/tensor/error.hpp>

namespace plinth {

/// Makes the bytes the content of a file, a device or a pipe, replacing what it had. The file is torn where the process
/// dies in between; what must not be is saved by plinth::io. Throws IoError naming the file and the reason, also when
/// the disk is full.
inline void write_text(const std::string& file, std::string_view text) {
  std::FILE* const stream = std::fopen(file.c_str(), "wb");
  const auto fail = [&] { throw IoError(file + ": cannot be written: " + std::strerror(errno)); };
  if (!stream) fail();
  const bool written = std::fwrite(text.data(), 1, text.size(), stream) == text.size() && std::fflush(stream) == 0;
  const int error = errno;
  if (std::fclose(stream) == 0 && written) return;
  if (!written) errno = error;
  fail();
}

}  // namespace plinth
