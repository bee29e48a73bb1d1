// SPDX-License-Identifier: MIT
// The system calls of a thread that writes files: recorded, made to fail one by one, and judged by their order.
#pragma once

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <plinth/io/file_calls.hpp>

namespace files {

/// One system call: "write" of a path, "rename" of a path to another.
struct Call {
  std::string name, path, to;
};

/// While it lives, this thread's file calls are recorded, and done unless `fault` decides otherwise. Flushes are
/// recorded only: they take long, and no power is lost in a test.
class RecordedCalls {
 public:
  /// What becomes of the index-th call: 0 lets it be; an errno makes it fail with that; `cut` writes a single byte;
  /// `forgotten` claims success without doing or recording it.
  using Fault = std::function<int(std::size_t index, const Call&)>;
  static constexpr int cut = -1, forgotten = -2;

  explicit RecordedCalls(Fault fault) : fault_(std::move(fault)) {
    current = this;
    plinth::detail::file_calls = {
        [](const char* path, int flags, ::mode_t mode) {
          const int file = static_cast<int>(call("open", path, "", [&] { return ::open(path, flags, mode); }));
          if (file >= 0) current->opened_[file] = path;
          return file;
        },
        [](int file) {
          const auto result = static_cast<int>(call("close", current->opened_[file], "", [] { return 0; }));
          ::close(file);  // also where it reports an error, as the system does
          return result;
        },
        [](int file, const void* data, std::size_t size) -> ::ssize_t {
          const auto write = [&](std::size_t count) { return ::write(file, data, count); };
          return call(
              "write", current->opened_[file], "", [&] { return write(size); }, [&] { return write(1); });
        },
        [](int file) { return static_cast<int>(call("fsync", current->opened_[file], "", [] { return 0; })); },
        [](int file, ::off_t size) {
          return static_cast<int>(
              call("ftruncate", current->opened_[file], "", [&] { return ::ftruncate(file, size); }));
        },
        [](int file, int operation) {
          return static_cast<int>(call("flock", current->opened_[file], "", [&] { return ::flock(file, operation); }));
        },
        [](const char* from, const char* to) {
          return static_cast<int>(call("rename", from, to, [&] { return ::rename(from, to); }));
        },
        [](const char* path) { return static_cast<int>(call("unlink", path, "", [&] { return ::unlink(path); })); },
        [](const char* path, ::mode_t mode) {
          return static_cast<int>(call("mkdir", path, "", [&] { return ::mkdir(path, mode); }));
        },
        [](const char* path) { return static_cast<int>(call("rmdir", path, "", [&] { return ::rmdir(path); })); }};
  }
  RecordedCalls(const RecordedCalls&) = delete;
  RecordedCalls& operator=(const RecordedCalls&) = delete;
  ~RecordedCalls() {
    plinth::detail::file_calls = {};
    current = nullptr;
  }

  const std::vector<Call>& calls() const { return calls_; }

 private:
  template <class Do, class DoLess>
  static ::ssize_t call(const char* name, std::string path, std::string to, const Do& act, const DoLess& act_less) {
    const Call made{name, std::move(path), std::move(to)};
    const int fault = current->fault_(current->index_++, made);
    if (fault == forgotten) return 0;
    current->calls_.push_back(made);
    if (fault == cut) return act_less();
    if (fault == 0) return act();
    errno = fault;
    return -1;
  }
  template <class Do>
  static ::ssize_t call(const char* name, std::string path, std::string to, const Do& act) {
    return call(name, std::move(path), std::move(to), act, act);
  }

  static inline thread_local RecordedCalls* current = nullptr;
  Fault fault_;
  std::size_t index_ = 0;
  std::vector<Call> calls_;
  std::map<int, std::string> opened_;
};

/// What a loss of power could undo after the calls of one successful save, the first thing found; empty when nothing:
/// every file's last write is followed by a flush of the file and every change of a folder by one of the folder, those
/// inside a folder before it takes its name, and all before an older checkpoint is touched; the manifest comes last.
inline std::string undone_by_a_loss_of_power(const std::vector<Call>& calls) {
  const auto parent = [](const std::string& path) { return std::filesystem::path(path).parent_path().string(); };
  std::set<std::string> unflushed;  // files and folders
  const auto first = [&](const std::string& what) { return *unflushed.begin() + " is not flushed before " + what; };
  bool named = false;
  for (const auto& [name, path, to] : calls) {
    if (name == "mkdir") unflushed.insert(parent(path));
    if (name == "open" && path.find(".tmp/") != std::string::npos) {
      unflushed.insert({path, parent(path)});
      for (const std::string& x : unflushed)
        if (path.ends_with("manifest.json") && x.ends_with(".safetensors"))
          return x + " is not flushed before the manifest is written";
    }
    if (name == "write") unflushed.insert(path);
    if (name == "fsync") unflushed.erase(path);
    if (name == "rename" && path.ends_with(".tmp")) {
      for (const std::string& x : unflushed)
        if (x.starts_with(path)) return x + " is not flushed before the checkpoint takes its name";
      unflushed.insert(parent(to));
      named = true;
    }
    if (name == "rename" && to.ends_with(".tmp") && !unflushed.empty()) return first("an older checkpoint is removed");
    if (name == "rename" && to.ends_with(".tmp") && !named)
      return path + " is removed before the new checkpoint is there";
  }
  return unflushed.empty() ? "" : first("the save returns");
}

}  // namespace files
