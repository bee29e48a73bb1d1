// SPDX-License-Identifier: MIT
// What Windows does to files and folders; file_calls.hpp says what each function is for.
//
// Three things are other than in POSIX. A file that somebody has open cannot be replaced or removed: the call fails.
// There is no lock that a folder could have: a file ".lock" in it stands for one, and is gone when its process is. And
// there is no flush of a folder: NTFS keeps a journal of names, and a rename is on the disk when the call returns.
#pragma once

#ifdef _WIN32

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <plinth/io/file_calls.hpp>

namespace plinth::detail::system {

inline HANDLE handle(FileHandle file) { return reinterpret_cast<HANDLE>(file); }

/// Says in errno what the last call said in Windows' way.
inline int failed() {
  const auto error = std::system_category().default_error_condition(static_cast<int>(::GetLastError()));
  errno = error.category() == std::generic_category() ? error.value() : EIO;
  return -1;
}
inline int done(BOOL succeeded) { return succeeded ? 0 : failed(); }

/// Opens what others may go on to use in the ways of `shared`, and in no other.
inline FileHandle opened(const std::filesystem::path& path, DWORD access, DWORD shared, DWORD disposition,
                         DWORD flags) {
  const HANDLE file = ::CreateFileW(path.c_str(), access, shared, nullptr, disposition, flags, nullptr);
  if (file != INVALID_HANDLE_VALUE) return reinterpret_cast<FileHandle>(file);
  const bool in_use = ::GetLastError() == ERROR_SHARING_VIOLATION;
  failed();
  if (in_use) errno = EAGAIN;
  return no_file;
}

inline FileHandle open(const std::filesystem::path& file) {
  // FILE_FLAG_BACKUP_SEMANTICS: a folder is opened, too, so that it can be said to be no regular file.
  return opened(file, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, OPEN_EXISTING,
                FILE_FLAG_BACKUP_SEMANTICS);
}

inline int status(FileHandle file, FileStatus& status) {
  status = {};
  if (::GetFileType(handle(file)) != FILE_TYPE_DISK) return 0;
  BY_HANDLE_FILE_INFORMATION found;
  if (!::GetFileInformationByHandle(handle(file), &found)) return failed();
  status = {(found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) == 0,
            std::uint64_t{found.nFileSizeHigh} << 32 | found.nFileSizeLow};
  return 0;
}

/// What one call may read or write.
inline DWORD at_once(std::size_t count) { return static_cast<DWORD>(std::min<std::size_t>(count, 1 << 30)); }

inline std::int64_t read(FileHandle file, std::uint64_t offset, void* bytes, std::size_t count) {
  OVERLAPPED place{};
  place.Offset = static_cast<DWORD>(offset);
  place.OffsetHigh = static_cast<DWORD>(offset >> 32);
  DWORD found = 0;
  if (::ReadFile(handle(file), bytes, at_once(count), &found, &place)) return found;
  return ::GetLastError() == ERROR_HANDLE_EOF ? 0 : failed();
}

/// Whether the name has an attribute, such as that of a folder, whatever it may link to.
inline bool has(const std::filesystem::path& path, DWORD attribute) {
  const DWORD found = ::GetFileAttributesW(path.c_str());
  return found != INVALID_FILE_ATTRIBUTES && (found & attribute) != 0;
}
inline bool is_link(const std::filesystem::path& path) { return has(path, FILE_ATTRIBUTE_REPARSE_POINT); }
inline bool is_folder(const std::filesystem::path& path) {
  return has(path, FILE_ATTRIBUTE_DIRECTORY) && !is_link(path);
}

/// Nobody renames a file that another one has created, so it keeps its name.
inline bool names(const std::filesystem::path&, FileHandle) { return true; }

inline FileHandle create(const std::filesystem::path& path, bool only_new) {
  // Shared for reading, and for the rename by which it takes its name.
  const FileHandle file = opened(path, GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_DELETE,
                                 only_new ? CREATE_NEW : OPEN_ALWAYS, FILE_FLAG_OPEN_REPARSE_POINT);
  if (file == no_file || !is_link(path)) return file;
  ::CloseHandle(handle(file));
  errno = ELOOP;
  return no_file;
}

/// Whoever created it has it.
inline int lock(FileHandle) { return 0; }
inline int empty(FileHandle file) { return done(::SetEndOfFile(handle(file))); }

inline std::int64_t write(FileHandle file, const void* bytes, std::size_t count) {
  DWORD written = 0;
  if (!::WriteFile(handle(file), bytes, at_once(count), &written, nullptr)) return failed();
  return written;
}

inline int flush(FileHandle file) { return done(::FlushFileBuffers(handle(file))); }
inline int close(FileHandle file) { return done(::CloseHandle(handle(file))); }

inline int rename(const std::filesystem::path& from, const std::filesystem::path& to) {
  return done(::MoveFileExW(from.c_str(), to.c_str(), MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH));
}

inline int remove_file(const std::filesystem::path& file) {
  const bool link_to_folder = is_link(file) && has(file, FILE_ATTRIBUTE_DIRECTORY);
  return done(link_to_folder ? ::RemoveDirectoryW(file.c_str()) : ::DeleteFileW(file.c_str()));
}

inline int make_folder(const std::filesystem::path& folder) {
  return done(::CreateDirectoryW(folder.c_str(), nullptr));
}
inline int remove_empty_folder(const std::filesystem::path& folder) { return done(::RemoveDirectoryW(folder.c_str())); }

inline int flush_folder(const std::filesystem::path&) { return 0; }

inline FileHandle lock_folder(const std::filesystem::path& folder) {
  return opened(folder / ".lock", GENERIC_WRITE, 0, CREATE_ALWAYS, FILE_ATTRIBUTE_HIDDEN | FILE_FLAG_DELETE_ON_CLOSE);
}

}  // namespace plinth::detail::system

#endif
