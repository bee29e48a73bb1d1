// SPDX-License-Identifier: MIT
// A whole file as a string.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include <plinth/tensor/error.hpp>

namespace plinth {

/// The bytes of a file. Throws IoError naming the file and the reason.
inline std::string read_text(const std::string& file) {
  const auto fail = [&] { throw IoError(file + ": " + std::strerror(errno)); };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream(std::fopen(file.c_str(), "rb"), std::fclose);
  if (!stream) fail();
  std::string text;
  char part[1 << 16];
  for (std::size_t read; (read = std::fread(part, 1, sizeof part, stream.get())) > 0;) text.append(part, read);
  if (std::ferror(stream.get())) fail();
  return text;
}

}  // namespace plinth
