// SPDX-License-Identifier: MIT
// The terminal that a stream may be.
#pragma once

#include <cstddef>
#include <cstdio>

#ifdef _WIN32
#include <io.h>
#include <windows.h>

inline HANDLE console_of(std::FILE* stream) { return reinterpret_cast<HANDLE>(::_get_osfhandle(::_fileno(stream))); }

/// Whether it is a terminal that can be drawn on.
inline bool is_terminal(std::FILE* stream) {
  DWORD mode = 0;
  return ::GetConsoleMode(console_of(stream), &mode) &&
         ::SetConsoleMode(console_of(stream), mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
}

/// How many characters a line of it has, 80 where it does not say.
inline std::size_t terminal_columns(std::FILE* stream) {
  CONSOLE_SCREEN_BUFFER_INFO found;
  if (!::GetConsoleScreenBufferInfo(console_of(stream), &found)) return 80;
  return static_cast<std::size_t>(found.srWindow.Right - found.srWindow.Left + 1);
}

#else
#include <sys/ioctl.h>
#include <unistd.h>

/// Whether it is a terminal that can be drawn on.
inline bool is_terminal(std::FILE* stream) { return ::isatty(::fileno(stream)) == 1; }

/// How many characters a line of it has, 80 where it does not say.
inline std::size_t terminal_columns(std::FILE* stream) {
  ::winsize size{};
  const bool known = ::ioctl(::fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}
#endif
